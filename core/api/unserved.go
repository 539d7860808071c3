package api

import "net/http"

// unserved are the parts of docker's API that this engine does not serve yet,
// in the words in which the answer names them.
var unserved = map[string][]string{
	"building images":                {"POST /build", "POST /build/prune", "POST /build/cancel", "POST /session", "POST /grpc"},
	"searching registries":           {"GET /images/search"},
	"loading and saving images":      {"POST /images/load", "GET /images/get"},
	"asking registries about images": {"GET /distribution/{rest...}"},
	"committing containers":          {"POST /commit"},
	"copying files":                  {"HEAD /containers/{name}/archive", "GET /containers/{name}/archive", "PUT /containers/{name}/archive"},
	"exporting containers":           {"GET /containers/{name}/export"},
	"listing a container's changes":  {"GET /containers/{name}/changes"},
	"reading statistics":             {"GET /containers/{name}/stats"},
	"updating containers":            {"POST /containers/{name}/update"},
	"attaching by websocket":         {"GET /containers/{name}/attach/ws"},
	"checkpointing":                  {"GET /containers/{name}/checkpoints", "POST /containers/{name}/checkpoints", "DELETE /containers/{name}/checkpoints/{checkpoint}"},
	"changing networks":              {"POST /networks/create", "POST /networks/prune", "POST /networks/{name}/connect", "POST /networks/{name}/disconnect", "DELETE /networks/{name}"},
	"pruning volumes":                {"POST /volumes/prune"},
	"updating volumes":               {"PUT /volumes/{name}"},
	"managing engine plugins":        {"/plugins", "/plugins/{rest...}"},
	"swarm mode": {
		"/swarm", "/swarm/{rest...}", "/nodes", "/nodes/{rest...}", "/services", "/services/{rest...}", "/tasks", "/tasks/{rest...}",
		"/secrets", "/secrets/{rest...}", "/configs", "/configs/{rest...}",
	},
}

func unservedRoutes() []route {
	var routes []route
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
