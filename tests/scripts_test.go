// Package tests drives the real nacre end to end. The scripts in scripts/ are
// sessions that a user could type, in the language of testscript: `exec` runs a
// program, `stdout` and `stderr` match what it printed, `status N` demands an
// exit status. Each has an engine with roots of its own, which must be empty of
// mounts and processes when it ends; all share one registry.
package tests

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"github.com/nacre-sh/nacre/tests/program"
	"github.com/nacre-sh/nacre/tests/registry"
)

// suite is what all scripts share.
type suite struct {
	bin string // folder with nacre and nacre-shim
	reg *registry.Registry
}

func TestScripts(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("containers need root: run the tests as root")
	}
	s := newSuite(t)
	testscript.Run(t, testscript.Params{
		Dir:                 "scripts",
		WorkdirRoot:         t.TempDir(), // testscript leaves an empty folder of its own behind
		RequireExplicitExec: true,
		Setup:               func(env *testscript.Env) error { return s.setup(t, env) },
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"status":     status,
			"eventually": eventually,
			"envfile":    envfile,
			"freeport":   freeport,
		},
	})
}

// newSuite builds the programs and fills a registry.
func newSuite(t *testing.T) *suite {
	t.Helper()
	bin, clean, err := program.Build()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := clean(); err != nil {
			t.Error(err)
		}
	})
	s := &suite{bin: bin}
	reg, err := registry.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	s.reg = reg
	img, err := registry.Busybox(runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := registry.Push(t.Context(), reg.Addr, "library/busybox", "latest", img); err != nil {
		t.Fatal(err)
	}
	return s
}

// setup gives a script its own engine and looks after it at the end. The roots
// have short names, because sockets lie below them.
func (s *suite) setup(t *testing.T, env *testscript.Env) error {
	root, err := os.MkdirTemp("", "nacre-s")
	if err != nil {
		return err
	}
	if err := os.Chmod(root, 0o755); err != nil {
		return err
	}
	path := s.bin + ":/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
	env.Vars = append(env.Vars,
		"HOME="+env.WorkDir, "PATH="+path, "TERM=dumb", "LANG=C.UTF-8",
		"NACRE_DATA_ROOT="+filepath.Join(root, "d"), "NACRE_EXEC_ROOT="+filepath.Join(root, "r"),
		"ROOT="+root, "REGISTRY="+s.reg.Addr, "IMG="+s.reg.Addr+"/library/busybox",
	)
	environ := env.Vars
	env.Defer(func() {
		if err := s.leave(root, environ); err != nil {
			t.Errorf("%s: %v", filepath.Base(env.WorkDir), err)
		}
	})
	return nil
}

// leave empties the engine of a script and says what is left of it.
func (s *suite) leave(root string, environ []string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Minute)
	defer cancel()
	reset := exec.CommandContext(ctx, filepath.Join(s.bin, "nacre"), "system", "reset", "--force")
	reset.Env = environ
	if out, err := reset.CombinedOutput(); err != nil {
		return fmt.Errorf("empty the engine: %v\n%s", err, out)
	}
	var left []error
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(mounts)) {
		if strings.Contains(line, root+"/") {
			left = append(left, fmt.Errorf("mount left: %s", line))
		}
	}
	if pids := processes(root); len(pids) > 0 {
		left = append(left, fmt.Errorf("processes left: %v", pids))
	}
	if len(left) == 0 {
		left = append(left, os.RemoveAll(root))
	}
	return errors.Join(left...)
}

// processes lists those whose command line names the roots, after the time that
// ending ones need on a busy machine.
func processes(root string) (found []string) {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(20 * time.Millisecond) {
		found = nil
		dirs, _ := filepath.Glob("/proc/[0-9]*")
		for _, dir := range dirs {
			line, _ := os.ReadFile(filepath.Join(dir, "cmdline"))
			if strings.Contains(string(line), root+"/") {
				found = append(found, filepath.Base(dir)+" "+strings.ReplaceAll(string(line), "\x00", " "))
			}
		}
		if len(found) == 0 {
			return nil
		}
	}
	return found
}

// status runs a program and demands an exit status: `status 125 nacre run`.
func status(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) < 2 {
		ts.Fatalf("usage: status N program [arg...]")
	}
	want, err := strconv.Atoi(args[0])
	if err != nil {
		ts.Fatalf("status: %v", err)
	}
	got := 0
	if err := ts.Exec(args[1], args[2:]...); err != nil {
		exit, ok := errors.AsType[*exec.ExitError](err)
		if !ok {
			ts.Fatalf("%s: %v", args[1], err)
		}
		got = exit.ExitCode()
	}
	if got != want {
		ts.Fatalf("%s ended with status %d, want %d", args[1], got, want)
	}
}

// eventually runs a program until it succeeds, for at most a minute: the machine may be busy.
func eventually(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) == 0 {
		ts.Fatalf("usage: eventually program [arg...]")
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(20 * time.Millisecond) {
		err := ts.Exec(args[0], args[1:]...)
		if err == nil {
			return
		}
		if time.Now().After(deadline) {
			ts.Fatalf("%s: still %v", args[0], err)
		}
	}
}

// envfile sets a variable to what a file says: `envfile NAME FILE`.
func envfile(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 2 {
		ts.Fatalf("usage: envfile NAME FILE")
	}
	ts.Setenv(args[0], strings.TrimSpace(ts.ReadFile(args[1])))
}

// freeport sets a variable to a port at which nothing listens, and below those
// that the kernel gives to others meanwhile: `freeport NAME`.
func freeport(ts *testscript.TestScript, neg bool, args []string) {
	if neg || len(args) != 1 {
		ts.Fatalf("usage: freeport NAME")
	}
	for {
		addr := ":" + strconv.Itoa(10000+rand.IntN(20000))
		tcp, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		tcp.Close()
		if udp, err := net.ListenPacket("udp", addr); err == nil {
			udp.Close()
			ts.Setenv(args[0], addr[1:])
			return
		}
	}
}
