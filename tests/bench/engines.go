package main

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"github.com/nacre-sh/nacre/tests/program"
	"github.com/nacre-sh/nacre/tests/registry"
)

// engine is one of the programs that are compared: a command line that takes
// docker's commands.
type engine struct {
	name    string
	version string
	command []string
	env     []string
	image   string // how it calls busybox
	close   func() // nil: nothing runs

	fallback []string // options to try when it does not run a container
}

// lab is where the measurements happen.
type lab struct {
	options
	dir      string
	registry string  // its address
	image    string  // busybox in the registry
	many     *engine // nacre with very many images
	engines  []*engine
	nacre    *engine
	say      func(format string, args ...any) // what goes on, for who waits
	done     map[string]bool                  // what once has done
}

// setUp starts the registry and the engines. An engine that is not installed
// or does not start is left out, and why is said to log.
func setUp(ctx context.Context, opts options, dir string, say func(string, ...any)) (*lab, func(), error) {
	l := &lab{options: opts, dir: dir, say: say}
	reg, err := registry.Start(filepath.Join(dir, "registry"))
	if err != nil {
		return nil, nil, err
	}
	closeAll := func() {
		for _, e := range l.engines {
			if e.close != nil {
				e.close()
			}
		}
		reg.Close()
	}
	busybox, err := registry.Busybox("amd64")
	if err == nil {
		_, err = registry.Push(ctx, reg.Addr, "library/busybox", "latest", busybox)
	}
	if err != nil {
		closeAll()
		return nil, nil, err
	}
	l.registry, l.image = reg.Addr, reg.Addr+"/library/busybox:latest"
	for _, start := range []func(context.Context) (*engine, error){l.startNacre, l.startDocker, l.startPodman} {
		e, err := start(ctx)
		if err != nil {
			say("left out: %v", err)
			continue
		}
		err = e.prepare(ctx, l.image)
		if err != nil && e.fallback != nil {
			say("%s: with %s instead: %v", e.name, strings.Join(e.fallback, " "), err)
			e.command = append(e.command, e.fallback...)
			err = e.prepare(ctx, l.image)
		}
		if err != nil {
			say("left out: %s: %v", e.name, err)
			if e.close != nil {
				e.close()
			}
			continue
		}
		l.engines = append(l.engines, e)
		if e.name == "nacre" {
			l.nacre = e
		}
	}
	if l.nacre == nil {
		closeAll()
		return nil, nil, fmt.Errorf("nacre itself does not run")
	}
	return l, closeAll, nil
}

func (e *engine) prepare(ctx context.Context, image string) error {
	version := "{{.Server.Version}}"
	if e.name == "podman" {
		version = "{{.Client.Version}}" // it has no other
	}
	out, err := e.run(ctx, "version", "--format", version)
	if err != nil {
		return err
	}
	e.version = strings.TrimSpace(out)
	if e.image == "" {
		e.image = image
		if _, err := e.run(ctx, "pull", "-q", image); err != nil {
			return err
		}
	}
	_, err = e.run(ctx, "run", "--rm", e.image, "true")
	return err
}

// run runs one command of the engine and returns its output.
func (e *engine) run(ctx context.Context, args ...string) (string, error) {
	cmd := e.cmd(ctx, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &stdout, &stderr
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("%s %s: %w: %s", e.name, strings.Join(args, " "), err, bytes.TrimSpace(stderr.Bytes()))
	}
	return stdout.String(), nil
}

func (e *engine) cmd(ctx context.Context, args ...string) *exec.Cmd {
	all := append(append([]string{}, e.command...), args...)
	cmd := exec.CommandContext(ctx, all[0], all[1:]...)
	cmd.Env = program.Environ(e.env...)
	return cmd
}

func (l *lab) roots(name string) (data, run string, err error) {
	data, run = filepath.Join(l.dir, name), filepath.Join(l.dir, "run", name)
	for _, dir := range []string{data, run} {
		if err := os.MkdirAll(dir, 0o711); err != nil {
			return "", "", err
		}
	}
	return data, run, nil
}

func (l *lab) startNacre(context.Context) (*engine, error) {
	if _, err := os.Stat(l.options.nacre); err != nil {
		return nil, err
	}
	data, run, err := l.roots("nacre")
	home := filepath.Join(l.dir, "home")
	return &engine{name: "nacre", command: []string{l.options.nacre}, env: []string{
		"NACRE_DATA_ROOT=" + data, "NACRE_EXEC_ROOT=" + run, "HOME=" + home, "XDG_CONFIG_HOME=" + home, "XDG_DATA_HOME=" + home, "XDG_STATE_HOME=" + home,
	}}, err
}

// startDocker runs a dockerd with everything of its own.
func (l *lab) startDocker(ctx context.Context) (*engine, error) {
	for _, program := range []string{"docker", "dockerd"} {
		if _, err := exec.LookPath(program); err != nil {
			return nil, fmt.Errorf("docker: %s is not installed", program)
		}
	}
	data, run, err := l.roots("docker")
	if err != nil {
		return nil, err
	}
	config := filepath.Join(run, "daemon.json")
	if err := os.WriteFile(config, []byte("{}"), 0o600); err != nil {
		return nil, err
	}
	log, err := os.Create(filepath.Join(l.dir, "dockerd.log"))
	if err != nil {
		return nil, err
	}
	defer log.Close()
	socket := "unix://" + filepath.Join(run, "docker.sock")
	daemon := exec.Command("dockerd", "--config-file", config, "--data-root", data, "--exec-root", filepath.Join(run, "exec"),
		"--pidfile", filepath.Join(run, "pid"), "--host", socket)
	daemon.Stdout, daemon.Stderr = log, log
	if err := daemon.Start(); err != nil {
		return nil, fmt.Errorf("docker: %w", err)
	}
	e := &engine{
		name: "docker", command: []string{"docker", "--host", socket}, env: []string{"DOCKER_CONFIG=" + run},
		close: func() {
			daemon.Process.Signal(os.Interrupt)
			daemon.Wait()
		},
	}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(100 * time.Millisecond) {
		if _, err = e.run(ctx, "version"); err == nil {
			return e, nil
		}
		if time.Now().After(deadline) {
			e.close()
			tail, _ := os.ReadFile(log.Name())
			return nil, fmt.Errorf("dockerd does not answer: %w\n%s", err, tail[max(0, len(tail)-2000):])
		}
	}
}

func (l *lab) startPodman(context.Context) (*engine, error) {
	if _, err := exec.LookPath("podman"); err != nil {
		return nil, fmt.Errorf("podman: not installed")
	}
	data, run, err := l.roots("podman")
	if err != nil {
		return nil, err
	}
	registries := filepath.Join(run, "registries.conf")
	host, _, _ := strings.Cut(l.image, "/")
	conf := fmt.Sprintf("[[registry]]\nlocation = %q\ninsecure = true\n", host)
	if err := os.WriteFile(registries, []byte(conf), 0o600); err != nil {
		return nil, err
	}
	return &engine{
		name: "podman", env: []string{"CONTAINERS_REGISTRIES_CONF=" + registries},
		command: []string{"podman", "--root", data, "--runroot", run, "--tmpdir", filepath.Join(run, "tmp"),
			"--cgroup-manager", "cgroupfs", "--network-config-dir", filepath.Join(data, "networks")},
		fallback: []string{"--runtime", "runc"}, // Debian's crun refuses hybrid control groups
	}, nil
}
