// Package engine puts the engine together: it opens the store, makes the
// modules that work on it, and serves core/api over them, on connections in
// memory (Dial) and on sockets (Serve). There is no daemon: an engine lives as
// long as the command or the shell that opened it, and any number of them work
// on one store at the same time.
package engine

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/nacre-sh/nacre/core/api"
	"github.com/nacre-sh/nacre/core/apparmor"
	"github.com/nacre-sh/nacre/core/config"
	"github.com/nacre-sh/nacre/core/event"
	"github.com/nacre-sh/nacre/core/store"
	"github.com/nacre-sh/nacre/core/thread"
)

// closeGrace is how long Close waits for requests in work, whose contexts it
// has cancelled.
const closeGrace = 3 * time.Second

// RegisterHelpers announces the parts of the engine that run as this program
// again; main calls it before reexec.Init.
func RegisterHelpers() { apparmor.Register() }

// Options is what the program says to its engine. The zero value works.
type Options struct {
	Version     string              // of nacre
	Commit      string              // that it was built from
	Self        string              // this program's own file, beside which nacre-shim lies; empty: os.Executable
	Getenv      func(string) string // the user's environment; nil: os.Getenv
	ExpectStart bool                // a container will be started at once: its shim gets ready meanwhile
	Early       *EarlyShim          // of SpawnEarly; nil: none
	OnlyCreate  bool                // containers will be created and not started
	Collector   bool                // Self has the command `system collect`: what was removed is erased by a process of its own
	Log         *log.Logger         // what the HTTP server has to say; nil: nothing
	Config      config.File         // read afresh by every request that needs it; the zero value says nothing
}

func (o *Options) complete() {
	if o.Version == "" {
		o.Version = "dev"
	}
	if o.Getenv == nil {
		o.Getenv = os.Getenv
	}
	if o.Self == "" {
		if self, err := os.Executable(); err == nil {
			o.Self = self
		}
	}
}

// Engine is an open engine.
type Engine struct {
	store    *store.Store
	events   *event.Log
	opts     Options
	server   *http.Server
	memory   *memoryListener
	inMemory sync.Once      // starts serving memory
	work     sync.WaitGroup // requests in work
	cancel   context.CancelFunc
	closers  []func() error
	removing atomic.Bool // a request has removed something
	warm     func(n int) // of the containers
}

// Warm keeps n idle shims ready, so that a container's start does not wait for
// one. It is for a process that lives on, as the prompt; Close ends them.
func (e *Engine) Warm(n int) { e.warm(n) }

// Open opens the engine whose files lie at paths. Errors are
// errdefs.ErrPermissionDenied, errdefs.ErrFailedPrecondition (a newer nacre
// wrote the store) or errdefs.ErrDataLoss (the state file is damaged). It
// starts nothing and opens the layers only when they are needed.
func Open(ctx context.Context, paths store.Paths, opts Options) (*Engine, error) {
	opts.complete()
	st, err := store.Open(ctx, paths)
	if err != nil {
		return nil, err
	}
	e := &Engine{store: st, events: event.New(paths.Events()), opts: opts, memory: newMemoryListener()}
	backends, err := e.modules(ctx)
	if err != nil {
		return nil, errors.Join(err, e.closeModules())
	}
	base, cancel := context.WithCancel(context.WithoutCancel(ctx))
	e.cancel = cancel
	e.server = &http.Server{
		Handler:           e.counted(api.New(backends, api.Options{Version: opts.Version, Log: opts.Log})),
		ErrorLog:          logger(opts.Log),
		ReadHeaderTimeout: time.Minute,
		BaseContext:       func(net.Listener) context.Context { return base },
	}
	return e, nil
}

// counted keeps count of the requests in work, for Close.
func (e *Engine) counted(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		e.work.Add(1)
		defer e.work.Done()
		thread.GrowStack()
		if r.Method == http.MethodDelete || strings.HasSuffix(r.URL.Path, "/prune") || strings.HasPrefix(r.URL.Path, "/nacre/trash") || strings.HasPrefix(r.URL.Path, "/nacre/") && strings.HasSuffix(r.URL.Path, "/remove") {
			e.removing.Store(true)
		}
		next.ServeHTTP(w, r)
	})
}

// Close ends all connections and, once the requests in work have noticed,
// closes the store. Containers go on.
func (e *Engine) Close() error {
	e.cancel()
	errServer := e.server.Close()
	idle := make(chan struct{})
	go func() {
		e.work.Wait()
		close(idle)
	}()
	select {
	case <-idle:
	case <-time.After(closeGrace):
	}
	return errors.Join(errServer, e.memory.Close(), e.closeModules())
}

func (e *Engine) closeModules() error {
	var errs []error
	for i := len(e.closers) - 1; i >= 0; i-- {
		errs = append(errs, e.closers[i]())
	}
	e.closers = nil // closing twice is no error
	if err := e.store.Close(); err != nil {
		errs = append(errs, fmt.Errorf("close the store: %w", err))
	}
	return errors.Join(errs...)
}

func logger(given *log.Logger) *log.Logger {
	if given != nil {
		return given
	}
	return log.New(io.Discard, "", 0)
}
