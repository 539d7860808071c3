// Package stats is `stats` at a terminal: the whole window, a row for each
// container with the last minute of its processor and memory as sparklines,
// sorted as the keys say. Containers come and go as the engine's events tell.
// It knows nothing but the Engine API, so every engine can be watched.
//
// Figures go: engine → collect.go → model.go → view.go, which makes texts of
// the window's width → terminal.go. The terminal is given back whatever ends
// the view: a key, the context, a panic, an engine that is gone.
package stats

import (
	"context"
	"os"
	"os/signal"
	"time"

	"github.com/moby/moby/client"
	"golang.org/x/sys/unix"
)

// Options are what the view needs.
type Options struct {
	Client  client.APIClient
	In      int // descriptor of the keys' terminal; -1: none
	Out     *os.File
	Colours bool
	All     bool     // also containers that do not run
	Names   []string // only these
}

// interval is how often new figures are shown; engines send some every second.
const interval = 500 * time.Millisecond

// Run shows the view until the person leaves it, or the context ends. It needs
// a terminal that understands cursor movement behind Out.
func Run(ctx context.Context, o Options) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	c := newCollector(o.Client, newModel(), o.All)
	defer c.wait.Wait()
	defer cancel()
	if err := c.begin(ctx, o.Names); err != nil {
		return err
	}
	s, err := openScreen(o.In, o.Out)
	if err != nil {
		return err
	}
	defer func() {
		if failed := s.close(); failed != nil && err == nil {
			err = failed
		}
	}()
	l := &loop{collector: c, screen: s, out: o.Out, view: view{by: byCPU, colours: o.Colours}}
	c.spawn(func() { l.askHost(ctx, o.Client) })
	return l.run(ctx)
}

// loop waits for what may change the picture.
type loop struct {
	collector *collector
	screen    *screen
	out       *os.File
	view      view
}

// askHost finds out what the host has; without an answer the head has no totals.
func (l *loop) askHost(ctx context.Context, c client.APIClient) {
	found, err := c.Info(ctx, client.InfoOptions{})
	if err != nil {
		return
	}
	l.collector.model.mu.Lock()
	l.view.host = host{name: found.Info.Name, cpus: found.Info.NCPU, memory: float64(found.Info.MemTotal)}
	l.collector.model.mu.Unlock()
	l.collector.model.tell()
}

func (l *loop) run(ctx context.Context) error {
	stop, more := make(chan struct{}), make(chan struct{}, 1)
	keys, readerEnded := l.screen.keys(stop, more)
	defer func() { close(stop); <-readerEnded }()
	resized := make(chan os.Signal, 1)
	signal.Notify(resized, unix.SIGWINCH)
	defer signal.Stop(resized)
	tick := time.NewTicker(interval)
	defer tick.Stop()
	for dirty := true; ; {
		if dirty {
			if err := l.draw(); err != nil {
				return err
			}
		}
		dirty = true
		select {
		case key, ok := <-keys:
			if !ok || l.key(key) {
				return nil
			}
			more <- struct{}{}
		case <-resized:
		case <-tick.C:
			select {
			case <-l.collector.model.changed:
			default:
				dirty = false
			}
		case err := <-l.collector.failed:
			return err
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

func (l *loop) draw() error {
	l.view.cols, l.view.rows = sizeOf(l.out)
	list := l.collector.model.rows(l.view.by, l.view.reversed)
	l.collector.model.mu.Lock()
	frame := l.view.frame(list, time.Now())
	l.collector.model.mu.Unlock()
	return l.screen.show(frame, l.view.cols)
}

// Keys.
const (
	ctrlC    = "\x03"
	ctrlD    = "\x04"
	up       = "\x1b[A"
	down     = "\x1b[B"
	pageUp   = "\x1b[5~"
	pageDown = "\x1b[6~"
	home     = "\x1b[H"
	end      = "\x1b[F"
)

// key does what a key asks for; leave is true for those that leave the view.
func (l *loop) key(key string) (leave bool) {
	v := &l.view
	total := len(l.collector.model.rows(v.by, v.reversed))
	switch key {
	case "q", "Q", ctrlC, ctrlD, "\x1b":
		return true
	case "c", "m", "n", "i", "C", "M", "N", "I":
		by := order(key[0] | 0x20)
		v.reversed = by == v.by && !v.reversed
		v.by, v.top = by, 0
	case up, "\x1bOA", "k":
		v.scroll(-1, total)
	case down, "\x1bOB", "j":
		v.scroll(1, total)
	case pageUp:
		v.scroll(-max(1, v.body()), total)
	case pageDown, " ":
		v.scroll(max(1, v.body()), total)
	case home, "\x1bOH", "\x1b[1~", "g":
		v.top = 0
	case end, "\x1bOF", "\x1b[4~", "G":
		v.scroll(total, total)
	}
	return false
}
