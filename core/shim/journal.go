//go:build cgo

package shim

import (
	"bytes"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"maps"
	"strconv"
	"sync"
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

	mu      sync.Mutex
	ordinal uint64                  // of the last entry of this run
	long    map[string]*partialLine // of each stream, while a long line lasts
}

// partialLine counts the entries that one long line has become.
type partialLine struct {
	id      string
	ordinal int
}

func openJournal(opts shimapi.Log) (logSink, error) {
	if !journal.Enabled() {
		return nil, &shimapi.Error{Message: "journald is not enabled on this host", Class: shimapi.ClassInvalid}
	}
	file, err := openJSONLog(opts)
	fields := maps.Clone(opts.Journal)
	if fields == nil {
		fields = map[string]string{}
	}
	fields["CONTAINER_LOG_EPOCH"] = randomID()
	return &journalLog{fields: fields, file: file, long: map[string]*partialLine{}}, err
}

// randomID is as long as docker's ids are.
func randomID() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func (j *journalLog) write(stream string, messages [][]byte, now time.Time) error {
	priority := journal.PriInfo
	if stream == "stderr" {
		priority = journal.PriErr
	}
	var errs []error
	for _, m := range messages {
		line, whole := bytes.CutSuffix(m, []byte("\n"))
		fields := j.entry(stream, whole || len(m) < maxMessage)
		fields["SYSLOG_TIMESTAMP"] = now.UTC().Format(time.RFC3339Nano)
		errs = append(errs, journal.Send(string(line), priority, fields))
	}
	return errors.Join(append(errs, j.file.write(stream, messages, now))...)
}

// entry gives the fields of the next entry, docker's. Only a line that is
// longer than one entry has those of parts; last says that this one ends it.
func (j *journalLog) entry(stream string, last bool) map[string]string {
	j.mu.Lock()
	defer j.mu.Unlock()
	fields := maps.Clone(j.fields)
	j.ordinal++
	fields["CONTAINER_LOG_ORDINAL"] = strconv.FormatUint(j.ordinal, 10)
	part := j.long[stream]
	if part == nil && last {
		return fields
	}
	if part == nil {
		part = &partialLine{id: randomID()}
		j.long[stream] = part
	}
	part.ordinal++
	fields["CONTAINER_PARTIAL_ID"], fields["CONTAINER_PARTIAL_ORDINAL"] = part.id, strconv.Itoa(part.ordinal)
	fields["CONTAINER_PARTIAL_LAST"] = strconv.FormatBool(last)
	if last {
		delete(j.long, stream)
	} else {
		fields["CONTAINER_PARTIAL_MESSAGE"] = "true"
	}
	return fields
}

func (j *journalLog) close() { j.file.close() }
