package compat

import (
	"bytes"
	"context"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/creack/pty"

	"github.com/nacre-sh/nacre/tests/program"
)

// client is one docker command-line client.
type client struct {
	*testing.T
	binary string
}

// each runs a test with every client of this machine.
func each(t *testing.T, test func(c client)) {
	t.Helper()
	for _, binary := range clients(t) {
		t.Run(strings.ReplaceAll(strings.Trim(binary, "/"), "/", "-"), func(t *testing.T) { test(client{t, binary}) })
	}
}

func clients(t *testing.T) []string {
	t.Helper()
	first, err := exec.LookPath("docker")
	if err != nil {
		t.Fatal("docker's client is needed (Debian's package docker.io):", err)
	}
	const debian = "/usr/bin/docker"
	if _, err := os.Stat(debian); err != nil || first == debian {
		return []string{first}
	}
	return []string{first, debian}
}

// result is how one command ended.
type result struct {
	out, err string
	code     int
}

func (c client) command(args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute) // not the test's: clean-up runs commands too
	c.Cleanup(cancel)
	cmd := exec.CommandContext(ctx, c.binary, append([]string{"-H", setup.host}, args...)...)
	cmd.Env = program.Environ("DOCKER_CONFIG=" + c.config())
	return cmd
}

// config is an empty client configuration per test.
func (c client) config() string {
	dir := filepath.Join(os.TempDir(), "nacre-compat-config-"+strings.NewReplacer("/", "-").Replace(c.Name()))
	if err := os.MkdirAll(dir, 0o700); err != nil {
		c.Fatal(err)
	}
	c.Cleanup(func() { os.RemoveAll(dir) })
	return dir
}

// docker runs a command to its end.
func (c client) docker(args ...string) result {
	c.Helper()
	return c.feed(nil, args...)
}

// feed is docker with standard input.
func (c client) feed(in io.Reader, args ...string) result {
	c.Helper()
	var out, errs bytes.Buffer
	cmd := c.command(args...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = in, &out, &errs
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		c.Fatalf("docker %s: %v", strings.Join(args, " "), err)
	}
	return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
}

// ok is docker for commands that must succeed; it returns their output
// without the last newline.
func (c client) ok(args ...string) string {
	c.Helper()
	r := c.docker(args...)
	if r.code != 0 {
		c.Fatalf("docker %s: exit %d\n%s%s", strings.Join(args, " "), r.code, r.out, r.err)
	}
	return strings.TrimSuffix(r.out, "\n")
}

// fails is docker for commands that must fail with a status and a text.
func (c client) fails(code int, text string, args ...string) {
	c.Helper()
	r := c.docker(args...)
	if r.code != code || !strings.Contains(r.err, text) {
		c.Errorf("docker %s: exit %d, want %d with %q\n%s%s", strings.Join(args, " "), r.code, code, text, r.out, r.err)
	}
}

// pulled makes sure that the test image is there.
func (c client) pulled() string {
	c.Helper()
	if c.docker("image", "inspect", setup.image).code != 0 {
		c.ok("pull", "-q", setup.image)
	}
	return setup.image
}

// background starts a container that lives for the test.
func (c client) background(args ...string) string {
	c.Helper()
	id := c.ok(append([]string{"run", "-d"}, args...)...)
	c.Cleanup(func() { c.docker("rm", "-f", "-v", id) })
	return id
}

// eventually waits for a condition that another process brings about.
func (c client) eventually(what string, met func() bool) {
	c.Helper()
	for deadline := time.Now().Add(time.Minute); !met(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.Fatalf("%s did not happen", what)
		}
	}
}

// session is a command on a terminal.
type session struct {
	c      client
	tty    *os.File
	cmd    *exec.Cmd
	output chan []byte
	seen   strings.Builder
}

// terminal starts a command on a terminal of 40 rows and 100 columns.
func (c client) terminal(args ...string) *session {
	c.Helper()
	s := &session{c: c, cmd: c.command(args...), output: make(chan []byte, 64)}
	tty, err := pty.StartWithSize(s.cmd, &pty.Winsize{Rows: 40, Cols: 100})
	if err != nil {
		c.Fatal(err)
	}
	s.tty = tty
	c.Cleanup(func() { tty.Close() })
	go func() {
		defer close(s.output)
		for {
			p := make([]byte, 4096)
			n, err := tty.Read(p)
			if n > 0 {
				s.output <- p[:n]
			}
			if err != nil {
				return
			}
		}
	}()
	return s
}

func (s *session) typed(keys string) {
	s.c.Helper()
	if _, err := io.WriteString(s.tty, keys); err != nil {
		s.c.Fatal(err)
	}
}

// expect waits until the text has been printed, and forgets what came before.
func (s *session) expect(text string) {
	s.c.Helper()
	timeout := time.After(time.Minute)
	for !strings.Contains(s.seen.String(), text) {
		select {
		case p, more := <-s.output:
			if !more {
				s.c.Fatalf("the command ended before it printed %q: %q", text, s.seen.String())
			}
			s.seen.Write(p)
		case <-timeout:
			s.c.Fatalf("%q was not printed: %q", text, s.seen.String())
		}
	}
	_, rest, _ := strings.Cut(s.seen.String(), text)
	s.seen.Reset()
	s.seen.WriteString(rest)
}

// ends waits for the command's end and returns its status.
func (s *session) ends() int {
	s.c.Helper()
	go func() {
		for range s.output {
		}
	}()
	err := s.cmd.Wait()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		s.c.Fatal(err)
	}
	return s.cmd.ProcessState.ExitCode()
}
