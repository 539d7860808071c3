package compat

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"io"
	"math/rand/v2"
	"strings"
	"testing"
)

func TestRunStatuses(t *testing.T) {
	each(t, func(c client) {
		img := c.pulled()
		if got := c.ok("run", "--rm", img, "echo", "hi"); got != "hi" {
			c.Errorf("got %q", got)
		}
		c.fails(7, "", "run", "--rm", img, "sh", "-c", "exit 7")
		c.fails(127, "executable file not found", "run", "--rm", img, "nosuchcommand")
		c.fails(126, "permission denied", "run", "--rm", img, "/etc/passwd")
		c.fails(125, "Unable to find image", "run", "--rm", setup.registry.Addr+"/no/such:1")
		c.fails(125, "", "run", "--rm", "--network", "nosuchnetwork", img, "true")
	})
}

func TestRunStreams(t *testing.T) {
	each(t, func(c client) {
		img := c.pulled()
		if r := c.docker("run", "--rm", img, "sh", "-c", "echo out; echo err >&2; exit 3"); r != (result{"out\n", "err\n", 3}) {
			c.Errorf("got %+v", r)
		}
		data := bytes.Repeat([]byte("0123456789abcdef"), 1<<18) // 4 MiB
		r := c.feed(bytes.NewReader(data), "run", "--rm", "-i", img, "sha256sum")
		if want := fmt.Sprintf("%x", sha256.Sum256(data)); !strings.HasPrefix(r.out, want) {
			c.Errorf("standard input was changed on the way: %+v", r)
		}
		r = c.feed(bytes.NewReader(data), "run", "--rm", "-i", img, "cat")
		if sha256.Sum256([]byte(r.out)) != sha256.Sum256(data) {
			c.Errorf("%d bytes came back of %d: %s", len(r.out), len(data), r.err)
		}
	})
}

// 64 MiB through a container and back, by every way that there is; whoever
// sends says by closing its half that there is no more.
func TestManyBytesUnchanged(t *testing.T) {
	c := client{t, clients(t)[0]} // one is enough for so much
	img := c.pulled()
	for _, name := range []string{"bytes", "echoer", "starter"} {
		c.docker("rm", "-f", name)
		t.Cleanup(func() { c.docker("rm", "-f", name) })
	}
	unlogged := func(words ...string) { c.ok(append(words, "--log-driver", "none", img, "cat")...) }
	unlogged("run", "-di", "--name", "bytes")
	unlogged("create", "-i", "--name", "starter")
	unlogged("create", "-i", "--name", "echoer")
	c.ok("start", "echoer")
	for name, args := range map[string][]string{
		"run":    {"run", "--rm", "-i", "--log-driver", "none", img, "cat"},
		"exec":   {"exec", "-i", "bytes", "cat"},
		"attach": {"attach", "echoer"},
		"start":  {"start", "-ai", "starter"},
	} {
		sum, size := sha256.New(), int64(64<<20)
		data := io.LimitReader(rand.NewChaCha8([32]byte{1}), size) // random, the same each time
		r := c.feed(io.TeeReader(data, sum), args...)
		if got := sha256.Sum256([]byte(r.out)); r.code != 0 || !bytes.Equal(got[:], sum.Sum(nil)) {
			c.Errorf("%s: %d bytes came back of %d: status %d: %s", name, len(r.out), size, r.code, r.err)
		}
	}
}

func TestRunOnATerminal(t *testing.T) {
	each(t, func(c client) {
		s := c.terminal("run", "-it", "--rm", c.pulled(), "sh")
		s.expect("# ")
		s.typed("stty size\n")
		s.expect("40 100")
		s.typed("echo $((6*7)); exit 5\n")
		s.expect("42")
		if code := s.ends(); code != 5 {
			c.Errorf("status %d", code)
		}
	})
}

func TestDetachAndAttach(t *testing.T) {
	each(t, func(c client) {
		name := "detach"
		c.docker("rm", "-f", name)
		s := c.terminal("run", "-it", "--name", name, c.pulled(), "sh")
		c.Cleanup(func() { c.docker("rm", "-f", name) })
		s.expect("# ")
		s.typed("\x10\x11") // ctrl-p ctrl-q
		if code := s.ends(); code != 0 {
			c.Errorf("detach: status %d", code)
		}
		if got := c.ok("inspect", "-f", "{{.State.Running}}", name); got != "true" {
			c.Fatalf("running: %s", got)
		}
		s = c.terminal("attach", name)
		s.typed("\n")
		s.expect("# ")
		s.typed("exit 9\n")
		if code := s.ends(); code != 9 {
			c.Errorf("attach: status %d", code)
		}
	})
}

func TestExec(t *testing.T) {
	each(t, func(c client) {
		id := c.background("--name", "exec", "-e", "A=1", c.pulled(), "sleep", "1000")
		if got := c.ok("exec", id, "echo", "hi"); got != "hi" {
			c.Errorf("got %q", got)
		}
		if r := c.docker("exec", id, "sh", "-c", "echo out; echo err >&2; exit 4"); r != (result{"out\n", "err\n", 4}) {
			c.Errorf("got %+v", r)
		}
		if r := c.feed(strings.NewReader("fed"), "exec", "-i", id, "cat"); r.out != "fed" {
			c.Errorf("got %+v", r)
		}
		if got := c.ok("exec", "-e", "B=2", "-w", "/tmp", "-u", "nobody", id, "sh", "-c", "echo $A$B $(pwd) $(id -un)"); got != "12 /tmp nobody" {
			c.Errorf("got %q", got)
		}
		c.ok("exec", "-d", id, "touch", "/tmp/detached")
		c.eventually("the detached exec", func() bool { return c.docker("exec", id, "ls", "/tmp/detached").code == 0 })
		if r := c.docker("exec", id, "nosuchcommand"); r.code != 127 || !strings.Contains(r.out+r.err, "executable file not found") {
			c.Errorf("got %+v", r)
		}
		s := c.terminal("exec", "-it", id, "sh")
		s.expect("# ")
		s.typed("stty size; exit 6\n")
		s.expect("40 100")
		if code := s.ends(); code != 6 {
			c.Errorf("status %d", code)
		}
		c.fails(1, "No such container: nobody", "exec", "nobody", "true")
	})
}
