package container

import (
	"context"
	"encoding/binary"
	"io"
	"maps"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/pkg/stdcopy"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/container/logs"
)

// timestampFormat is docker's: nanoseconds with all their zeros, so that lines stay aligned.
const timestampFormat = "2006-01-02T15:04:05.000000000Z07:00"

// Logs writes what a container has written, and what it still writes.
func (m *Module) Logs(ctx context.Context, name string, opts backend.ContainerLogs, open func(tty bool) (io.Writer, error)) error {
	if !opts.Stdout && !opts.Stderr {
		return invalid("You must choose at least one stream")
	}
	l, err := m.lookUp(ctx, name)
	if err != nil {
		return err
	}
	driver := l.HostConfig.LogConfig.Type
	if !readable(driver) {
		return errdefs.ErrNotImplemented.WithMessage("configured logging driver does not support reading")
	}
	w, err := open(l.Config.Tty)
	if err != nil {
		return err
	}
	read := logs.Options{Since: opts.Since, Until: opts.Until, Tail: opts.Tail}
	if opts.Follow && l.state != nil {
		if !opts.Until.IsZero() {
			var cancel context.CancelFunc
			ctx, cancel = context.WithDeadline(ctx, opts.Until)
			defer cancel()
		}
		ended, stop := m.endOf(ctx, l)
		defer stop()
		read.Ended = ended
	}
	err = logs.Read(ctx, m.logPath(l.ID, driver), read, logPrinter(w, opts, l.Config.Tty))
	if ctx.Err() != nil && !opts.Until.IsZero() && !time.Now().Before(opts.Until) {
		return nil
	}
	return err
}

// endOf is closed when a running container has ended, or its shim has died.
func (m *Module) endOf(ctx context.Context, l live) (ended <-chan struct{}, stop func()) {
	over := make(chan struct{})
	ctx, cancel := context.WithCancel(ctx)
	client, err := m.client(ctx, l.ID)
	if err != nil {
		close(over)
		return over, cancel
	}
	waiting, err := client.Wait(ctx)
	if err != nil {
		close(over)
		return over, cancel
	}
	go func() {
		defer close(over)
		<-waiting
	}()
	return over, cancel
}

// logPrinter words entries as the request wants them.
func logPrinter(w io.Writer, opts backend.ContainerLogs, tty bool) func(logs.Entry) error {
	return func(e logs.Entry) error {
		stderr := e.Stream == "stderr"
		if stderr && !opts.Stderr || !stderr && !opts.Stdout {
			return nil
		}
		line := e.Line
		if opts.Details {
			line = details(e.Attrs) + " " + line
		}
		if opts.Timestamps {
			line = e.Time.Format(timestampFormat) + " " + line
		}
		if tty {
			_, err := io.WriteString(w, line)
			return err
		}
		stream := stdcopy.Stdout
		if stderr {
			stream = stdcopy.Stderr
		}
		return writeFrame(w, stream, []byte(line))
	}
}

func details(attrs map[string]string) string {
	var pairs []string
	for _, key := range slices.Sorted(maps.Keys(attrs)) {
		pairs = append(pairs, url.QueryEscape(key)+"="+url.QueryEscape(attrs[key]))
	}
	return strings.Join(pairs, ",")
}

// writeFrame puts docker's 8-byte header before the data: the stream, three
// zeros, the length.
func writeFrame(w io.Writer, stream stdcopy.StdType, data []byte) error {
	frame := make([]byte, 8, 8+len(data))
	frame[0] = byte(stream)
	binary.BigEndian.PutUint32(frame[4:], uint32(len(data)))
	_, err := w.Write(append(frame, data...))
	return err
}
