package api

import (
	"net/http"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/registry"
	"github.com/opencontainers/go-digest"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
)

// imageRoutes. Names of images hold slashes, so the routes that end in a verb
// are found by verb: see byVerb.
func (s *server) imageRoutes() []route {
	return when(s.Images != nil, "the image store", []route{
		{"GET /images/json", s.listImages},
		{"POST /images/create", s.createImage},
		{"POST /images/prune", s.pruneImages},
		{"POST /images/load", s.loadImages},
		{"GET /images/get", s.saveImages},
		{"DELETE /images/{name...}", s.removeImage},
		{"GET /distribution/{rest...}", byVerb(map[string]handler{"json": s.inspectDistribution})},
		{"GET /images/{rest...}", byVerb(map[string]handler{
			"json": s.inspectImage, "history": s.imageHistory,
			"get": s.saveImages, "attestations": serves501("reading attestations"),
		})},
		{"POST /images/{rest...}", byVerb(map[string]handler{"tag": s.tagImage, "push": s.pushImage})},
	})
}

// byVerb takes the last segment of the path as the verb and gives its handler
// the rest as path value "name".
func byVerb(verbs map[string]handler) handler {
	return func(w http.ResponseWriter, r *request) error {
		rest := r.PathValue("rest")
		slash := strings.LastIndexByte(rest, '/')
		handle, found := verbs[rest[slash+1:]]
		if slash <= 0 || !found {
			return errPageNotFound
		}
		r.SetPathValue("name", rest[:slash])
		return handle(w, r)
	}
}

func (s *server) listImages(w http.ResponseWriter, r *request) error {
	filters, err := r.filters()
	if err != nil {
		return err
	}
	list, err := s.Images.List(r.Context(), backend.ImageList{
		All: r.flag("all"), SharedSize: r.flag("shared-size"), Manifests: r.flag("manifests"), Filters: filters,
	})
	if err != nil {
		return err
	}
	for i := range list {
		list[i].RepoTags, list[i].RepoDigests = orEmpty(list[i].RepoTags), orEmpty(list[i].RepoDigests)
	}
	if r.flag("manifests") && s.Containers != nil { // the list as a tree says what is in use
		containers, err := s.Containers.List(r.Context(), backend.ContainerList{All: true, Filters: filter.Args{}})
		if err != nil {
			return err
		}
		countUsers(list, containers)
	}
	if r.before("1.44") {
		return replyList(w, legacyImages(list, r.version), nil)
	}
	return replyList(w, list, nil)
}

func (s *server) inspectImage(w http.ResponseWriter, r *request) error {
	platform, err := r.platform("platform")
	if err != nil {
		return err
	}
	img, err := s.Images.Inspect(r.Context(), r.PathValue("name"), platform)
	if err != nil {
		return err
	}
	img.RepoTags, img.RepoDigests = orEmpty(img.RepoTags), orEmpty(img.RepoDigests)
	if compose1 := isCompose1(r.Header.Get("User-Agent")); compose1 || r.before("1.52") {
		v, err := legacyImage(img, r.version, compose1)
		return reply(w, v, err)
	}
	return reply(w, img, nil)
}

func (s *server) imageHistory(w http.ResponseWriter, r *request) error {
	platform, err := r.platform("platform")
	if err != nil {
		return err
	}
	if platform != nil { // that the image is for it is all that can be asked
		if _, err := s.Images.Inspect(r.Context(), r.PathValue("name"), platform); err != nil {
			return err
		}
	}
	list, err := s.Images.History(r.Context(), r.PathValue("name"))
	return replyList(w, list, err)
}

// createImage pulls; importing a root file system uses the same path with fromSrc.
func (s *server) createImage(w http.ResponseWriter, r *request) error {
	if r.query.Get("fromSrc") != "" {
		return s.importImage(w, r)
	}
	ref, err := pullReference(r.query.Get("fromImage"), r.query.Get("tag"))
	if err != nil {
		return err
	}
	platform, err := r.platform("platform")
	if err != nil {
		return err
	}
	auth := registryAuth(r)
	return streamProgress(w, r, func(progress backend.Progress) error {
		return s.Images.Pull(r.Context(), backend.Pull{
			Ref: ref, AllTags: reference.IsNameOnly(ref), Platform: platform, Auth: auth, Progress: progress,
		})
	})
}

// pullReference puts a pull's name together; the tag may be a digest.
func pullReference(name, tag string) (reference.Named, error) {
	if name == "" {
		return nil, invalid("fromImage is missing: nothing to pull")
	}
	ref, err := reference.ParseNormalizedNamed(strings.TrimSuffix(name, ":")) // `pull -a` of old clients sends "name:"
	if err != nil {
		return nil, invalid("%s", err)
	}
	if tag == "" {
		return ref, nil
	}
	if dgst, err := digest.Parse(tag); err == nil {
		ref, err := reference.WithDigest(reference.TrimNamed(ref), dgst)
		return orInvalid(ref, err)
	}
	tagged, err := reference.WithTag(reference.TrimNamed(ref), tag)
	return orInvalid(tagged, err)
}

func orInvalid(ref reference.Named, err error) (reference.Named, error) {
	if err != nil {
		return nil, invalid("%s", err)
	}
	return ref, nil
}

// registryAuth reads the X-Registry-Auth header. As in docker, one that cannot
// be read counts as none.
func registryAuth(r *request) *registry.AuthConfig {
	auth, err := authconfig.Decode(r.Header.Get(registry.AuthHeader))
	if err != nil || *auth == (registry.AuthConfig{}) {
		return nil
	}
	return auth
}

func (s *server) pushImage(w http.ResponseWriter, r *request) error {
	ref, err := reference.ParseNormalizedNamed(r.PathValue("name"))
	if err != nil {
		return invalid("%s", err)
	}
	if _, isDigest := ref.(reference.Digested); isDigest {
		return invalid("cannot push a digest reference")
	}
	if tag := r.query.Get("tag"); tag != "" {
		if ref, err = orInvalid(reference.WithTag(reference.TrimNamed(ref), tag)); err != nil {
			return err
		}
	}
	platform, err := r.platform("platform")
	if err != nil {
		return err
	}
	auth := registryAuth(r)
	return streamProgress(w, r, func(progress backend.Progress) error {
		return s.Images.Push(r.Context(), backend.Push{Ref: ref, Platform: platform, Auth: auth, Progress: progress})
	})
}

func (s *server) tagImage(w http.ResponseWriter, r *request) error {
	repo, tag := r.query.Get("repo"), r.query.Get("tag")
	ref, err := reference.ParseNormalizedNamed(repo)
	if err != nil {
		return invalid("%s", err)
	}
	if _, isDigest := ref.(reference.Digested); isDigest {
		return invalid("refusing to create a tag with a digest reference")
	}
	if err := s.Images.Tag(r.Context(), r.PathValue("name"), repo, tag); err != nil {
		return err
	}
	w.WriteHeader(http.StatusCreated)
	return nil
}

func (s *server) removeImage(w http.ResponseWriter, r *request) error {
	name := r.PathValue("name")
	if strings.TrimSpace(name) == "" {
		return invalid("image name cannot be blank")
	}
	platforms, err := r.platforms("platforms")
	if err != nil {
		return err
	}
	list, err := s.Images.Remove(r.Context(), name, backend.ImageRemove{
		Force: r.flag("force"), NoPrune: r.flag("noprune"), Platforms: platforms,
	})
	return replyList(w, list, err)
}

func (s *server) pruneImages(w http.ResponseWriter, r *request) error {
	filters, err := r.filters()
	if err != nil {
		return err
	}
	deleted, freed, err := s.Images.Prune(r.Context(), filters)
	return reply(w, image.PruneReport{ImagesDeleted: deleted, SpaceReclaimed: freed}, err)
}

func (s *server) inspectDistribution(w http.ResponseWriter, r *request) error {
	ref, err := reference.ParseAnyReference(r.PathValue("name"))
	if err != nil {
		return invalid("%s", err)
	}
	named, ok := ref.(reference.Named)
	if !ok {
		return invalid("unknown image reference format: %s", r.PathValue("name"))
	}
	found, err := s.Images.Distribution(r.Context(), reference.TagNameOnly(named), registryAuth(r))
	return reply(w, found, err)
}
