package image

import (
	"encoding/json"
	"io"
	"sync"
	"time"

	"github.com/moby/moby/api/types/jsonstream"

	"github.com/nacre-sh/nacre/core/backend"
)

// reporter sends docker's progress messages from any goroutine, one at a time.
type reporter struct {
	mu   sync.Mutex
	send backend.Progress // nil: nobody listens
}

func (r *reporter) message(m jsonstream.Message) {
	if r.send == nil {
		return
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.send(m)
}

// status says what happens to the layer with the given id; without an id, to
// the whole. A layer's comes with an empty bar, which tells docker's client to
// write it over the layer's line.
func (r *reporter) status(id, text string) {
	m := jsonstream.Message{ID: id, Status: text}
	if id != "" {
		m.Progress = &jsonstream.Progress{}
	}
	r.message(m)
}

// heading is a line of its own with something's name before it.
func (r *reporter) heading(name, text string) { r.message(jsonstream.Message{ID: name, Status: text}) }

// progress is a status with a bar; total is 0 where it is not known.
func (r *reporter) progress(id, text string, current, total int64) {
	r.message(jsonstream.Message{ID: id, Status: text, Progress: &jsonstream.Progress{Current: current, Total: max(total, 0)}})
}

// aux sends what programs read and people do not.
func (r *reporter) aux(value any) error {
	raw, err := json.Marshal(value)
	if err != nil {
		return err
	}
	message := json.RawMessage(raw)
	r.message(jsonstream.Message{Aux: &message})
	return nil
}

// progressEvery bounds how often one bar is redrawn.
const progressEvery = 100 * time.Millisecond

// progressReader reports what is read through it.
type progressReader struct {
	io.Reader
	report       *reporter
	id, text     string
	read, total  int64
	lastReported time.Time
}

func (p *progressReader) Read(b []byte) (int, error) {
	n, err := p.Reader.Read(b)
	p.read += int64(n)
	if now := time.Now(); now.Sub(p.lastReported) >= progressEvery || err == io.EOF {
		p.lastReported = now
		p.report.progress(p.id, p.text, p.read, p.total)
	}
	return n, err
}

// stream is text that people read as it is.
func (r *reporter) stream(text string) { r.message(jsonstream.Message{Stream: text}) }
