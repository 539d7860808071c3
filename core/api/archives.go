package api

import (
	"io"
	"net/http"

	"github.com/nacre-sh/nacre/core/backend"
)

// loadImages takes images out of an archive that is the request's body.
func (s *server) loadImages(w http.ResponseWriter, r *request) error {
	platforms, err := r.platforms("platform")
	if err != nil {
		return err
	}
	return withBody(w, r, func(body io.Reader, progress backend.Progress) error {
		return s.Images.Load(r.Context(), body, backend.ImageLoad{Quiet: r.flag("quiet"), Platforms: platforms, Progress: progress})
	})
}

// saveImages answers with an archive of the images named in the path or the query.
func (s *server) saveImages(w http.ResponseWriter, r *request) error {
	platforms, err := r.platforms("platform")
	if err != nil {
		return err
	}
	names := r.query["names"]
	if name := r.PathValue("name"); name != "" {
		names = []string{name}
	}
	return streamed(func(started func()) error {
		return s.Images.Save(r.Context(), backend.ImageSave{Names: names, Platforms: platforms}, func() (io.Writer, error) {
			started()
			return w, begin(w, "application/x-tar")
		})
	})
}

// importImage makes an image of a root file system.
func (s *server) importImage(w http.ResponseWriter, r *request) error {
	ref, err := imageName(r.query.Get("repo"), r.query.Get("tag"))
	if err != nil {
		return err
	}
	platform, err := r.platform("platform")
	if err != nil {
		return err
	}
	return withBody(w, r, func(body io.Reader, progress backend.Progress) error {
		return s.Images.Import(r.Context(), body, backend.ImageImport{
			Source: r.query.Get("fromSrc"), Ref: ref, Message: r.query.Get("message"), Changes: r.query["changes"], Platform: platform, Progress: progress,
		})
	})
}

// maxDrained bounds what is read of an archive after its end or its refusal.
const maxDrained = 1 << 30

// withBody runs a work that reads the request's body and sends progress
// meanwhile. What it leaves of the body is read too: a connection that is
// closed with bytes in it loses the answer.
func withBody(w http.ResponseWriter, r *request, work func(body io.Reader, progress backend.Progress) error) error {
	if err := http.NewResponseController(w).EnableFullDuplex(); err != nil {
		return err
	}
	return streamProgress(w, r, func(progress backend.Progress) error {
		err := work(r.Body, progress)
		_, _ = io.Copy(io.Discard, io.LimitReader(r.Body, maxDrained)) // its end is nobody's concern
		return err
	})
}
