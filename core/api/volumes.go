package api

import (
	"net/http"

	"github.com/moby/moby/api/types/volume"
)

func (s *server) volumeRoutes() []route {
	return when(s.Volumes != nil, "the volume store", []route{
		{"GET /volumes", s.listVolumes},
		{"POST /volumes/create", s.createVolume},
		{"GET /volumes/{name}", s.inspectVolume},
		{"DELETE /volumes/{name}", s.removeVolume},
	})
}

func (s *server) listVolumes(w http.ResponseWriter, r *request) error {
	filters, err := r.filters()
	if err != nil {
		return err
	}
	list, err := s.Volumes.VolumeList(r.Context(), filters)
	return reply(w, volume.ListResponse{Volumes: orEmpty(list), Warnings: []string{}}, err)
}

func (s *server) createVolume(w http.ResponseWriter, r *request) error {
	var req volume.CreateRequest
	if err := r.decode(w, &req); err != nil {
		return err
	}
	v, err := s.Volumes.VolumeCreate(r.Context(), req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, v)
}

func (s *server) inspectVolume(w http.ResponseWriter, r *request) error {
	v, err := s.Volumes.VolumeInspect(r.Context(), r.PathValue("name"))
	return reply(w, v, err)
}

func (s *server) removeVolume(w http.ResponseWriter, r *request) error {
	return done(w, s.Volumes.VolumeRemove(r.Context(), r.PathValue("name"), r.flag("force")))
}
