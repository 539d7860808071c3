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

	mu     sync.Mutex
	opened *engine.Engine
}

func newLazyEngine(o *options) *lazyEngine {
	return &lazyEngine{dataRoot: o.dataRoot, execRoot: o.execRoot}
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
	e, err := engine.Open(context.WithoutCancel(ctx), paths, engine.Options{Version: version, Commit: commit()})
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
