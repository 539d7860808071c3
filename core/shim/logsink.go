//go:build cgo

package shim

import (
	"fmt"
	"time"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// logSink is where the container's output is kept. write gets complete lines,
// and pieces of maxMessage of longer ones, which have no newline; it may be
// called by two goroutines at once, and owns the messages.
type logSink interface {
	write(stream string, messages [][]byte, now time.Time) error
	close()
}

// openLog opens what the start asks for; nil keeps nothing.
func openLog(opts shimapi.Log) (logSink, error) {
	var sink logSink
	var err error
	switch opts.Driver {
	case shimapi.LogNone:
		return nil, nil
	case "", shimapi.LogJSONFile, shimapi.LogLocal:
		sink, err = openJSONLog(opts)
	case shimapi.LogJournald:
		sink, err = openJournal(opts)
	default:
		err = &shimapi.Error{Message: fmt.Sprintf("logger: no log driver named '%s' is registered", opts.Driver), Class: shimapi.ClassInvalid}
	}
	if err != nil {
		return nil, err
	}
	if opts.MaxBuffer > 0 {
		return newRing(sink, opts.MaxBuffer), nil
	}
	return sink, nil
}
