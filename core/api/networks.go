package api

import (
	"net/http"

	"github.com/moby/moby/api/types/network"
)

// networkRoutes are docker's, and two of nacre's own:
//
//	POST /nacre/containers/{name}/ports          network.PortMap → what was bound
//	POST /nacre/containers/{name}/ports/remove   network.PortMap → what is bound no more
func (s *server) networkRoutes() []route {
	routes := when(s.Networks != nil, "networking", []route{
		{"GET /networks", s.listNetworks},
		{"GET /networks/{name}", s.inspectNetwork},
		{"POST /networks/create", s.createNetwork},
		{"POST /networks/prune", s.pruneNetworks},
		{"DELETE /networks/{name}", s.removeNetwork},
	})
	return append(routes, when(s.Members != nil, "changing the networks of containers", []route{
		{"POST /networks/{name}/connect", s.connectNetwork},
		{"POST /networks/{name}/disconnect", s.disconnectNetwork},
		{"POST /nacre/containers/{name}/ports", s.addPorts},
		{"POST /nacre/containers/{name}/ports/remove", s.removePorts},
	})...)
}

func (s *server) listNetworks(w http.ResponseWriter, r *request) error {
	filters, err := r.filters()
	if err != nil {
		return err
	}
	list, err := s.Networks.NetworkList(r.Context(), filters)
	return replyList(w, list, err)
}

func (s *server) inspectNetwork(w http.ResponseWriter, r *request) error {
	if scope := r.query.Get("scope"); scope != "" && scope != "local" {
		return errNetworkElsewhere(r.PathValue("name"))
	}
	n, err := s.Networks.NetworkInspect(r.Context(), r.PathValue("name"))
	return reply(w, n, err)
}

func (s *server) createNetwork(w http.ResponseWriter, r *request) error {
	var req network.CreateRequest
	if err := r.decode(w, &req); err != nil {
		return err
	}
	created, err := s.Networks.NetworkCreate(r.Context(), req)
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, created)
}

func (s *server) pruneNetworks(w http.ResponseWriter, r *request) error {
	filters, err := r.filters()
	if err != nil {
		return err
	}
	deleted, err := s.Networks.NetworkPrune(r.Context(), filters)
	return reply(w, network.PruneReport{NetworksDeleted: deleted}, err)
}

func (s *server) removeNetwork(w http.ResponseWriter, r *request) error {
	return done(w, s.Networks.NetworkRemove(r.Context(), r.PathValue("name")))
}

func (s *server) connectNetwork(w http.ResponseWriter, r *request) error {
	var req network.ConnectRequest
	if err := r.decode(w, &req); err != nil {
		return err
	}
	return ok(w, s.Members.NetworkConnect(r.Context(), r.PathValue("name"), req.Container, req.EndpointConfig))
}

func (s *server) disconnectNetwork(w http.ResponseWriter, r *request) error {
	var req network.DisconnectRequest
	if err := r.decode(w, &req); err != nil {
		return err
	}
	return ok(w, s.Members.NetworkDisconnect(r.Context(), r.PathValue("name"), req.Container, req.Force))
}

func (s *server) addPorts(w http.ResponseWriter, r *request) error {
	var ports network.PortMap
	if err := r.decode(w, &ports); err != nil {
		return err
	}
	bound, err := s.Members.PortAdd(r.Context(), r.PathValue("name"), ports)
	return reply(w, bound, err)
}

func (s *server) removePorts(w http.ResponseWriter, r *request) error {
	var ports network.PortMap
	if err := r.decode(w, &ports); err != nil {
		return err
	}
	gone, err := s.Members.PortRemove(r.Context(), r.PathValue("name"), ports)
	return reply(w, gone, err)
}
