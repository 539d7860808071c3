package api

import (
	"context"
	"net/http"

	"github.com/nacre-sh/nacre/core/backend"
)

// bootRoutes are nacre's own: POST /nacre/boot starts what should run after a
// reboot, POST /nacre/halt stops it for one.
func (s *server) bootRoutes() []route {
	answer := func(do func(Boot, context.Context) (backend.BootReport, error)) handler {
		return func(w http.ResponseWriter, r *request) error {
			report, err := do(s.Boot, r.Context())
			return reply(w, report, err)
		}
	}
	return when(s.Boot != nil, "starting containers after a reboot", []route{
		{"POST /nacre/boot", answer(Boot.Boot)},
		{"POST /nacre/halt", answer(Boot.Halt)},
	})
}
