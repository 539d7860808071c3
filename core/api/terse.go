package api

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"

	"github.com/nacre-sh/nacre/core/backend"
)

// terseRoutes are nacre's own: lists with no more in them than the tables of
// `ps` and `images` show. Docker's documents are three times as long, and
// writing and reading them was half of what such a table cost. Queries are
// those of docker's lists:
//
//	GET /nacre/table/containers?all=&limit=&filters=   []terseContainer
//	GET /nacre/table/images?all=&filters=              a line for each
//
// Of images there may be ten thousand, and a prompt waits: they come as
// tab-separated values, an image's id, its tags and its digests (names with
// commas between), when it was made (Unix seconds) and its size in bytes.
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
	return writeImageLines(w, list)
}

const tabSeparated = "text/tab-separated-values"

func writeImageLines(w http.ResponseWriter, list []image.Summary) error {
	text := make([]byte, 0, 160*len(list))
	names := func(names []string) {
		text = append(text, '\t')
		for i, name := range names {
			if i > 0 {
				text = append(text, ',')
			}
			text = append(text, name...)
		}
	}
	for _, img := range list {
		text = append(text, img.ID...)
		names(img.RepoTags)
		names(img.RepoDigests)
		text = strconv.AppendInt(append(text, '\t'), img.Created, 10)
		text = strconv.AppendInt(append(text, '\t'), img.Size, 10)
		text = append(text, '\n')
	}
	w.Header().Set("Content-Type", tabSeparated)
	_, err := w.Write(text)
	return err
}
