//go:build cgo

package shim

import (
	"errors"
	"os"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// Exit codes of a command that could not be run, as shells and docker have them.
const (
	codeCannotRun = 126
	codeNotFound  = 127
	codeFailed    = 128 // anything else that kept the container from starting
)

// startError words a failed start as docker does: its clients look for these
// words, and users search for them. command is the first argument.
func startError(err error, command string) *shimapi.Error {
	return runError("failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: ", err, command)
}

// execError is startError for a further process.
func execError(err error, command string) *shimapi.Error {
	return runError("OCI runtime exec failed: exec failed: ", err, command)
}

func runError(prefix string, err error, command string) *shimapi.Error {
	text := err.Error()
	e := &shimapi.Error{Message: prefix + text + ": unknown", Code: exitCode(text, command)}
	if strings.Contains(text, unix.EISDIR.Error()) {
		e.Message += ": " + unix.EACCES.Error() // clients look for it, and exit with 126
	}
	if e.Code == codeCannotRun || e.Code == codeNotFound {
		e.Class = shimapi.ClassInvalid
	}
	if strings.Contains(text, unix.ENOTDIR.Error()) {
		e.Message += ": Are you trying to mount a directory onto a file (or vice-versa)? Check if the specified host path exists and is the expected type"
		e.Class = shimapi.ClassInvalid
	}
	return e
}

// exitCode reads the cause out of the text: it comes from the init, another
// process, and is nothing else.
func exitCode(text, command string) int {
	if strings.Contains(text, unix.EACCES.Error()) || strings.Contains(text, unix.EISDIR.Error()) {
		return codeCannotRun
	}
	if strings.Contains(text, "executable file not found") ||
		strings.Contains(text, command) && strings.Contains(text, unix.ENOENT.Error()) ||
		strings.Contains(text, unix.ENOTDIR.Error()) {
		return codeNotFound
	}
	return codeFailed
}

func conflict(message string) error {
	return &shimapi.Error{Message: message, Class: shimapi.ClassConflict}
}

func notRunning(id string) error {
	return conflict("container " + id + " is not running")
}

// gone tells whether a signal came too late.
func gone(err error) bool {
	return errors.Is(err, os.ErrProcessDone) || errors.Is(err, unix.ESRCH)
}
