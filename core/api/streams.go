package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"

	"github.com/moby/moby/api/pkg/stdcopy"
	"github.com/moby/moby/api/types"
	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/backend"
)

// streamRoutes are the container routes whose answer lasts.
func (s *server) streamRoutes() []route {
	return when(s.Containers != nil, "running containers", []route{
		{"GET /containers/{name}/logs", s.containerLogs},
		{"POST /containers/{name}/attach", s.attachContainer},
		{"GET /containers/{name}/attach/ws", s.attachWebsocket},
		{"POST /containers/{name}/wait", s.waitContainer},
		{"GET /containers/{name}/stats", s.containerStats},
	})
}

func (s *server) containerLogs(w http.ResponseWriter, r *request) error {
	opts, err := r.logOptions()
	if err != nil {
		return err
	}
	var out io.Writer
	open := func(tty bool) (io.Writer, error) {
		if err := begin(w, r.streamType(tty)); err != nil {
			return nil, err
		}
		out = flush(w)
		if !tty {
			out = frames{flush(w), stdcopy.Systemerr}
		}
		return flush(w), nil
	}
	err = s.Containers.Logs(r.Context(), r.PathValue("name"), opts, open)
	if out == nil {
		return err
	}
	if err != nil && r.Context().Err() == nil {
		_, _ = io.WriteString(out, "Error grabbing logs: "+messageOf(err)+"\n")
	}
	return nil
}

func (r *request) logOptions() (backend.ContainerLogs, error) {
	opts := backend.ContainerLogs{
		Stdout: r.flag("stdout"), Stderr: r.flag("stderr"), Follow: r.flag("follow"),
		Timestamps: r.flag("timestamps"), Details: r.flag("details"), Tail: -1,
	}
	if !opts.Stdout && !opts.Stderr {
		return opts, invalid("Bad parameters: you must choose at least one stream")
	}
	var err error
	if opts.Since, err = r.timestamp("since"); err != nil {
		return opts, err
	}
	if opts.Until, err = r.timestamp("until"); err != nil {
		return opts, err
	}
	if tail := r.query.Get("tail"); tail != "" && tail != "all" {
		if n, err := r.number("tail", -1); err == nil { // docker takes a bad number for all
			opts.Tail = n
		}
	}
	return opts, nil
}

// streamType is the content type of a container's output.
func (r *request) streamType(tty bool) string {
	if !tty && !r.before("1.42") {
		return types.MediaTypeMultiplexedStream
	}
	return types.MediaTypeRawStream
}

// waitContainer sends the headers as soon as the wait is registered: a client
// that waits for a container to end may start it when it has seen them.
func (s *server) waitContainer(w http.ResponseWriter, r *request) error {
	condition, err := r.waitCondition()
	if err != nil {
		return err
	}
	results, err := s.Containers.Wait(r.Context(), r.PathValue("name"), condition)
	if err != nil {
		return err
	}
	if !r.before("1.30") {
		if err := begin(w, types.MediaTypeJSON); err != nil {
			return nil
		}
	}
	select {
	case result := <-results:
		answer := container.WaitResponse{StatusCode: int64(result.StatusCode)}
		if result.Err != nil {
			answer.Error = &container.WaitExitError{Message: messageOf(result.Err)}
		}
		return finishJSON(w, answer)
	case <-r.Context().Done():
		return nil
	}
}

func (r *request) waitCondition() (container.WaitCondition, error) {
	condition := container.WaitCondition(r.query.Get("condition"))
	if condition == "" || r.before("1.30") {
		return container.WaitConditionNotRunning, nil
	}
	switch condition {
	case container.WaitConditionNotRunning, container.WaitConditionNextExit, container.WaitConditionRemoved:
		return condition, nil
	}
	return "", invalid("invalid condition: %q", string(condition))
}

func (s *server) attachContainer(w http.ResponseWriter, r *request) error {
	opts := backend.Attach{
		Stdin: r.flag("stdin"), Stdout: r.flag("stdout"), Stderr: r.flag("stderr"),
		Stream: r.flag("stream"), Logs: r.flag("logs"), DetachKeys: r.query.Get("detachKeys"),
	}
	return s.hijacked(w, r, func(ctx context.Context, hijack backend.Hijack) error {
		return s.Containers.Attach(ctx, r.PathValue("name"), opts, hijack)
	})
}

// frames writes to one stream of a multiplexed connection.
type frames struct {
	w    io.Writer
	kind stdcopy.StdType
}

func (f frames) Write(p []byte) (int, error) {
	header := [8]byte{0: byte(f.kind)}
	for i, n := 7, len(p); i >= 4; i, n = i-1, n>>8 {
		header[i] = byte(n)
	}
	if _, err := f.w.Write(append(header[:], p...)); err != nil {
		return 0, err
	}
	return len(p), nil
}

// left says whether an error only tells that the client has gone.
func left(err error) bool {
	return errors.Is(err, context.Canceled) || errors.Is(err, io.ErrClosedPipe) || strings.Contains(err.Error(), "broken pipe")
}
