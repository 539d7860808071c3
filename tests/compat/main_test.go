// Package compat drives `nacre serve` with docker's own command-line client,
// as people do who point DOCKER_HOST at it: the client that is first in the
// PATH, and Debian's older one where that is another. What is expected is what
// docker prints.
package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"syscall"
	"testing"
	"time"

	"github.com/nacre-sh/nacre/tests/program"
	"github.com/nacre-sh/nacre/tests/registry"
)

// setup is what all tests share: one registry, one engine on a socket.
var setup struct {
	registry *registry.Registry
	host     string // of the engine, for docker -H
	image    string // busybox in the registry
}

func TestMain(m *testing.M) {
	code, err := run(m)
	if err != nil {
		fmt.Fprintln(os.Stderr, "compat:", err)
		code = 1
	}
	os.Exit(code)
}

func run(m *testing.M) (code int, err error) {
	dir, err := os.MkdirTemp("", "nacre-compat-")
	if err != nil {
		return 1, err
	}
	defer os.RemoveAll(dir)
	if setup.registry, err = registry.Start(filepath.Join(dir, "registry")); err != nil {
		return 1, err
	}
	defer setup.registry.Close()
	if err := pushImages(); err != nil {
		return 1, err
	}
	stop, err := serve(dir)
	if err != nil {
		return 1, err
	}
	code = m.Run()
	return code, stop()
}

func pushImages() error {
	img, err := registry.Busybox(runtime.GOARCH)
	if err != nil {
		return err
	}
	more, err := registry.Pack(registry.Text("etc/more", "more\n"))
	if err != nil {
		return err
	}
	setup.image = setup.registry.Addr + "/library/busybox"
	if _, err := registry.Push(context.Background(), setup.registry.Addr, "library/busybox", "latest", img); err != nil {
		return err
	}
	img.Add(more, "ADD more in /etc")
	_, err = registry.Push(context.Background(), setup.registry.Addr, "library/busybox", "more", img)
	return err
}

// serve starts `nacre serve`. The returned function empties the engine, ends it
// and checks that it ended well.
func serve(dir string) (stop func() error, err error) {
	bin, clean, err := program.Build()
	if err != nil {
		return nil, err
	}
	socket := filepath.Join(dir, "nacre.sock")
	setup.host = "unix://" + socket
	var log bytes.Buffer
	cmd := exec.Command(filepath.Join(bin, "nacre"), "serve", "-H", setup.host)
	cmd.Env = program.Environ("NACRE_DATA_ROOT="+filepath.Join(dir, "data"), "NACRE_EXEC_ROOT="+filepath.Join(dir, "run"))
	cmd.Stdout, cmd.Stderr = &log, &log
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	stop = func() error {
		err := reset(cmd.Path, cmd.Env)
		if errSignal := cmd.Process.Signal(syscall.SIGTERM); errSignal != nil {
			err = errors.Join(err, fmt.Errorf("nacre serve is gone: %w", errSignal))
		}
		if errWait := cmd.Wait(); errWait != nil {
			err = errors.Join(err, fmt.Errorf("nacre serve: %w\n%s", errWait, &log))
		}
		return errors.Join(err, clean())
	}
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		conn, err := net.Dial("unix", socket)
		if err == nil {
			return stop, conn.Close()
		}
		if time.Now().After(deadline) {
			return nil, errors.Join(fmt.Errorf("nacre serve does not answer\n%s", &log), cmd.Process.Kill())
		}
	}
}

// reset removes everything that the tests made, the bridge too.
func reset(nacre string, env []string) error {
	cmd := exec.Command(nacre, "system", "reset", "--force")
	cmd.Env = env
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("reset the engine: %w\n%s", err, out)
	}
	return nil
}
