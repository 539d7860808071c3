package api

import (
	"net/http"

	"github.com/nacre-sh/nacre/core/backend"
)

// configRoutes are nacre's own:
//
//	GET  /nacre/config          backend.ConfigReport
//	POST /nacre/config          backend.ConfigChange in the body
//	POST /nacre/config/import   {"Name": where it comes from, "Text": a daemon.json} → backend.ConfigImport
func (s *server) configRoutes() []route {
	return when(s.Config != nil, "the configuration file", []route{
		{"GET /nacre/config", s.showConfig},
		{"POST /nacre/config", s.changeConfig},
		{"POST /nacre/config/import", s.importConfig},
	})
}

func (s *server) showConfig(w http.ResponseWriter, _ *request) error {
	report, err := s.Config.Show()
	return reply(w, report, err)
}

func (s *server) changeConfig(w http.ResponseWriter, r *request) error {
	var change backend.ConfigChange
	if err := r.decode(w, &change); err != nil {
		return err
	}
	return done(w, s.Config.Set(change))
}

func (s *server) importConfig(w http.ResponseWriter, r *request) error {
	var body struct{ Name, Text string }
	if err := r.decode(w, &body); err != nil {
		return err
	}
	report, err := s.Config.Import(body.Name, []byte(body.Text))
	return reply(w, report, err)
}
