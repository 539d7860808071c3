//go:build cgo

package shim

import (
	"bytes"
	"errors"
	"maps"
	"time"

	"github.com/coreos/go-systemd/v22/journal"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// journalLog sends output to systemd's journal, and keeps a bounded file beside
// it for `logs`: reading the journal takes a C library that a static program
// cannot have. Docker keeps such a file for drivers that cannot be read.
type journalLog struct {
	fields map[string]string
	file   logSink
}

func openJournal(opts shimapi.Log) (logSink, error) {
	if !journal.Enabled() {
		return nil, &shimapi.Error{Message: "journald is not enabled on this host", Class: shimapi.ClassInvalid}
	}
	file, err := openJSONLog(opts)
	return &journalLog{fields: opts.Journal, file: file}, err
}

func (j *journalLog) write(stream string, messages [][]byte, now time.Time) error {
	priority := journal.PriInfo
	if stream == "stderr" {
		priority = journal.PriErr
	}
	var errs []error
	for _, m := range messages {
		line, whole := bytes.CutSuffix(m, []byte("\n"))
		fields := maps.Clone(j.fields)
		fields["SYSLOG_TIMESTAMP"] = now.UTC().Format(time.RFC3339Nano)
		if !whole {
			fields["CONTAINER_PARTIAL_MESSAGE"] = "true"
		}
		errs = append(errs, journal.Send(string(line), priority, fields))
	}
	return errors.Join(append(errs, j.file.write(stream, messages, now))...)
}

func (j *journalLog) close() { j.file.close() }
