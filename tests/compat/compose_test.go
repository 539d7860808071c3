package compat

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nacre-sh/nacre/tests/program"
)

// project is two services as tutorials write them: names in networks, a volume,
// a health check to wait for, a published port.
const project = `version: "2.4"
services:
  db:
    image: %[1]s
    command: sh -c 'mkdir -p /data; echo kept >>/data/file; exec httpd -f -p 5432 -h /data'
    stop_signal: SIGKILL
    volumes: ["data:/data"]
    networks:
      back: {aliases: [database]}
    healthcheck:
      test: ["CMD", "wget", "-qO-", "http://127.0.0.1:5432/file"]
      interval: 100ms
      timeout: 60s
      retries: 100
  web:
    image: %[1]s
    command: sh -c 'wget -qO /index.html http://database:5432/file && echo web is up; exec httpd -f -p 80 -h /'
    stop_signal: SIGKILL
    depends_on:
      db: {condition: service_healthy}
    networks: [front, back]
    ports: ["127.0.0.1::80"]
    environment: ["COLOUR=${COLOUR:-red}"]
    labels: {tier: front}
networks:
  front:
    driver_opts: {com.docker.network.driver.mtu: "1400"}
  back:
    internal: true
volumes:
  data:
    labels: {keep: "yes"}
`

// compose is Debian's docker-compose with one project. Its successor, a plugin of docker, is not in Debian.
type compose struct {
	*testing.T
	dir, name string
}

func newCompose(t *testing.T) compose {
	if _, err := exec.LookPath("docker-compose"); err != nil {
		t.Fatal("Debian's package docker-compose is needed:", err)
	}
	c := compose{t, t.TempDir(), fmt.Sprintf("nacre%d", os.Getpid())}
	if err := os.WriteFile(filepath.Join(c.dir, "docker-compose.yml"), fmt.Appendf(nil, project, setup.image), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if t.Failed() { // else it is down
			c.run(nil, "down", "-v", "-t", "0")
		}
	})
	return c
}

// run runs one command of compose, which has to succeed, and returns its output.
func (c compose) run(env []string, args ...string) string {
	c.Helper()
	out, _ := c.output(env, args...)
	return out
}

// output is run with what compose says beside.
func (c compose) output(env []string, args ...string) (stdout, stderr string) {
	c.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, "docker-compose", append([]string{"-p", c.name}, args...)...)
	cmd.Dir = c.dir
	cmd.Env = append(program.Environ("DOCKER_HOST="+setup.host, "DOCKER_CONFIG="+c.dir, "COMPOSE_ANSI=never"), env...)
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		c.Fatalf("docker-compose %s: %v\n%s%s", strings.Join(args, " "), err, &out, &errs)
	}
	return strings.TrimSpace(out.String()), strings.TrimSpace(errs.String())
}

func (c compose) want(want, what string, got string) {
	c.Helper()
	if got != want {
		c.Errorf("%s: %q, want %q", what, got, want)
	}
}

// of returns the running containers of a service. docker's client says it sooner than compose.
func (c compose) of(service string) []string {
	c.Helper()
	docker := client{c.T, clients(c.T)[0]}
	return strings.Fields(docker.ok("ps", "-q", "-f", "label=com.docker.compose.project="+c.name, "-f", "label=com.docker.compose.service="+service))
}

func TestCompose(t *testing.T) {
	c := newCompose(t)
	docker := client{t, clients(t)[0]}
	docker.pulled()
	c.run(nil, "up", "-d")
	c.want("kept", "exec", c.run(nil, "exec", "-T", "web", "wget", "-qO-", "http://db:5432/file"))
	docker.eventually("the log says that web is up", func() bool { return strings.Contains(c.run(nil, "logs", "--no-color", "web"), "web is up") })
	address := "http://" + c.run(nil, "port", "web", "80")
	docker.eventually("the published port answers", func() bool {
		out, err := exec.Command("curl", "-sf", address).Output()
		return err == nil && string(out) == "kept\n"
	})
	label := "label=com.docker.compose.project=" + c.name
	c.want(c.name+"_back true\n"+c.name+"_front false", "networks", docker.ok("network", "ls", "-f", label, "--format", "{{.Name}} {{.Internal}}"))
	c.want(c.name+"_data", "volumes", docker.ok("volume", "ls", "-q", "-f", label, "-f", "label=keep=yes"))

	// As it is, nothing changes; more of a service; a service that has changed is made anew.
	before := c.of("db")
	c.run(nil, "up", "-d", "--scale", "web=3")
	if n := len(c.of("web")); n != 3 {
		t.Errorf("%d of 3 web run", n)
	}
	c.run([]string{"COLOUR=blue"}, "up", "-d", "-t", "0")
	c.want(fmt.Sprint(before), "db after up", fmt.Sprint(c.of("db")))
	web := c.of("web")
	if len(web) != 1 {
		t.Fatalf("%d web run, want 1", len(web))
	}
	c.want("blue", "the new colour", docker.ok("exec", web[0], "sh", "-c", "echo $COLOUR"))

	// One-off commands, and the life of services.
	c.want("ran red", "run", c.run(nil, "run", "--rm", "-T", "web", "sh", "-c", "echo ran $COLOUR"))
	c.run(nil, "restart", "-t", "0", "db")
	docker.eventually("the volume lived through the restart", func() bool {
		got := docker.docker("exec", before[0], "cat", "/data/file")
		return got.code == 0 && got.out == "kept\nkept\n"
	})
	_, said := c.output(nil, "stop", "-t", "0")
	if left := append(c.of("web"), c.of("db")...); len(left) > 0 { // compose ends well even where a stop was refused
		t.Errorf("after stop run %v:\n%s\ncompose said: %s", left, docker.ok("ps", "-a"), said)
	}
	c.run(nil, "down", "-v", "-t", "0")
	c.want("", "containers after down", docker.ok("ps", "-aq", "-f", label))
	c.want("", "networks after down", docker.ok("network", "ls", "-q", "-f", label))
	c.want("", "volumes after down", docker.ok("volume", "ls", "-q", "-f", label))
}
