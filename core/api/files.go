package api

import (
	"encoding/base64"
	"encoding/json"
	"io"
	"net/http"
	"strings"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/backend"
)

// fileRoutes carry containers' files in and out.
func (s *server) fileRoutes() []route {
	return when(s.Files != nil, "files of containers", []route{
		{"HEAD /containers/{name}/archive", s.statPath},
		{"GET /containers/{name}/archive", s.getArchive},
		{"PUT /containers/{name}/archive", s.putArchive},
		{"GET /nacre/containers/{name}/files", s.listFolder},
		{"GET /nacre/images/files", s.listImageFolder},
		{"GET /containers/{name}/export", s.exportContainer},
		{"GET /containers/{name}/changes", s.containerChanges},
		{"POST /commit", s.commitContainer},
	})
}

const (
	tarType        = "application/x-tar"
	pathStatHeader = "X-Docker-Container-Path-Stat"
)

func (r *request) archivePath() (string, error) {
	path := r.query.Get("path")
	if path == "" {
		return "", invalid("bad parameter: path cannot be empty")
	}
	return path, nil
}

func setPathStat(h http.Header, stat container.PathStat) error {
	content, err := json.Marshal(stat)
	if err == nil {
		h.Set(pathStatHeader, base64.StdEncoding.EncodeToString(content))
	}
	return err
}

func (s *server) statPath(w http.ResponseWriter, r *request) error {
	path, err := r.archivePath()
	if err != nil {
		return err
	}
	stat, err := s.Files.StatPath(r.Context(), r.PathValue("name"), path)
	if err != nil {
		return err
	}
	return setPathStat(w.Header(), stat)
}

func (s *server) getArchive(w http.ResponseWriter, r *request) error {
	path, err := r.archivePath()
	if err != nil {
		return err
	}
	return streamed(func(started func()) error {
		return s.Files.Archive(r.Context(), r.PathValue("name"), path, func(stat container.PathStat) (io.Writer, error) {
			if err := setPathStat(w.Header(), stat); err != nil {
				return nil, err
			}
			started()
			return w, begin(w, tarType)
		})
	})
}

func (s *server) putArchive(w http.ResponseWriter, r *request) error {
	path, err := r.archivePath()
	if err != nil {
		return err
	}
	opts := backend.Extract{NoOverwriteDirNonDir: r.flag("noOverwriteDirNonDir"), CopyUIDGID: r.flag("copyUIDGID")}
	if err := s.Files.Extract(r.Context(), r.PathValue("name"), path, r.Body, opts); err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func (s *server) exportContainer(w http.ResponseWriter, r *request) error {
	return streamed(func(started func()) error {
		return s.Files.Export(r.Context(), r.PathValue("name"), func() (io.Writer, error) {
			started()
			return w, begin(w, "application/octet-stream")
		})
	})
}

// streamed runs a work that answers with an archive. Once its headers are
// sent, an error can only be told by breaking the connection off: a client
// must not take half an archive for a whole one.
func streamed(work func(started func()) error) error {
	begun := false
	err := work(func() { begun = true })
	if err != nil && begun {
		panic(http.ErrAbortHandler)
	}
	return err
}

func (s *server) containerChanges(w http.ResponseWriter, r *request) error {
	changes, err := s.Files.Changes(r.Context(), r.PathValue("name"))
	return replyList(w, changes, err)
}

func (s *server) commitContainer(w http.ResponseWriter, r *request) error {
	var config *container.Config
	if err := r.decode(w, &config); err != nil {
		return err
	}
	ref, err := imageName(r.query.Get("repo"), r.query.Get("tag"))
	if err != nil {
		return err
	}
	pause := r.flag("pause") || r.query.Get("pause") == ""
	id, err := s.Files.Commit(r.Context(), r.query.Get("container"), backend.ContainerCommit{
		Ref: ref, Config: config, Changes: r.query["changes"], Author: r.query.Get("author"), Comment: r.query.Get("comment"), Pause: pause,
	})
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusCreated, container.CommitResponse{ID: id})
}

// imageName reads the name for a new image; none is nil.
func imageName(repo, tag string) (reference.Named, error) {
	if repo == "" {
		return nil, nil
	}
	named, err := reference.ParseNormalizedNamed(repo)
	if err != nil {
		return nil, invalid("%s", strings.TrimSpace(err.Error()))
	}
	if reference.FamiliarName(named) == "sha256" {
		return nil, invalid("refusing to create an ambiguous tag using digest algorithm as name")
	}
	if _, isDigest := named.(reference.Digested); isDigest {
		return nil, invalid("refusing to create a tag with a digest reference")
	}
	if tag == "" {
		return reference.TagNameOnly(named), nil
	}
	tagged, err := reference.WithTag(reference.TrimNamed(named), tag)
	if err != nil {
		return nil, invalid("%s", err)
	}
	return tagged, nil
}
