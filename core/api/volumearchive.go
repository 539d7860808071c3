package api

import (
	"io"
	"net/http"
)

// volumeArchiveRoutes are nacre's own.
func (s *server) volumeArchiveRoutes() []route {
	return when(s.VolumeArchives != nil, "archives of volumes", []route{
		{"GET /nacre/volumes/{name}/archive", s.exportVolume},
		{"PUT /nacre/volumes/{name}/archive", func(w http.ResponseWriter, r *request) error {
			return done(w, s.VolumeArchives.VolumeImport(r.Context(), r.PathValue("name"), r.Body, r.flag("force")))
		}},
		{"POST /nacre/volumes/{name}/clone", func(w http.ResponseWriter, r *request) error {
			return done(w, s.VolumeArchives.VolumeClone(r.Context(), r.PathValue("name"), r.query.Get("to")))
		}},
	})
}

// exportVolume streams an archive. One that breaks off half way must not look
// complete: the connection is cut.
func (s *server) exportVolume(w http.ResponseWriter, r *request) error {
	begun := false
	err := s.VolumeArchives.VolumeExport(r.Context(), r.PathValue("name"), func() io.Writer {
		begun = true
		w.Header().Set("Content-Type", "application/x-tar")
		w.WriteHeader(http.StatusOK)
		return w
	})
	if err != nil && begun {
		panic(http.ErrAbortHandler)
	}
	return err
}
