package compat

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"sync"
	"testing"

	"github.com/docker/cli/cli"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/commands"
	dockerconfig "github.com/docker/cli/cli/config"
	"github.com/docker/cli/cli/flags"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/tests/registry"
)

// auditVersion is the newest API that Debian's dockerd speaks; both engines of
// an audit are spoken to in it.
const auditVersion = "1.41"

// peer is one of the two engines that are compared.
type peer struct {
	*testing.T
	name string
	host string // unix://…
	http *http.Client
}

// peers starts dockerd beside `nacre serve` and gives both the images of the audit.
func peers(t *testing.T) (dockers, ours peer) {
	t.Helper()
	t.Setenv("DOCKER_API_VERSION", auditVersion)
	dockerconfig.SetDir(t.TempDir())
	pushAuditImages(t)
	dockers, ours = newPeer(t, "dockerd", dockerd(t)), newPeer(t, "nacre", setup.host)
	for _, p := range []peer{dockers, ours} {
		for _, image := range []string{setup.image, auditImage()} {
			p.ok("pull", "-q", image)
		}
	}
	return dockers, ours
}

func newPeer(t *testing.T, name, host string) peer {
	transport := &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(host, "unix://"))
	}}
	t.Cleanup(transport.CloseIdleConnections)
	return peer{t, name, host, &http.Client{Transport: transport}}
}

// onBoth runs a step on both engines at the same time: most of it is waiting.
func onBoth(t *testing.T, dockers, ours peer, step func(i int, p peer)) {
	var both sync.WaitGroup
	for i, p := range []peer{dockers, ours} {
		p.T = t
		both.Go(func() { step(i, p) })
	}
	both.Wait()
}

// docker runs one command of docker/cli in this process: hundreds of them take
// no time, and both engines get the very same request.
func (p peer) docker(args ...string) result {
	p.Helper()
	return p.feed("", args...)
}

func (p peer) feed(in string, args ...string) result {
	p.Helper()
	var out, errs bytes.Buffer
	client, err := command.NewDockerCli(command.WithInputStream(io.NopCloser(strings.NewReader(in))),
		command.WithOutputStream(&out), command.WithErrorStream(&errs))
	if err != nil {
		p.Fatal(err)
	}
	if err := client.Initialize(&flags.ClientOptions{Hosts: []string{p.host}}); err != nil {
		p.Fatal(err)
	}
	defer client.Client().Close()
	root := &cobra.Command{Use: "docker", SilenceUsage: true, SilenceErrors: true}
	root.SetFlagErrorFunc(cli.FlagErrorFunc)
	root.SetOut(&out)
	root.SetErr(&errs)
	commands.AddCommands(root, client)
	root.SetArgs(args)
	code := 0
	if err := root.ExecuteContext(context.Background()); err != nil {
		code = 1
		var status cli.StatusError
		if errors.As(err, &status) {
			code = status.StatusCode
		}
		if err.Error() != "" {
			fmt.Fprintln(&errs, err)
		}
	}
	return result{out.String(), errs.String(), code}
}

func (p peer) ok(args ...string) string {
	p.Helper()
	r := p.docker(args...)
	if r.code != 0 {
		p.Fatalf("%s: docker %s: exit %d\n%s%s", p.name, strings.Join(args, " "), r.code, r.out, r.err)
	}
	return strings.TrimSuffix(r.out, "\n")
}

// get reads one resource of the engine as it is sent.
func (p peer) get(path string) map[string]any {
	p.Helper()
	resp, err := p.http.Get("http://engine/v" + auditVersion + path)
	if err != nil {
		p.Fatal(err)
	}
	defer resp.Body.Close()
	var body map[string]any
	decode := json.NewDecoder(resp.Body)
	decode.UseNumber()
	if err := decode.Decode(&body); err != nil || resp.StatusCode != http.StatusOK {
		p.Fatalf("%s: GET %s: %s %v %v", p.name, path, resp.Status, body, err)
	}
	return body
}

// remove forgets containers with their volumes.
func (p peer) remove(ids ...string) {
	if len(ids) > 0 {
		p.ok(append([]string{"rm", "-f", "-v"}, ids...)...)
	}
}

func auditImage() string { return setup.registry.Addr + "/library/full" }

// pushAuditImages makes an image whose configuration says something of everything.
func pushAuditImages(t *testing.T) {
	t.Helper()
	img, err := registry.Busybox(runtime.GOARCH)
	if err != nil {
		t.Fatal(err)
	}
	more, err := registry.Pack(
		registry.Text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\nann:x:1001:1002:Ann:/home/ann:/bin/sh\nbob:x:1003:1002::/home/bob:\n"),
		registry.Text("etc/group", "root:x:0:\nstaff:x:1002:\naudio:x:29:ann,bob\nvideo:x:44:ann\n"),
		registry.Dir("home/ann", 0o700), registry.Dir("data", 0o751), registry.Text("data/seed", "seed\n"))
	if err != nil {
		t.Fatal(err)
	}
	img.Add(more, "ADD users")
	c := &img.Config.Config
	c.User, c.WorkingDir, c.StopSignal = "ann", "/srv/work", "SIGUSR1"
	c.Env = append(c.Env, "COLOUR=red", "EMPTY=")
	c.Entrypoint, c.Cmd = []string{"/bin/sh", "-c"}, []string{"echo from the image"}
	c.ExposedPorts = map[string]struct{}{"80/tcp": {}, "53/udp": {}}
	c.Volumes = map[string]struct{}{"/data": {}}
	c.Labels = map[string]string{"from": "image", "both": "image"}
	if _, err := registry.Push(context.Background(), setup.registry.Addr, "library/full", "latest", img); err != nil {
		t.Fatal(err)
	}
}

func writeFile(t *testing.T, name, content string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(content), 0o644); err != nil {
		t.Fatal(err)
	}
	return file
}
