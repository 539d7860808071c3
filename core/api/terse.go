package api

import (
	"encoding/json"
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
//	GET /nacre/table/containers?all=&limit=&filters=   a line for each
//	GET /nacre/table/images?all=&filters=              a line for each
//
// There may be thousands, and somebody waits: they come as tab-separated values. Of an image its id, its tags and
// its digests (names with commas between), when it was made (Unix seconds) and its size in bytes; of a container
// its id, its name without slash, the image's name and id, when it was made, its status, its command as a Go
// string, and its ports as docker's JSON, nothing where it has none.
func (s *server) terseRoutes() []route {
	return append(
		when(s.Containers != nil, "running containers", []route{{"GET /nacre/table/containers", s.terseContainers}}),
		when(s.Images != nil, "the image store", []route{{"GET /nacre/table/images", s.terseImages}})...)
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
	text := make([]byte, 0, 256*len(list))
	for _, c := range list {
		if text, err = appendContainer(text, c); err != nil {
			return err
		}
	}
	return writeLines(w, text)
}

func appendContainer(text []byte, c container.Summary) ([]byte, error) {
	name := ""
	if len(c.Names) > 0 {
		name = strings.TrimPrefix(c.Names[0], "/")
	}
	for _, field := range []string{c.ID, name, c.Image, c.ImageID} {
		text = append(append(text, field...), '\t')
	}
	text = strconv.AppendInt(text, c.Created, 10)
	text = append(append(append(text, '\t'), c.Status...), '\t')
	text = append(strconv.AppendQuote(text, c.Command), '\t')
	if len(c.Ports) > 0 {
		ports, err := json.Marshal(c.Ports)
		if err != nil {
			return nil, err
		}
		text = append(text, ports...)
	}
	return append(text, '\n'), nil
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
	return writeLines(w, text)
}

func writeLines(w http.ResponseWriter, text []byte) error {
	w.Header().Set("Content-Type", tabSeparated)
	w.Header().Set("Content-Length", strconv.Itoa(len(text))) // the reader makes room for all at once
	_, err := w.Write(text)
	return err
}
