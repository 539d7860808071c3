package api

import "net/http"

func (s *server) networkRoutes() []route {
	return when(s.Networks != nil, "networking", []route{
		{"GET /networks", s.listNetworks},
		{"GET /networks/{name}", s.inspectNetwork},
	})
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
	n, err := s.Networks.NetworkInspect(r.Context(), r.PathValue("name"))
	return reply(w, n, err)
}
