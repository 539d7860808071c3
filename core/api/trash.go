package api

import (
	"context"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/image"

	"github.com/nacre-sh/nacre/core/backend"
)

// OperationHeader says which command a request belongs to: what one command
// removes comes back together.
const OperationHeader = "Nacre-Operation"

// NowHeader says that what a request removes is not to wait in the trash.
const NowHeader = "Nacre-Now"

// trashRoutes are nacre's own: plans of removals, the trash, undo.
func (s *server) trashRoutes() []route {
	return when(s.Trash != nil, "the trash", []route{
		{"GET /nacre/trash", func(w http.ResponseWriter, r *request) error {
			t, err := s.Trash.TrashLook(r.Context())
			return reply(w, t, err)
		}},
		{"DELETE /nacre/trash", func(w http.ResponseWriter, r *request) error {
			return done(w, s.Trash.TrashEmpty(r.Context(), r.query.Get("operation")))
		}},
		{"PUT /nacre/trash", s.setTrash},
		{"POST /nacre/undo", s.undo},
		{"POST /nacre/removals/plan", s.planRemoval},
		{"POST /nacre/images/remove", s.removeImages},
		{"POST /nacre/collect", func(w http.ResponseWriter, r *request) error {
			err := s.Trash.Collect(r.Context())
			if errdefs.IsConflict(err) {
				err = nil // another one does it
			}
			return done(w, err)
		}},
	})
}

func (s *server) setTrash(w http.ResponseWriter, r *request) error {
	var keep *time.Duration
	if raw := r.query.Get("keep"); raw != "" {
		d, err := parseKeep(raw)
		if err != nil {
			return err
		}
		keep = &d
	}
	var size *string
	if raw := r.query.Get("size"); raw != "" {
		size = &raw
	}
	return done(w, s.Trash.TrashSet(r.Context(), keep, size))
}

func parseKeep(raw string) (time.Duration, error) {
	d, err := time.ParseDuration(raw)
	if raw != "0" && err != nil {
		return 0, invalid("invalid time %q for the trash\nhint: write it as 10m or 1h30m; 0 switches the trash off", raw)
	}
	return d, nil
}

func (s *server) undo(w http.ResponseWriter, r *request) error {
	list, err := s.Trash.Undo(r.Context(), r.query["name"])
	return replyList(w, list, err)
}

// removedImage is one name's part of the answer of POST /nacre/images/remove.
type removedImage struct {
	Items    []image.DeleteResponse
	Error    string
	NotFound bool
}

// removeImages removes many images in one step: a request for each of a
// thousand would take most of the time.
func (s *server) removeImages(w http.ResponseWriter, r *request) error {
	if s.Images == nil {
		return notServed("the image store")
	}
	var req struct {
		Names          []string
		Force, NoPrune bool
	}
	if err := r.decode(w, &req); err != nil {
		return err
	}
	for _, name := range req.Names {
		if strings.TrimSpace(name) == "" {
			return invalid("image name cannot be blank")
		}
	}
	all, err := s.Images.RemoveMany(r.Context(), req.Names, backend.ImageRemove{Force: req.Force, NoPrune: req.NoPrune})
	if err != nil {
		return err
	}
	answer := make([]removedImage, len(all))
	for i, one := range all {
		answer[i].Items = one.Items
		if one.Err != nil {
			answer[i].Error, answer[i].NotFound = one.Err.Error(), errdefs.IsNotFound(one.Err)
		}
	}
	return reply(w, answer, nil)
}

func (s *server) planRemoval(w http.ResponseWriter, r *request) error {
	var req backend.Removal
	if err := r.decode(w, &req); err != nil {
		return err
	}
	plan, err := s.Trash.RemovalPlan(r.Context(), req)
	return reply(w, plan, err)
}

// operations gives removing requests the command that they belong to. Clients
// that do not say so are taken at their pace: what follows within a moment
// belongs to the same command.
type operations struct {
	mu   sync.Mutex
	id   string
	last time.Time
}

const sameCommand = time.Second

// isOperationID tells whether a text is 16 lower-case hexadecimal digits.
func isOperationID(text string) bool {
	return len(text) == 16 && strings.Trim(text, "0123456789abcdef") == ""
}

func (o *operations) mark(r *http.Request) context.Context {
	if r.Header.Get(NowHeader) != "" {
		return backend.WithoutTrash(r.Context())
	}
	if id := r.Header.Get(OperationHeader); isOperationID(id) {
		return backend.WithOperation(r.Context(), id)
	}
	if r.Method != http.MethodDelete && !strings.HasSuffix(r.URL.Path, "/prune") {
		return r.Context()
	}
	o.mu.Lock()
	defer o.mu.Unlock()
	if time.Since(o.last) > sameCommand {
		o.id = backend.NewOperation()
	}
	o.last = time.Now()
	return backend.WithOperation(r.Context(), o.id)
}
