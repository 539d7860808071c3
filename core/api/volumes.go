package api

import (
	"net/http"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/volume"
)

func (s *server) volumeRoutes() []route {
	return when(s.Volumes != nil, "the volume store", []route{
		{"GET /volumes", s.listVolumes},
		{"POST /volumes/create", s.createVolume},
		{"POST /volumes/prune", s.pruneVolumes},
		{"GET /volumes/{name}", s.inspectVolume},
		{"PUT /volumes/{name}", s.updateVolume},
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

// pruneVolumes: before API 1.42 a prune took the volumes with names too.
func (s *server) pruneVolumes(w http.ResponseWriter, r *request) error {
	filters, err := r.filters()
	if err != nil {
		return err
	}
	if r.before("1.42") && !filters.Has("all") {
		filters["all"] = []string{"true"}
	}
	deleted, freed, err := s.Volumes.VolumePrune(r.Context(), filters)
	return reply(w, volume.PruneReport{VolumesDeleted: orEmpty(deleted), SpaceReclaimed: freed}, err)
}

// updateVolume: docker's API changes the volumes of a cluster only.
func (s *server) updateVolume(_ http.ResponseWriter, r *request) error {
	if _, err := s.Volumes.VolumeInspect(r.Context(), r.PathValue("name")); err != nil {
		return err
	}
	return errdefs.ErrUnavailable.WithMessage("volume update only valid for cluster volumes, but swarm is unavailable")
}
