package api

import (
	"encoding/json"
	"net/http"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types"
	"github.com/moby/moby/api/types/jsonstream"

	"github.com/nacre-sh/nacre/core/backend"
)

// progressMessage is a message as it goes over the wire: clients from before
// API 1.53 read the error's text from a field of its own.
type progressMessage struct {
	jsonstream.Message
	ErrorText string `json:"error,omitempty"`
}

// streamProgress runs a long work and sends its messages one by one. An error
// before the first message becomes the answer's status; later it is the last
// message.
func streamProgress(w http.ResponseWriter, r *request, work func(backend.Progress) error) error {
	out := flush(w)
	begun := false
	send := func(m progressMessage) {
		line, err := json.Marshal(m)
		if err != nil {
			return // a message that is no JSON is worth less than the work
		}
		if !begun {
			w.Header().Set("Content-Type", types.MediaTypeJSON)
			begun = true
		}
		_, _ = out.Write(append(line, '\r', '\n')) // a client that left is noticed by the context
	}
	err := work(func(m jsonstream.Message) { send(progressMessage{Message: m}) })
	if err == nil {
		if !begun {
			return begin(w, types.MediaTypeJSON)
		}
		return nil
	}
	text := messageOf(err)
	if !begun && errdefs.IsUnauthorized(err) {
		// Docker's engine does not answer 401 here: clients that see it ask
		// for a user name, in scripts too, and wait.
		return errdefs.ErrUnknown.WithMessage(text)
	}
	if !begun {
		return err
	}
	last := progressMessage{Message: jsonstream.Message{Error: &jsonstream.Error{Message: text}}}
	if r.before("1.53") {
		last.ErrorText = text
	}
	send(last)
	return nil
}
