package api

import "net/http"

// resetRoutes is nacre's own: POST /nacre/reset empties the engine.
func (s *server) resetRoutes() []route {
	return when(s.Reset != nil, "resetting the engine", []route{
		{"POST /nacre/reset", func(w http.ResponseWriter, r *request) error {
			return done(w, s.Reset.Reset(r.Context()))
		}},
	})
}
