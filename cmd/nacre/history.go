package main

import (
	"sync"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/repl/history"
)

// lazyHistory opens the history when it is first asked for.
type lazyHistory struct {
	environment []string
	engine      func() string

	mu     sync.Mutex
	opened *history.Store
}

// open returns the history, which is one in memory where there is no file; the
// error says so, once.
func (l *lazyHistory) open() (*history.Store, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened != nil {
		return l.opened, nil
	}
	s, err := history.Open(history.Path(expandEnv(l.environment)), history.Options{Engine: l.engine})
	l.opened = s
	return s, err
}

func (l *lazyHistory) close() error {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened == nil {
		return nil
	}
	err := l.opened.Close()
	l.opened = nil
	return err
}

// engineName names the engine that a command without options goes to at the moment.
func (p *program) engineName() string {
	env := p.environment
	if shell := p.prompting.Load(); shell != nil {
		env = shell.Env()
	}
	return p.namer.Name(p.options.globals, env)
}

// wrapHistory makes `history` list what was typed where no image is named.
func (p *program) wrapHistory() {
	p.registry.Wrap("history", func(docker *plugins.Command) plugins.Command { return history.Command(docker, p.history.open) })
}
