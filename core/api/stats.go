package api

import (
	"encoding/json"
	"io"
	"net/http"

	"github.com/moby/moby/api/types"
	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/backend"
)

// containerStats streams unless it is told not to. The answer begins with the
// first sample, so that errors before it are answers of their own.
func (s *server) containerStats(w http.ResponseWriter, r *request) error {
	stream := !r.query.Has("stream") || r.flag("stream")
	oneShot := r.flag("one-shot") && !r.before("1.41")
	if stream && oneShot && r.before("1.52") {
		return invalid("cannot have stream=true and one-shot=true")
	}
	var out io.Writer
	err := s.Containers.Stats(r.Context(), r.PathValue("name"), backend.ContainerStats{Stream: stream, OneShot: oneShot}, func(stats container.StatsResponse) error {
		if out == nil {
			if err := begin(w, types.MediaTypeJSON); err != nil {
				return err
			}
			out = flush(w)
		}
		line, err := json.Marshal(stats)
		if err == nil {
			_, err = out.Write(append(line, '\n'))
		}
		return err
	})
	if out != nil { // too late for another answer
		return nil
	}
	return err
}
