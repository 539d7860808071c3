package api

import (
	"context"
	"net/http"

	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/backend"
)

func (s *server) execRoutes() []route {
	return when(s.Execs != nil, "running processes in containers", []route{
		{"POST /containers/{name}/exec", s.createExec},
		{"POST /exec/{id}/start", s.startExec},
		{"POST /exec/{id}/resize", s.resizeExec},
		{"GET /exec/{id}/json", s.inspectExec},
	})
}

func (s *server) createExec(w http.ResponseWriter, r *request) error {
	var req container.ExecCreateRequest
	if err := r.decode(w, &req); err != nil {
		return err
	}
	if len(req.Cmd) == 0 {
		return invalid("No exec command specified")
	}
	if r.before("1.42") {
		req.ConsoleSize = nil
	}
	id, err := s.Execs.ExecCreate(r.Context(), r.PathValue("name"), req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, container.ExecCreateResponse{ID: id})
}

func (s *server) startExec(w http.ResponseWriter, r *request) error {
	var req container.ExecStartRequest
	if err := r.decode(w, &req); err != nil {
		return err
	}
	opts := backend.ExecStart{Detach: req.Detach, Tty: req.Tty}
	if req.ConsoleSize != nil && !r.before("1.42") {
		if !req.Tty {
			return invalid("console size is only supported when TTY is enabled")
		}
		opts.ConsoleSize = req.ConsoleSize
	}
	start := func(ctx context.Context, hijack backend.Hijack) error {
		return s.Execs.ExecStart(ctx, r.PathValue("id"), opts, hijack)
	}
	if _, err := s.Execs.ExecInspect(r.Context(), r.PathValue("id")); err != nil || opts.Detach {
		return s.hijacked(w, r, start)
	}
	return s.hijackedAnyway(w, r, req.Tty, start)
}

func (s *server) resizeExec(w http.ResponseWriter, r *request) error {
	rows, columns, err := r.size()
	if err != nil {
		return err
	}
	if err := s.Execs.ExecResize(r.Context(), r.PathValue("id"), rows, columns); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *server) inspectExec(w http.ResponseWriter, r *request) error {
	exec, err := s.Execs.ExecInspect(r.Context(), r.PathValue("id"))
	return reply(w, exec, err)
}
