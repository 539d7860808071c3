package api

import (
	"net/http"

	"github.com/nacre-sh/nacre/core/backend"
)

// mirrorRoutes are nacre's own. Registries and mirrors are named in the query,
// because both may hold slashes and colons:
//
//	GET    /nacre/mirrors                              []backend.Mirror
//	POST   /nacre/mirrors                              backend.Mirror in the body
//	DELETE /nacre/mirrors?registry=R&mirror=URL|NAME
//	POST   /nacre/mirrors/use?registry=R&mirror=URL|NAME
//	POST   /nacre/mirrors/test?registry=R              []backend.MirrorTest
func (s *server) mirrorRoutes() []route {
	return when(s.Mirrors != nil, "choosing mirrors", []route{
		{"GET /nacre/mirrors", s.listMirrors},
		{"POST /nacre/mirrors", s.addMirror},
		{"DELETE /nacre/mirrors", s.removeMirror},
		{"POST /nacre/mirrors/use", s.useMirror},
		{"POST /nacre/mirrors/test", s.testMirrors},
	})
}

func (s *server) listMirrors(w http.ResponseWriter, r *request) error {
	list, err := s.Mirrors.Mirrors(r.Context())
	return replyList(w, list, err)
}

func (s *server) addMirror(w http.ResponseWriter, r *request) error {
	var m backend.Mirror
	if err := r.decode(w, &m); err != nil {
		return err
	}
	return done(w, s.Mirrors.MirrorAdd(r.Context(), m))
}

func (s *server) removeMirror(w http.ResponseWriter, r *request) error {
	return done(w, s.Mirrors.MirrorRemove(r.Context(), r.query.Get("registry"), r.query.Get("mirror")))
}

func (s *server) useMirror(w http.ResponseWriter, r *request) error {
	return done(w, s.Mirrors.MirrorUse(r.Context(), r.query.Get("registry"), r.query.Get("mirror")))
}

func (s *server) testMirrors(w http.ResponseWriter, r *request) error {
	list, err := s.Mirrors.MirrorTest(r.Context(), r.query.Get("registry"))
	return replyList(w, list, err)
}
