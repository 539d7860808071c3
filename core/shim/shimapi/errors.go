package shimapi

import (
	"errors"

	"github.com/containerd/errdefs"
)

// Error is a shim's refusal. Its text is docker's where docker has one; Code
// is 126 or 127 where a command could not be run.
type Error struct {
	Message string
	Class   string // a key of classes; empty: internal
	Code    int
}

func (e *Error) Error() string { return e.Message }

// Unwrap gives the errdefs class, so that errors.Is works across the socket.
func (e *Error) Unwrap() error {
	if class, ok := classes[e.Class]; ok {
		return class
	}
	return errdefs.ErrInternal
}

// Names of error classes on the wire.
const (
	ClassNotFound     = "not_found"
	ClassConflict     = "conflict"
	ClassInvalid      = "invalid_argument"
	ClassPrecondition = "failed_precondition"
	ClassUnavailable  = "unavailable"
	ClassNotModified  = "not_modified"
	ClassInternal     = "internal"
)

var classes = map[string]error{
	ClassNotFound:     errdefs.ErrNotFound,
	ClassConflict:     errdefs.ErrConflict,
	ClassInvalid:      errdefs.ErrInvalidArgument,
	ClassPrecondition: errdefs.ErrFailedPrecondition,
	ClassUnavailable:  errdefs.ErrUnavailable,
	ClassNotModified:  errdefs.ErrNotModified,
	ClassInternal:     errdefs.ErrInternal,
}

// ReplyError puts an error into a reply; a nil error gives an empty one.
func ReplyError(err error) Reply {
	if err == nil {
		return Reply{}
	}
	var e *Error
	if errors.As(err, &e) {
		return Reply{Error: e.Message, Class: e.Class, Code: e.Code}
	}
	for name, class := range classes {
		if errors.Is(err, class) {
			return Reply{Error: err.Error(), Class: name}
		}
	}
	return Reply{Error: err.Error(), Class: ClassInternal}
}

// Err is the reverse of ReplyError.
func (r Reply) Err() error {
	if r.Error == "" {
		return nil
	}
	return &Error{Message: r.Error, Class: r.Class, Code: r.Code}
}
