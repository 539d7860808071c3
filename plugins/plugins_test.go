package plugins

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
)

func TestNearest(t *testing.T) {
	commands := []string{"images", "image", "ps", "pull", "push", "run", "rm", "rmi", "restart", "rename", "inspect"}
	for word, want := range map[string]string{
		"imgaes": "images", "pul": "pull", "insepct": "inspect", "rn": "run", "xyz": "", "": "", "restat": "restart", "resta": "restart", "frobnicate": "",
	} {
		if got := Nearest(word, commands); got != want {
			t.Errorf("Nearest(%q) = %q, want %q", word, got, want)
		}
	}
}

// TestExecute: what a command returns becomes an exit status and a message.
func TestExecute(t *testing.T) {
	interrupted, cancel := context.WithCancelCause(t.Context())
	cancel(&SignalError{Signal: os.Interrupt})
	_, brokenPipe := os.NewFile(^uintptr(0), "closed").WriteString("x")
	for _, c := range []struct {
		name   string
		ctx    context.Context
		err    error
		status int
		text   string
	}{
		{"nothing", t.Context(), nil, 0, ""},
		{"an error", t.Context(), errors.New("no such image: x"), 1, "no such image: x\n"},
		{"a status", t.Context(), &StatusError{Status: 125, Err: errors.New("unknown flag")}, 125, "unknown flag\n"},
		{"a silent status", t.Context(), &StatusError{Status: 42}, 42, ""},
		{"a wrapped status", t.Context(), fmt.Errorf("start: %w", &StatusError{Status: 126, Err: errors.New("denied")}), 126, "start: denied\n"},
		{"Ctrl-C", interrupted, fmt.Errorf("pull: %w", context.Canceled), 130, ""},
		{"an error after Ctrl-C", interrupted, errors.New("half done"), 1, "half done\n"},
		{"the reader has left", t.Context(), &os.PathError{Op: "write", Path: "|1", Err: syscall.EPIPE}, 141, ""},
		{"another write error", t.Context(), brokenPipe, 1, "invalid argument\n"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var errs bytes.Buffer
			cleaned := 0
			command := &Command{Name: "x", Build: func(inv *Invocation) (*cobra.Command, error) {
				inv.Defer(func() { cleaned++ })
				root := NewRoot()
				root.AddCommand(&cobra.Command{Use: "x", RunE: func(*cobra.Command, []string) error { return c.err }})
				return root, nil
			}}
			status := Execute(c.ctx, command, &Invocation{Args: []string{"x"}, Err: &errs})
			if status != c.status || errs.String() != c.text || cleaned != 1 {
				t.Errorf("status %d, printed %q, cleaned %d times; want %d, %q, once", status, errs.String(), cleaned, c.status, c.text)
			}
		})
	}
}

// TestAbandon: a command that does not end gives back what it has taken.
func TestAbandon(t *testing.T) {
	ctx, abandon := WithAbandon(t.Context())
	given, started, release := make(chan bool, 1), make(chan bool), make(chan bool)
	command := &Command{Name: "x", Build: func(inv *Invocation) (*cobra.Command, error) {
		inv.Defer(func() { given <- true })
		root := NewRoot()
		root.AddCommand(&cobra.Command{Use: "x", Run: func(*cobra.Command, []string) {
			close(started)
			<-release
		}})
		return root, nil
	}}
	ended := make(chan int)
	go func() { ended <- Execute(ctx, command, &Invocation{Args: []string{"x"}, Err: &strings.Builder{}}) }()
	<-started
	abandon()
	<-given
	close(release)
	if status := <-ended; status != 0 {
		t.Errorf("status %d", status)
	}
}

func TestRegistry(t *testing.T) {
	r := NewRegistry()
	if err := r.Add(Command{Name: "ls", Aliases: []string{"list"}, Plugin: "a"}); err != nil {
		t.Fatal(err)
	}
	if c, ok := r.Lookup("list"); !ok || c.Name != "ls" {
		t.Errorf("alias: %v, %v", c, ok)
	}
	if err := r.Add(Command{Name: "list", Plugin: "b"}); err == nil || !strings.Contains(err.Error(), "already registered by plugin a") {
		t.Errorf("a name that is taken: %v", err)
	}
	if err := r.Add(Command{Name: "../x"}); err == nil {
		t.Error("a name with a path was accepted")
	}
	if len(r.Commands()) != 1 {
		t.Errorf("%d commands", len(r.Commands()))
	}
}

func TestNamesOfCommands(t *testing.T) {
	for name, good := range map[string]bool{"ls": true, "7z": true, "a-b_c.d": true, "": false, "-a": false, ".a": false, "Ls": false, "a b": false, "ä": false, "a\n": false} {
		err := NewRegistry().Add(Command{Name: name, Plugin: "p"})
		if good != (err == nil) {
			t.Errorf("command %q: %v", name, err)
		}
	}
}
