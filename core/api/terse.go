package api

import (
	"net/http"
	"strings"

	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/backend"
)

// terseRoutes are nacre's own: lists with no more in them than the tables of
// `ps` and `images` show. Docker's documents are three times as long, and
// writing and reading them was half of what such a table cost. Queries are
// those of docker's lists:
//
//	GET /nacre/table/containers?all=&limit=&filters=   []terseContainer
//	GET /nacre/table/images?all=&filters=              []terseImage
func (s *server) terseRoutes() []route {
	return append(
		when(s.Containers != nil, "running containers", []route{{"GET /nacre/table/containers", s.terseContainers}}),
		when(s.Images != nil, "the image store", []route{{"GET /nacre/table/images", s.terseImages}})...)
}

type terseContainer struct {
	ID      string
	Image   string
	ImageID string
	Command string
	Created int64 // Unix seconds
	Status  string
	Ports   []container.PortSummary `json:",omitempty"`
	Name    string                  // without slash
}

type terseImage struct {
	ID      string
	Tags    []string `json:",omitempty"`
	Digests []string `json:",omitempty"` // as name@digest
	Created int64    // Unix seconds
	Size    int64    // bytes
}

func (s *server) terseContainers(w http.ResponseWriter, r *request) error {
	opts, err := r.containerList()
	if err != nil {
		return err
	}
	list, err := s.Containers.List(r.Context(), opts)
	if err != nil {
		return err
	}
	rows := make([]terseContainer, len(list))
	for i, c := range list {
		rows[i] = terseContainer{
			ID: c.ID, Image: c.Image, ImageID: c.ImageID, Command: c.Command, Created: c.Created, Status: c.Status, Ports: c.Ports,
		}
		if len(c.Names) > 0 {
			rows[i].Name = strings.TrimPrefix(c.Names[0], "/")
		}
	}
	return writeJSON(w, http.StatusOK, rows)
}

func (s *server) terseImages(w http.ResponseWriter, r *request) error {
	filters, err := r.filters()
	if err != nil {
		return err
	}
	list, err := s.Images.List(r.Context(), backend.ImageList{All: r.flag("all"), Filters: filters})
	if err != nil {
		return err
	}
	rows := make([]terseImage, len(list))
	for i, img := range list {
		rows[i] = terseImage{ID: img.ID, Tags: img.RepoTags, Digests: img.RepoDigests, Created: img.Created, Size: img.Size}
	}
	return writeJSON(w, http.StatusOK, rows)
}
