package api

import (
	"fmt"
	"net/http"

	"github.com/containerd/errdefs"
)

// unserved are the parts of docker's API that this engine does not serve yet,
// in the words in which the answer names them.
var unserved = map[string][]string{
	"building images":         {"POST /build", "POST /build/prune", "POST /build/cancel", "POST /session", "POST /grpc"},
	"checkpointing":           {"GET /containers/{name}/checkpoints", "POST /containers/{name}/checkpoints", "DELETE /containers/{name}/checkpoints/{checkpoint}"},
	"managing engine plugins": {"/plugins", "/plugins/{rest...}"},
	"swarm mode": {
		"/swarm", "/swarm/{rest...}", "/nodes", "/nodes/{rest...}", "/services", "/services/{rest...}", "/tasks", "/tasks/{rest...}",
		"/secrets", "/secrets/{rest...}", "/configs", "/configs/{rest...}",
	},
}

func unservedRoutes() []route {
	// There are no engine plugins: `inspect` looks through them for any name.
	routes := []route{
		{"GET /plugins", func(w http.ResponseWriter, _ *request) error { writeJSON(w, http.StatusOK, []any{}); return nil }},
		{"GET /plugins/{name}/json", func(_ http.ResponseWriter, r *request) error {
			return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("plugin %q not found", r.PathValue("name")))
		}},
	}
	for what, patterns := range unserved {
		for _, pattern := range patterns {
			routes = append(routes, route{pattern, serves501(what)})
		}
	}
	return routes
}

func serves501(what string) handler {
	return func(http.ResponseWriter, *request) error { return notServed(what) }
}
