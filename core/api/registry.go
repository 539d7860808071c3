package api

import (
	"net/http"

	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"

	"github.com/nacre-sh/nacre/core/backend"
)

// targetAuthHeader carries the credentials of a copy's target; those of the
// source come in docker's own header.
const targetAuthHeader = "X-Registry-Auth-Target"

// registryRoutes are docker's login and search, and nacre's own. Names are in
// the query, because they hold slashes and colons; credentials come in docker's
// X-Registry-Auth header.
//
//	GET    /nacre/registry/repositories?registry=HOST   []string
//	GET    /nacre/registry/tags?name=REPOSITORY         []string
//	GET    /nacre/registry/image?name=REF               backend.RemoteImage
//	DELETE /nacre/registry/image?name=REF               {"Removed": what went}
//	POST   /nacre/registry/copy?source=REF&target=REF   progress
func (s *server) registryRoutes() []route {
	return when(s.Registries != nil, "asking registries", []route{
		{"POST /auth", s.postAuth},
		{"GET /images/search", s.searchImages},
		{"GET /nacre/registry/repositories", s.listRepositories},
		{"GET /nacre/registry/tags", s.listTags},
		{"GET /nacre/registry/image", s.inspectRemote},
		{"DELETE /nacre/registry/image", s.removeRemote},
		{"POST /nacre/registry/copy", s.copyRemote},
	})
}

func (s *server) postAuth(w http.ResponseWriter, r *request) error {
	var auth registry.AuthConfig
	if err := r.decode(w, &auth); err != nil {
		return err
	}
	answer, err := s.Registries.Auth(r.Context(), auth)
	return reply(w, answer, err)
}

func (s *server) searchImages(w http.ResponseWriter, r *request) error {
	filters, err := r.filters()
	if err != nil {
		return err
	}
	limit, err := r.optionalNumber("limit")
	if err != nil {
		return err
	}
	term := r.query.Get("term")
	if limit != nil && *limit == 0 { // docker's clients leave it out; nobody wants none
		return invalid("limit 0 is outside the range of [1, 100]")
	}
	n := 0
	if limit != nil {
		n = *limit
	}
	found, err := s.Registries.Search(r.Context(), term, n, filters, registryAuth(r))
	return replyList(w, found, err)
}

func (s *server) listRepositories(w http.ResponseWriter, r *request) error {
	list, err := s.Registries.Repositories(r.Context(), r.query.Get("registry"), registryAuth(r))
	return replyList(w, list, err)
}

func (s *server) listTags(w http.ResponseWriter, r *request) error {
	list, err := s.Registries.Tags(r.Context(), r.query.Get("name"), registryAuth(r))
	return replyList(w, list, err)
}

func (s *server) inspectRemote(w http.ResponseWriter, r *request) error {
	image, err := s.Registries.Inspect(r.Context(), r.query.Get("name"), registryAuth(r))
	return reply(w, image, err)
}

func (s *server) removeRemote(w http.ResponseWriter, r *request) error {
	removed, err := s.Registries.RemoveRemote(r.Context(), r.query.Get("name"), registryAuth(r))
	return reply(w, struct{ Removed string }{removed}, err)
}

func (s *server) copyRemote(w http.ResponseWriter, r *request) error {
	copied := backend.RegistryCopy{Source: r.query.Get("source"), Target: r.query.Get("target"), SourceAuth: registryAuth(r)}
	if auth, err := authconfig.Decode(r.Header.Get(targetAuthHeader)); err == nil && *auth != (registry.AuthConfig{}) {
		copied.TargetAuth = auth
	}
	return streamProgress(w, r, func(progress backend.Progress) error {
		copied.Progress = progress
		return s.Registries.Copy(r.Context(), copied)
	})
}
