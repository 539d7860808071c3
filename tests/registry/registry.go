// Package registry gives tests a real registry: Debian's docker-registry on a
// loopback port, and images built on the spot to put into it. Nothing here
// needs a network or a container engine.
package registry

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/nacre-sh/nacre/tests/program"
)

// Registry is one running docker-registry process.
type Registry struct {
	Addr string // 127.0.0.1:port

	cmd  *exec.Cmd
	done chan struct{} // closed when the process is gone and reaped
	log  *tailBuffer
}

// Options changes how a registry is started; the zero value is an open one on a free port.
type Options struct {
	Addr     string // host:port; empty: 127.0.0.1 and a free port
	User     string // with Password: only this user may come in (HTTP Basic)
	Password string
	ReadOnly bool
	TLS      *TLS // nil: plain HTTP
}

// Start runs an open registry on a free loopback port, its files below dir.
func Start(dir string) (*Registry, error) { return StartWith(dir, Options{}) }

// StartWith runs a registry and returns when it answers. The process dies with
// this one, so that an aborted test leaves nothing behind.
func StartWith(dir string, opts Options) (*Registry, error) {
	config, err := writeConfig(dir, opts)
	if err != nil {
		return nil, fmt.Errorf("start a registry: %w", err)
	}
	cmd := exec.Command("docker-registry", "serve", config)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	cmd.Env = program.Environ("OTEL_TRACES_EXPORTER=none")
	stderr, err := cmd.StderrPipe()
	if err != nil {
		return nil, fmt.Errorf("start a registry: %w", err)
	}
	r := &Registry{cmd: cmd, done: make(chan struct{}), log: &tailBuffer{}}
	addr := make(chan string, 1)
	started := make(chan error, 1)
	go r.run(stderr, started, addr)
	if err := <-started; err != nil {
		return nil, fmt.Errorf("start a registry (Debian's package docker-registry): %w", err)
	}
	if err := r.await(addr, opts); err != nil {
		r.Close()
		return nil, fmt.Errorf("start a registry: %w\n%s", err, r.log)
	}
	return r, nil
}

// run keeps its thread for the life of the process: the parent-death signal
// is sent when the thread that forked ends, not when the process does.
func (r *Registry) run(stderr io.Reader, started chan<- error, addr chan<- string) {
	runtime.LockOSThread()
	err := r.cmd.Start()
	started <- err
	if err != nil {
		return
	}
	listening := regexp.MustCompile(`listening on ([0-9.]+:[0-9]+)`)
	lines := bufio.NewScanner(stderr)
	lines.Buffer(nil, 1<<20)
	for lines.Scan() {
		r.log.add(lines.Text())
		if m := listening.FindStringSubmatch(lines.Text()); m != nil {
			select {
			case addr <- m[1]:
			default:
			}
		}
	}
	r.cmd.Wait() // how it ended is of no interest: it is always killed
	close(r.done)
}

// await waits for the address in the log and for an answer on /v2/.
func (r *Registry) await(addr <-chan string, opts Options) error {
	deadline := time.After(60 * time.Second)
	select {
	case r.Addr = <-addr:
	case <-r.done:
		return errors.New("it ended at once")
	case <-deadline:
		return errors.New("it did not listen within a minute")
	}
	for {
		resp, err := opts.TLS.get(r.Addr)
		if err == nil {
			resp.Body.Close()
			return nil
		}
		select {
		case <-deadline:
			return err
		case <-time.After(10 * time.Millisecond):
		}
	}
}

// Close kills this registry and waits until it is gone. Its files stay.
func (r *Registry) Close() error {
	err := r.cmd.Process.Kill()
	<-r.done
	if errors.Is(err, os.ErrProcessDone) {
		return nil
	}
	return err
}

// Stall stops the process without closing its connections; Continue lets it go on.
func (r *Registry) Stall() error    { return r.cmd.Process.Signal(syscall.SIGSTOP) }
func (r *Registry) Continue() error { return r.cmd.Process.Signal(syscall.SIGCONT) }

// Log is the end of what the registry wrote.
func (r *Registry) Log() string { return r.log.String() }

func writeConfig(dir string, opts Options) (string, error) {
	addr := opts.Addr
	if addr == "" {
		addr = "127.0.0.1:0"
	}
	data := filepath.Join(dir, "data")
	if err := os.MkdirAll(data, 0o700); err != nil {
		return "", err
	}
	var c strings.Builder
	fmt.Fprintf(&c, "version: 0.1\nlog:\n  level: info\nstorage:\n  filesystem:\n    rootdirectory: %q\n", data)
	fmt.Fprintf(&c, "  delete:\n    enabled: true\n  maintenance:\n    readonly:\n      enabled: %v\n", opts.ReadOnly)
	fmt.Fprintf(&c, "http:\n  addr: %q\n", addr)
	if opts.TLS != nil {
		fmt.Fprintf(&c, "  tls:\n    certificate: %q\n    key: %q\n", opts.TLS.ServerCert, opts.TLS.ServerKey)
		if opts.TLS.AskClients {
			fmt.Fprintf(&c, "    clientcas:\n      - %q\n", opts.TLS.CA)
		}
	}
	if opts.User != "" {
		passwords := filepath.Join(dir, "htpasswd")
		if err := htpasswd(passwords, opts.User, opts.Password); err != nil {
			return "", err
		}
		fmt.Fprintf(&c, "auth:\n  htpasswd:\n    realm: nacre-test\n    path: %q\n", passwords)
	}
	file := filepath.Join(dir, "config.yml")
	return file, os.WriteFile(file, []byte(c.String()), 0o600)
}

// htpasswd writes a password file; bcrypt is the only form the registry reads.
func htpasswd(file, user, password string) error {
	cmd := exec.CommandContext(context.Background(), "htpasswd", "-niB", "-C", "4", user)
	cmd.Stdin = strings.NewReader(password + "\n")
	line, err := cmd.Output()
	if err != nil {
		return fmt.Errorf("htpasswd (Debian's package apache2-utils): %w", err)
	}
	return os.WriteFile(file, line, 0o600)
}

// tailBuffer keeps the last lines of a log.
type tailBuffer struct {
	mu    sync.Mutex
	lines []string
}

func (b *tailBuffer) add(line string) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.lines = append(b.lines, line)
	if len(b.lines) > 100 {
		b.lines = b.lines[1:]
	}
}

func (b *tailBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return strings.Join(b.lines, "\n")
}
