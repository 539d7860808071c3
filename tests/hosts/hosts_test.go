// Package hosts tries networks with programs that people run in containers
// (Debian's nginx, iperf3 and dig), and with several hosts: each is a network
// namespace, joined to the others by veth pairs. nacre runs in one of them, so
// that addresses and ports are the test's own and nothing can be left behind on
// this machine.
package hosts

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/nacre-sh/nacre/tests/program"
	"github.com/nacre-sh/nacre/tests/registry"
)

// host is a network namespace, held by a process that does nothing.
type host struct {
	t   *testing.T
	pid int
}

func newHost(t *testing.T) host {
	t.Helper()
	cmd := exec.Command("sleep", "infinity")
	cmd.SysProcAttr = &syscall.SysProcAttr{Cloneflags: syscall.CLONE_NEWNET, Pdeathsig: syscall.SIGKILL}
	runtime.LockOSThread() // Pdeathsig means the thread
	err := cmd.Start()
	if err != nil {
		t.Fatal(err)
	}
	h := host{t, cmd.Process.Pid}
	t.Cleanup(func() {
		cmd.Process.Kill()
		cmd.Wait()
	})
	h.ok("ip", "link", "set", "lo", "up")
	return h
}

// join connects two hosts by a cable; the addresses come with their lengths.
func (h host) join(address string, peer host, peerAddress string) {
	h.t.Helper()
	h.ok("ip", "link", "add", "up0", "type", "veth", "peer", "name", "up0", "netns", fmt.Sprint(peer.pid))
	for _, end := range []struct {
		host    host
		address string
	}{{h, address}, {peer, peerAddress}} {
		end.host.ok("ip", "address", "add", end.address, "dev", "up0")
		end.host.ok("ip", "link", "set", "up0", "up")
	}
}

// in is the host as a part of the test sees it.
func (h host) in(t *testing.T) host { return host{t, h.pid} }

func (h host) path() string { return fmt.Sprintf("/proc/%d/ns/net", h.pid) }

func (h host) command(args ...string) *exec.Cmd {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	h.t.Cleanup(cancel)
	return exec.CommandContext(ctx, "nsenter", append([]string{"--net=" + h.path()}, args...)...)
}

// ok runs a program on the host, which has to succeed, and returns its output.
func (h host) ok(args ...string) string {
	h.t.Helper()
	return output(h.t, h.command(args...))
}

func output(t *testing.T, cmd *exec.Cmd) string {
	t.Helper()
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s%s", strings.Join(cmd.Args, " "), err, out, &stderr)
	}
	return strings.TrimSpace(string(out))
}

// engine is a nacre on a host, with roots of its own.
type engine struct {
	host
	bin string
	env []string
}

// newEngine is a nacre that has the image `tools`: busybox with Debian's nginx, iperf3 and dig.
func newEngine(t *testing.T) engine {
	t.Helper()
	bin, clean, err := program.Build()
	must(t, err)
	t.Cleanup(func() { must(t, clean()) })
	root, err := os.MkdirTemp("", "nacre-h") // short: sockets lie below it
	must(t, err)
	t.Cleanup(func() { must(t, os.RemoveAll(root)) })
	reg, err := registry.Start(t.TempDir())
	must(t, err)
	t.Cleanup(func() { reg.Close() })
	img, err := registry.Tools(filepath.Join(bin, "debian"), runtime.GOARCH)
	must(t, err)
	_, err = registry.Push(t.Context(), reg.Addr, "library/tools", "latest", img)
	must(t, err)
	e := engine{newHost(t), bin, program.Environ(
		"NACRE_DATA_ROOT="+filepath.Join(root, "d"), "NACRE_EXEC_ROOT="+filepath.Join(root, "r"), "DOCKER_CONFIG="+root, "DOCKER_HOST=", "DOCKER_CONTEXT=")}
	pull := exec.Command(filepath.Join(bin, "nacre"), "pull", "-q", reg.Addr+"/library/tools") // the registry is not on the host
	pull.Env = e.env
	output(t, pull)
	e.nacre("tag", reg.Addr+"/library/tools", "tools")
	t.Cleanup(func() {
		if t.Failed() {
			e.tell()
		}
		e.nacre("system", "reset", "--force")
	})
	return e
}

func (e engine) in(t *testing.T) engine { return engine{e.host.in(t), e.bin, e.env} }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func (e engine) start(args ...string) *exec.Cmd {
	cmd := e.command(append([]string{filepath.Join(e.bin, "nacre")}, args...)...)
	cmd.Env = e.env
	return cmd
}

// tell shows what a failure may come from.
func (e engine) tell() {
	for _, line := range []string{
		"ip -d address", "ip route show table all", "bridge link", "nft list ruleset", "sysctl -a --pattern net.ipv4.*(forward|route_localnet|rp_filter)",
		e.bin + "/nacre ps -a", e.bin + "/nacre logs web", e.bin + "/nacre exec web ip address",
	} {
		cmd := e.command(strings.Fields(line)...)
		cmd.Env = e.env
		out, err := cmd.CombinedOutput()
		e.t.Logf("%s: %v\n%s", line, err, out)
	}
}

// nacre runs a command of nacre on the host, which has to succeed.
func (e engine) nacre(args ...string) string {
	e.t.Helper()
	return output(e.t, e.start(args...))
}

// eventually repeats a command until its output has a text.
func eventually(t *testing.T, text string, command func() *exec.Cmd) string {
	t.Helper()
	var out []byte
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		if out, err = command().CombinedOutput(); err == nil && strings.Contains(string(out), text) {
			return string(out)
		}
	}
	t.Fatalf("%s: %v\n%s\nwant %q", strings.Join(command().Args, " "), err, out, text)
	return ""
}

func contains(t *testing.T, what, text string, parts ...string) {
	t.Helper()
	for _, part := range parts {
		if !strings.Contains(text, part) {
			t.Errorf("%s: no %q in\n%s", what, part, text)
		}
	}
}
