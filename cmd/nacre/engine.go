package main

import (
	"cmp"
	"context"
	"fmt"
	"io"
	"log"
	"net"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/nacre-sh/nacre/core/config"
	"github.com/nacre-sh/nacre/core/engine"
	"github.com/nacre-sh/nacre/core/store"
	"github.com/nacre-sh/nacre/core/thread"
)

// lazyEngine opens the embedded engine when a command first connects: help,
// scripts without container commands and remote engines never pay for it.
type lazyEngine struct {
	dataRoot, execRoot, config string
	verb                       string    // what the command that opens it does, where that is known
	errs                       io.Writer // takes warnings of the configuration file

	mu     sync.Mutex
	opened *engine.Engine
	early  *engine.EarlyShim // on its way before the engine is open
	warned bool
	closed bool // at the end of the process
}

func newLazyEngine(o *options, errs io.Writer) *lazyEngine {
	l := &lazyEngine{
		dataRoot: o.dataRoot, execRoot: o.execRoot, config: o.config, errs: errs, verb: firstVerb(o.words),
	}
	if startsProcess(l.verb) && !namesEngine(o) {
		engine.ExpectProcess(expected)
		if l.starts() {
			l.early = engine.SpawnEarly(engine.Options{})
		}
		if !slices.Contains(o.words, "--help") {
			go l.openAhead()
		}
	}
	return l
}

const (
	// expected is how long after a command began its process may be in coming.
	expected = 150 * time.Millisecond
	// foreseen is how long after a key was typed the line may be entered.
	foreseen = 2 * time.Second
)

// startsProcess tells whether a command starts a process.
func startsProcess(command string) bool {
	return command == "run" || command == "start" || command == "exec"
}

// starts tells whether the command starts a container.
func (l *lazyEngine) starts() bool { return l.verb == "run" || l.verb == "start" }

// namesEngine tells whether the command line or the environment names an engine, so that it is hardly this one.
func namesEngine(o *options) bool {
	return o.flags.Changed("host") || o.flags.Changed("context") || os.Getenv("DOCKER_HOST") != "" || os.Getenv("DOCKER_CONTEXT") != ""
}

// firstVerb is what a one-shot command does; something had better be on its
// way for it as soon as the engine opens.
func firstVerb(words []string) string {
	for len(words) > 1 && (words[0] == "docker" || words[0] == "container") {
		words = words[1:]
	}
	if len(words) < 2 { // it will only complain
		return ""
	}
	return words[0]
}

// Expect implements plugins.Expecter: a shell's engine is open already.
func (l *lazyEngine) Expect(command string) {
	if startsProcess(command) {
		l.expect(expected)
	}
}

// foresee looks at a line that is being typed: by the time it is entered, the
// kernel is ready for the process that it starts.
func (l *lazyEngine) foresee(line string) {
	if mayStart(line) {
		l.expect(foreseen)
	}
}

// mayStart tells whether a line has the word of a command that starts a process,
// wherever it stands: a wrong guess costs next to nothing.
func mayStart(line string) bool { return slices.ContainsFunc(strings.Fields(line), startsProcess) }

func (l *lazyEngine) expect(within time.Duration) {
	if !l.mu.TryLock() { // it is just being opened
		return
	}
	defer l.mu.Unlock()
	if l.opened != nil {
		engine.ExpectProcess(within)
	}
}

// Dial implements plugins.Engine. A failure to open is not remembered: the next
// command tries again.
func (l *lazyEngine) Dial(ctx context.Context) (net.Conn, error) {
	thread.GrowStack() // it may be a goroutine of its own that opens the engine
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
	file, cfg, paths, err := l.locate()
	if err != nil {
		return nil, err
	}
	return l.openAt(ctx, file, cfg, paths)
}

// openAhead opens the engine while the command that will use it is still being
// made, which takes as long. What is wrong with it is said when it is used. It
// makes none where there is none: the command may be about another one after all.
func (l *lazyEngine) openAhead() {
	thread.GrowStack()
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.opened != nil || l.closed {
		return
	}
	file, cfg, paths, err := l.locate()
	if err != nil {
		return
	}
	if _, err := os.Stat(paths.StateDB()); err == nil {
		_, _ = l.openAt(context.Background(), file, cfg, paths)
	}
}

// locate finds the engine's configuration and files. The caller holds the lock.
func (l *lazyEngine) locate() (config.File, config.Config, store.Paths, error) {
	file, cfg, err := l.configuration()
	if err != nil {
		return file, cfg, store.Paths{}, err
	}
	paths, err := roots(l.dataRoot, l.execRoot, cfg)
	return file, cfg, paths, err
}

// openAt opens the engine. The caller holds the lock.
func (l *lazyEngine) openAt(ctx context.Context, file config.File, cfg config.Config, paths store.Paths) (*engine.Engine, error) {
	opts := engine.Options{Version: version, Commit: commit(), Config: file, Collector: true,
		Early: l.early, ExpectStart: l.starts(), OnlyCreate: l.verb == "create"}
	if cfg.Debug {
		opts.Log = log.New(l.errs, "nacre: ", log.LstdFlags)
	}
	// The engine outlives the command that happens to open it.
	e, err := engine.Open(context.WithoutCancel(ctx), paths, opts)
	if err != nil {
		return nil, err
	}
	l.opened, l.early = e, nil
	return e, nil
}

// configuration reads the engine's file; what is odd about it is said once per
// process. The caller holds the lock.
func (l *lazyEngine) configuration() (config.File, config.Config, error) {
	file, err := config.Locate(l.config, cmp.Or(l.dataRoot, os.Getenv(store.EnvDataRoot)), os.Getenv)
	if err != nil {
		return file, config.Config{}, err
	}
	cfg, warnings, err := file.Check()
	if !l.warned {
		for _, w := range warnings {
			fmt.Fprintln(l.errs, "nacre: warning:", w)
		}
		l.warned = true
	}
	return file, cfg, err
}

// settings reads the engine's file for a command that needs it itself. Warnings
// come out with the first call, so the prompt makes one before it appears.
func (l *lazyEngine) settings() (config.Config, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	_, cfg, err := l.configuration()
	return cfg, err
}

// roots puts the configured roots behind those of the command line and of the environment.
func roots(dataRoot, execRoot string, cfg config.Config) (store.Paths, error) {
	return store.NewPaths(
		cmp.Or(dataRoot, os.Getenv(store.EnvDataRoot), cfg.DataRoot),
		cmp.Or(execRoot, os.Getenv(store.EnvExecRoot), cfg.ExecRoot),
	)
}

func (l *lazyEngine) close() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.closed = true
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
