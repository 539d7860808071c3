package main

import (
	"context"
	"net"
	"runtime/debug"
	"sync"

	"github.com/nacre-sh/nacre/core/engine"
	"github.com/nacre-sh/nacre/core/store"
)

// lazyEngine opens the embedded engine when a command first connects: help,
// scripts without container commands and remote engines never pay for it.
type lazyEngine struct {
	dataRoot, execRoot string
	starts             bool // the command that opens it will start a container

	mu     sync.Mutex
	opened *engine.Engine
}

func newLazyEngine(o *options) *lazyEngine {
	return &lazyEngine{dataRoot: o.dataRoot, execRoot: o.execRoot, starts: startsContainer(o.words)}
}

// startsContainer tells a one-shot command whose container's shim had better
// be on its way as soon as the engine opens.
func startsContainer(words []string) bool {
	for len(words) > 1 && (words[0] == "docker" || words[0] == "container") {
		words = words[1:]
	}
	return len(words) > 1 && (words[0] == "run" || words[0] == "start")
}

// Dial implements plugins.Engine. A failure to open is not remembered: the next
// command tries again.
func (l *lazyEngine) Dial(ctx context.Context) (net.Conn, error) {
	e, err := l.open(ctx)
	if err != nil {
		return nil, err
	}
	return e.Dial(ctx)
}

func (l *lazyEngine) open(ctx context.Context) (*engine.Engine, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened != nil {
		return l.opened, nil
	}
	paths, err := store.NewPaths(l.dataRoot, l.execRoot)
	if err != nil {
		return nil, err
	}
	// The engine outlives the command that happens to open it.
	e, err := engine.Open(context.WithoutCancel(ctx), paths, engine.Options{Version: version, Commit: commit(), ExpectStart: l.starts})
	if err != nil {
		return nil, err
	}
	l.opened = e
	return e, nil
}

func (l *lazyEngine) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened != nil {
		l.opened.Close()
		l.opened = nil
	}
}

// commit is the revision that this program was built from.
func commit() string {
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				return s.Value[:min(len(s.Value), 7)]
			}
		}
	}
	return ""
}
