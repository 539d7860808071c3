package api

import (
	"bytes"
	"encoding/json"
	"net/http"
	"strconv"

	"github.com/moby/moby/api/types"
)

// writeJSON answers with one JSON document.
func writeJSON(w http.ResponseWriter, status int, v any) error {
	var body bytes.Buffer
	enc := json.NewEncoder(&body)
	enc.SetEscapeHTML(false)
	if err := enc.Encode(v); err != nil {
		return err
	}
	w.Header().Set("Content-Type", types.MediaTypeJSON)
	w.Header().Set("Content-Length", strconv.Itoa(body.Len()))
	w.WriteHeader(status)
	_, _ = w.Write(body.Bytes()) // the client is gone; nobody is left to be told
	return nil
}

// finishJSON writes the document of an answer whose headers are sent already.
func finishJSON(w http.ResponseWriter, v any) error {
	_ = json.NewEncoder(w).Encode(v) // as above
	return nil
}

// reply is writeJSON for the common end of a handler: v unless err.
func reply[T any](w http.ResponseWriter, v T, err error) error {
	if err != nil {
		return err
	}
	return writeJSON(w, http.StatusOK, v)
}

// replyList is reply for lists, of which docker's clients expect [] when empty.
func replyList[T any](w http.ResponseWriter, list []T, err error) error {
	return reply(w, orEmpty(list), err)
}

// done is the common end of a handler that answers without a body.
func done(w http.ResponseWriter, err error) error {
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusNoContent)
	return nil
}

// ok is done for the few routes that answer 200.
func ok(w http.ResponseWriter, err error) error {
	if err != nil {
		return err
	}
	w.WriteHeader(http.StatusOK)
	return nil
}

func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// begin sends the headers of a stream at once, so that the client knows that
// its request was accepted.
func begin(w http.ResponseWriter, contentType string) error {
	w.Header().Set("Content-Type", contentType)
	w.WriteHeader(http.StatusOK)
	return http.NewResponseController(w).Flush()
}

// flushing passes every write on to the client at once.
type flushing struct {
	http.ResponseWriter
	rc *http.ResponseController
}

func flush(w http.ResponseWriter) flushing {
	return flushing{w, http.NewResponseController(w)}
}

func (f flushing) Write(p []byte) (int, error) {
	n, err := f.ResponseWriter.Write(p)
	if err != nil {
		return n, err
	}
	return n, f.rc.Flush()
}
