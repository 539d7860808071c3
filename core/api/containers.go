package api

import (
	"encoding/json"
	"net/http"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/backend"
)

// containerRoutes are the ones that answer with one document or none; see
// streamRoutes for the rest.
func (s *server) containerRoutes() []route {
	name := func(do func(r *request, name string) error) handler {
		return func(w http.ResponseWriter, r *request) error { return done(w, do(r, r.PathValue("name"))) }
	}
	return when(s.Containers != nil, "running containers", []route{
		{"GET /containers/json", s.listContainers},
		{"POST /containers/create", s.createContainer},
		{"POST /containers/prune", s.pruneContainers},
		{"GET /containers/{name}/json", s.inspectContainer},
		{"GET /containers/{name}/top", s.topContainer},
		{"POST /containers/{name}/start", name(s.startContainer)},
		{"POST /containers/{name}/stop", name(s.stopContainer)},
		{"POST /containers/{name}/restart", name(s.restartContainer)},
		{"POST /containers/{name}/kill", name(func(r *request, n string) error {
			return s.Containers.Kill(r.Context(), n, r.query.Get("signal"))
		})},
		{"POST /containers/{name}/pause", name(func(r *request, n string) error { return s.Containers.Pause(r.Context(), n) })},
		{"POST /containers/{name}/unpause", name(func(r *request, n string) error { return s.Containers.Unpause(r.Context(), n) })},
		{"POST /containers/{name}/rename", name(func(r *request, n string) error {
			return s.Containers.Rename(r.Context(), n, r.query.Get("name"))
		})},
		{"DELETE /containers/{name}", name(s.removeContainer)},
		{"POST /nacre/containers/remove", s.removeContainers},
		{"POST /containers/{name}/resize", s.resizeContainer},
		{"POST /containers/{name}/update", s.updateContainer},
	})
}

func (s *server) listContainers(w http.ResponseWriter, r *request) error {
	opts, err := r.containerList()
	if err != nil {
		return err
	}
	list, err := s.Containers.List(r.Context(), opts)
	return replyList(w, list, err)
}

func (r *request) containerList() (backend.ContainerList, error) {
	filters, err := r.filters()
	if err != nil {
		return backend.ContainerList{}, err
	}
	limit, err := r.number("limit", 0)
	if err != nil {
		return backend.ContainerList{}, err
	}
	for _, key := range []string{"since", "before"} { // parameters of their own in old clients
		if v := r.query.Get(key); v != "" {
			filters[key] = append(filters[key], v)
		}
	}
	return backend.ContainerList{All: r.flag("all"), Size: r.flag("size"), Limit: max(limit, 0), Filters: filters}, nil
}

func (s *server) createContainer(w http.ResponseWriter, r *request) error {
	req, err := r.createRequest(w)
	if err != nil {
		return err
	}
	platform, err := r.platform("platform")
	if err != nil {
		return err
	}
	created, err := s.Containers.Create(r.Context(), r.query.Get("name"), req, platform)
	if err != nil {
		return err
	}
	created.Warnings = orEmpty(created.Warnings)
	return writeJSON(w, http.StatusCreated, created)
}

func (s *server) pruneContainers(w http.ResponseWriter, r *request) error {
	filters, err := r.filters()
	if err != nil {
		return err
	}
	deleted, freed, err := s.Containers.Prune(r.Context(), filters)
	return reply(w, container.PruneReport{ContainersDeleted: deleted, SpaceReclaimed: freed}, err)
}

func (s *server) inspectContainer(w http.ResponseWriter, r *request) error {
	c, err := s.Containers.Inspect(r.Context(), r.PathValue("name"), r.flag("size"))
	if err != nil {
		return err
	}
	if r.before("1.52") {
		return reply(w, legacyContainer(c), nil)
	}
	return reply(w, c, nil)
}

func (s *server) topContainer(w http.ResponseWriter, r *request) error {
	psArgs := strings.Fields(r.query.Get("ps_args"))
	if len(psArgs) == 0 {
		psArgs = []string{"-ef"}
	}
	top, err := s.Containers.Top(r.Context(), r.PathValue("name"), psArgs)
	return reply(w, top, err)
}

func (s *server) startContainer(r *request, name string) error {
	// Before API 1.24 a host configuration could be sent here; clients that
	// still do would believe that it is used.
	if r.ContentLength > 7 || r.ContentLength == -1 && r.Body != http.NoBody {
		return invalid("starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24")
	}
	if r.query.Get("checkpoint") != "" {
		return notServed("starting from a checkpoint")
	}
	return s.Containers.Start(r.Context(), name, r.query.Get("detachKeys"))
}

func (s *server) stopContainer(r *request, name string) error {
	opts, err := r.stopOptions()
	if err != nil {
		return err
	}
	return s.Containers.Stop(r.Context(), name, opts)
}

func (s *server) restartContainer(r *request, name string) error {
	opts, err := r.stopOptions()
	if err != nil {
		return err
	}
	return s.Containers.Restart(r.Context(), name, opts)
}

func (r *request) stopOptions() (backend.ContainerStop, error) {
	timeout, err := r.optionalNumber("t")
	opts := backend.ContainerStop{Timeout: timeout}
	if !r.before("1.42") {
		opts.Signal = r.query.Get("signal")
	}
	return opts, err
}

func (s *server) removeContainer(r *request, name string) error {
	return s.Containers.Remove(r.Context(), name, backend.ContainerRemove{
		Force: r.flag("force"), Volumes: r.flag("v"), Link: r.flag("link"),
	})
}

// removedContainer is one name's part of the answer of POST
// /nacre/containers/remove: a JSON document for each, in the order of the names.
type removedContainer struct {
	Error    string `json:",omitempty"`
	NotFound bool   `json:",omitempty"`
}

// removeContainers removes many containers in one step.
func (s *server) removeContainers(w http.ResponseWriter, r *request) error {
	var req struct {
		Names          []string
		Force, Volumes bool
	}
	if err := r.decode(w, &req); err != nil {
		return err
	}
	for _, name := range req.Names {
		if strings.Trim(name, "/") == "" {
			return invalid("container name cannot be empty")
		}
	}
	done := s.Containers.RemoveMany(r.Context(), req.Names, backend.ContainerRemove{Force: req.Force, Volumes: req.Volumes})
	w.Header().Set("Content-Type", "application/json")
	out, flush := json.NewEncoder(w), http.NewResponseController(w)
	for _, one := range done {
		var err error
		select {
		case err = <-one:
		default: // what is done is shown while the next one takes its time
			_ = flush.Flush() // a client that has gone away shows at the next write
			err = <-one
		}
		answer := removedContainer{}
		if err != nil {
			answer = removedContainer{Error: err.Error(), NotFound: errdefs.IsNotFound(err)}
		}
		if err := out.Encode(answer); err != nil {
			return nil // the client has gone away
		}
	}
	return nil
}

func (s *server) resizeContainer(w http.ResponseWriter, r *request) error {
	rows, columns, err := r.size()
	if err != nil {
		return err
	}
	if err := s.Containers.Resize(r.Context(), r.PathValue("name"), rows, columns); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *server) updateContainer(w http.ResponseWriter, r *request) error {
	var req container.UpdateConfig
	if err := r.decode(w, &req); err != nil {
		return err
	}
	if r.before("1.40") && req.PidsLimit != nil && *req.PidsLimit <= 0 {
		req.PidsLimit = nil
	}
	if req.PidsLimit != nil && *req.PidsLimit < 0 {
		req.PidsLimit = new(int64) // none, as docker tells it
	}
	warnings, err := s.Containers.Update(r.Context(), r.PathValue("name"), req)
	return reply(w, container.UpdateResponse{Warnings: orEmpty(warnings)}, err)
}
