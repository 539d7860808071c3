// Package plugins is the one door through which everything that can be typed
// comes in. Docker's commands, `mirror`, `plugin`, `lua` are built-in plugins;
// Lua files and executables register through the same Registry and look the
// same to the shell: they run with an invocation's own streams, complete, and
// have help.
//
// A command is a cobra tree, built afresh for every invocation: cobra gives
// flags, help, suggestions and completion to all of them alike, and fresh
// trees let the parts of a pipeline run in parallel.
package plugins

import (
	"context"
	"io"
	"net"
	"sync"

	"github.com/spf13/cobra"
)

// Plugin is something that adds commands. Its life: Register is called once,
// in the order of the list of built-ins, then by discovery; Close once at the
// end, also after a Register that failed half way.
type Plugin interface {
	// Name is lower case, [a-z0-9][a-z0-9_.-]*, unique.
	Name() string
	Register(ctx context.Context, r *Registry) error
	Close() error
}

// Command is one word that can be typed.
type Command struct {
	Name    string
	Aliases []string
	Short   string // one line, for `help` and the completion menu
	Group   string // heading in `help`: management, container, image, nacre, plugin
	Plugin  string // who registered it; set by the Registry
	Hidden  bool

	// Build returns a fresh root command whose child Name is the command. The
	// root is executed with the invocation's arguments (Args[0] == Name).
	Build func(inv *Invocation) (*cobra.Command, error)
}

// Engine is where commands send their requests: the embedded engine, or a
// remote one. Dial opens a connection that speaks HTTP and can half-close.
type Engine interface {
	Dial(ctx context.Context) (net.Conn, error)
}

// Expecter is an Engine that can get ready for a command, of which it is told
// before that asks for a connection.
type Expecter interface{ Expect(command string) }

// Invocation is one run of one command. Nothing in it is the process's own
// unless the caller put it there.
type Invocation struct {
	Args   []string // Args[0] is the command's name
	In     io.Reader
	Out    io.Writer // *os.File where it is a terminal or a pipe to a host program
	Err    io.Writer
	Dir    string   // working directory: relative paths in arguments start here
	Env    []string // NAME=value
	Engine Engine
	// Globals are docker's options before the command (-H, --context, --config, …), already parsed off.
	Globals []string
	// Interactive is true at the prompt, where questions may be asked and colours used.
	Interactive bool
	// Pager is the command that shows what is longer than the window; "": none.
	Pager string
	// Shell executes another line or command (aliases, scripts, xargs). Never nil.
	Shell Shell
	// Offer takes a way to mend the line that the command (args) failed in, to ask for after the line; false where nobody can be
	// asked. May be nil.
	Offer func(args []string, o Offer) bool

	cleanup *cleanups
	detach  func(release func())
	streams func(out, errs io.Writer)
}

// cleanups is what an invocation has to undo. Its end may come from two sides:
// the command's own, and the shell's when it gives a command up.
type cleanups struct {
	mu   sync.Mutex
	list []func()
}

// Defer has a function called when the invocation has ended, whatever its
// outcome; the last one given is called first. Build uses it for what it opens.
func (inv *Invocation) Defer(f func()) {
	if inv.cleanup == nil {
		inv.cleanup = &cleanups{}
	}
	inv.cleanup.mu.Lock()
	defer inv.cleanup.mu.Unlock()
	inv.cleanup.list = append(inv.cleanup.list, f)
}

// Shell is what a command may ask of the shell that runs it.
type Shell interface {
	// Exec runs one command with the given invocation's streams and returns its exit status. Args[0] is a
	// nacre command or, when there is none of that name, a program of the host.
	Exec(ctx context.Context, inv *Invocation) int
	// Source runs shell text with the streams of inv and returns its exit status.
	Source(ctx context.Context, inv *Invocation, name string, text io.Reader) int
	// Registry lists what can be typed.
	Registry() *Registry
}

// Candidate is one completion.
type Candidate struct {
	Text        string // replaces the word under the cursor
	Description string
}

// Directive tells the editor how to treat candidates.
type Directive struct {
	NoSpace   bool     // the word is not finished
	NoFiles   bool     // do not offer files when there are no candidates
	Files     bool     // offer files
	Dirs      bool     // offer folders only
	Exts      []string // offer files with these endings
	KeepOrder bool
}
