package api

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"strings"
	"unicode"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/common"
)

// statusClientClosedRequest tells a log, not a client, that the client left.
const statusClientClosedRequest = 499

// statuses is the one table from an error's class to the answer's status.
var statuses = map[error]int{
	errdefs.ErrInvalidArgument:    http.StatusBadRequest,
	errdefs.ErrOutOfRange:         http.StatusBadRequest,
	errdefs.ErrFailedPrecondition: http.StatusBadRequest,
	errdefs.ErrNotFound:           http.StatusNotFound,
	errdefs.ErrConflict:           http.StatusConflict,
	errdefs.ErrAlreadyExists:      http.StatusConflict,
	errdefs.ErrAborted:            http.StatusConflict,
	errdefs.ErrUnauthenticated:    http.StatusUnauthorized,
	errdefs.ErrPermissionDenied:   http.StatusForbidden,
	errdefs.ErrNotModified:        http.StatusNotModified,
	errdefs.ErrResourceExhausted:  http.StatusTooManyRequests,
	errdefs.ErrNotImplemented:     http.StatusNotImplemented,
	errdefs.ErrUnavailable:        http.StatusServiceUnavailable,
	context.Canceled:              statusClientClosedRequest,
	context.DeadlineExceeded:      http.StatusGatewayTimeout,
}

// statusOf is the status for an error, by the outermost class in its chain.
func statusOf(err error) int {
	var tooLarge *http.MaxBytesError
	if errors.As(err, &tooLarge) {
		return http.StatusRequestEntityTooLarge
	}
	if status, ok := statuses[errdefs.Resolve(err)]; ok {
		return status
	}
	return http.StatusInternalServerError
}

// messageOf is an error's text for a person: the name of the class, which
// `fmt.Errorf("…: %w", errdefs.ErrNotFound)` leaves at the end, is left out.
func messageOf(err error) string {
	text := err.Error()
	class := errdefs.Resolve(err).Error()
	text = strings.TrimSuffix(text, ": "+class)
	return strings.Map(harmless, text)
}

// harmless takes the meaning off what would drive the terminal of whoever reads
// an error: much of it was written by the maker of an image or an archive.
func harmless(r rune) rune {
	if r != '\n' && r != '\t' && (unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r)) {
		return unicode.ReplacementChar
	}
	return r
}

// writeError answers with docker's error object; 304 has no body.
func writeError(w http.ResponseWriter, err error) {
	status := statusOf(err)
	if status == http.StatusNotModified {
		w.WriteHeader(status)
		return
	}
	writeJSON(w, status, common.ErrorResponse{Message: messageOf(err)})
}

func invalid(format string, args ...any) error {
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, args...))
}

// notServed is the answer for the parts of docker's API that this engine lacks.
func notServed(what string) error {
	return errdefs.ErrNotImplemented.WithMessage(what + " is not served by this engine yet")
}

var errPageNotFound = errdefs.ErrNotFound.WithMessage("page not found")

func errNetworkElsewhere(name string) error {
	return errdefs.ErrNotFound.WithMessage("network " + name + " not found")
}
