package compat

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/net/websocket"
)

func TestStatsAndUpdate(t *testing.T) {
	each(t, func(c client) {
		id := c.background("--name", "measured", c.pulled(), "sleep", "1000")
		if got := c.ok("stats", "--no-stream", "--format", "{{.Name}} {{.PIDs}}", id); got != "measured 1" {
			c.Errorf("stats: %q", got)
		}
		if got := c.ok("update", "--memory", "64m", "--memory-swap", "64m", id); got != id {
			c.Errorf("update prints %q", got)
		}
		if got := c.ok("stats", "--no-stream", "--format", "{{.MemUsage}}", id); !strings.HasSuffix(got, " / 64MiB") {
			c.Errorf("stats after update: %q", got)
		}
		// The stream goes on until its reader leaves.
		stream := c.command("stats", "--format", "{{.Name}}", id)
		out, err := stream.StdoutPipe()
		if err != nil {
			c.Fatal(err)
		}
		if err := stream.Start(); err != nil {
			c.Fatal(err)
		}
		seen := ""
		for buf := make([]byte, 4096); strings.Count(seen, "measured") < 3; {
			n, err := out.Read(buf)
			if err != nil {
				c.Fatalf("stats ended after %q: %v", seen, err)
			}
			seen += string(buf[:n])
		}
		stream.Process.Kill()
		stream.Wait()
	})
}

func TestHealth(t *testing.T) {
	each(t, func(c client) {
		id := c.background("--health-cmd", "test -f /ok", "--health-interval", "100ms", "--health-retries", "1", c.pulled(), "sleep", "1000")
		status := func() string { return c.ok("ps", "--format", "{{.Status}}", "-f", "id="+id) }
		c.eventually("unhealthy", func() bool { return strings.HasSuffix(status(), "(unhealthy)") })
		c.ok("exec", id, "touch", "/ok")
		c.eventually("healthy", func() bool { return strings.HasSuffix(status(), "(healthy)") })
		if got := c.ok("inspect", "-f", "{{.State.Health.Status}}", id); got != "healthy" {
			c.Errorf("inspect: %q", got)
		}
	})
}

func TestRestartPolicy(t *testing.T) {
	each(t, func(c client) {
		id := c.background("--restart", "on-failure:1", c.pulled(), "sh", "-c", "exit 9")
		c.eventually("the last try", func() bool {
			return c.ok("inspect", "-f", "{{.State.Status}} {{.RestartCount}} {{.State.ExitCode}}", id) == "exited 1 9"
		})
		c.fails(125, "--restart and --rm", "run", "--rm", "--restart", "always", c.pulled(), "true")
	})
}

// Each of several attached clients sees all that is written, and each may write.
func TestSeveralAttachedClients(t *testing.T) {
	each(t, func(c client) {
		id := c.background("-i", c.pulled(), "sh", "-c", "while read line; do echo got $line; [ $line = end ] && exit 4; done")
		type attached struct {
			in  io.WriteCloser
			out bytes.Buffer
			end func() int
		}
		var all [3]attached
		var mu sync.Mutex
		for i := range all {
			cmd := c.command("attach", id)
			in, err := cmd.StdinPipe()
			if err != nil {
				c.Fatal(err)
			}
			out, err := cmd.StdoutPipe()
			if err != nil {
				c.Fatal(err)
			}
			if err := cmd.Start(); err != nil {
				c.Fatal(err)
			}
			a := &all[i]
			a.in = in
			copied := make(chan struct{})
			go func() {
				defer close(copied)
				for buf := make([]byte, 4096); ; {
					n, err := out.Read(buf)
					mu.Lock()
					a.out.Write(buf[:n])
					mu.Unlock()
					if err != nil {
						return
					}
				}
			}()
			a.end = func() int { <-copied; cmd.Wait(); return cmd.ProcessState.ExitCode() }
		}
		saw := func(i int, text string) func() bool {
			return func() bool {
				mu.Lock()
				defer mu.Unlock()
				return strings.Contains(all[i].out.String(), text)
			}
		}
		// A client is attached when it sees what another had written; the first word is repeated until all do.
		for i := range all {
			c.eventually("a client sees the others' output", func() bool {
				io.WriteString(all[0].in, "hello\n")
				return saw(i, "got hello\n")()
			})
		}
		io.WriteString(all[1].in, "second\n")
		for i := range all {
			c.eventually("a line of the second client", saw(i, "got second\n"))
		}
		io.WriteString(all[2].in, "end\n")
		for i := range all {
			if code := all[i].end(); code != 4 {
				c.Errorf("client %d ends with %d", i, code)
			}
		}
	})
}

func TestAttachOptions(t *testing.T) {
	each(t, func(c client) {
		id := c.background("-i", c.pulled(), "sh", "-c", "trap 'echo caught; exit 6' INT; echo ready; while :; do sleep 0.05; done")
		// Without input, the end of the client's own is not passed on.
		cmd := c.command("attach", "--no-stdin", "--sig-proxy=false", id)
		if err := cmd.Start(); err != nil {
			c.Fatal(err)
		}
		c.eventually("the event of the attach, and the trap", func() bool {
			now := fmt.Sprintf("%.6f", float64(time.Now().UnixMicro())/1e6)
			return c.docker("logs", id).out == "ready\n" &&
				c.ok("events", "--since", "10m", "--until", now, "--filter", "event=attach", "--filter", "container="+id) != ""
		})
		c.ok("kill", "-s", "INT", id)
		if cmd.Wait(); cmd.ProcessState.ExitCode() != 6 {
			c.Errorf("attach ends with %v", cmd.ProcessState)
		}
		if r := c.docker("logs", id); r.out != "ready\ncaught\n" {
			c.Errorf("logs: %+v", r)
		}
	})
}

func TestAttachByWebsocket(t *testing.T) {
	c := client{t, clients(t)[0]}
	id := c.background("-i", c.pulled(), "sh", "-c", "while read line; do echo got $line; [ $line = end ] && exit; done")
	dial := func(path string) (*websocket.Conn, error) {
		conn, err := net.Dial("unix", strings.TrimPrefix(setup.host, "unix://"))
		if err != nil {
			t.Fatal(err)
		}
		config, err := websocket.NewConfig("ws://nacre"+path, "http://localhost")
		if err != nil {
			t.Fatal(err)
		}
		return websocket.NewClient(config, conn)
	}
	ws, err := dial("/v1.43/containers/" + id + "/attach/ws?stream=1&stdin=1&stdout=1&stderr=1")
	if err != nil {
		t.Fatal(err)
	}
	defer ws.Close()
	if _, err := ws.Write([]byte("hello\nend\n")); err != nil {
		t.Fatal(err)
	}
	got, err := io.ReadAll(ws)
	if string(got) != "got hello\ngot end\n" {
		t.Errorf("got %q, %v", got, err)
	}
	if _, err := dial("/containers/nobody/attach/ws?stream=1"); err == nil {
		t.Error("a container that is not there")
	}
}

// An exec can be looked at by its id, and dies with the container.
func TestExecByID(t *testing.T) {
	c := client{t, clients(t)[0]}
	id := c.background(c.pulled(), "sleep", "1000")
	c.ok("exec", "-d", "-e", "A=b c", "-u", "1:1", "-w", "/tmp", id, "sh", "-c", "echo $A $(id -u) $PWD > /tmp/seen; exec sleep 1000")
	c.eventually("what the exec wrote", func() bool { return c.docker("exec", id, "cat", "/tmp/seen").out == "b c 1 /tmp\n" })
	exec := strings.Trim(c.ok("inspect", "-f", "{{.ExecIDs}}", id), "[]")
	inspect := func() string {
		h := http.Client{Transport: &http.Transport{DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) {
			return (&net.Dialer{}).DialContext(ctx, "unix", strings.TrimPrefix(setup.host, "unix://"))
		}, DisableKeepAlives: true}}
		resp, err := h.Get("http://nacre/exec/" + exec + "/json")
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		body, err := io.ReadAll(resp.Body)
		if err != nil {
			t.Fatal(err)
		}
		return string(body)
	}
	if got := inspect(); !strings.Contains(got, `"Running":true`) || !strings.Contains(got, `"entrypoint":"sh"`) {
		t.Errorf("while it runs: %s", got)
	}
	c.ok("kill", id)
	c.eventually("its end", func() bool {
		got := inspect()
		return strings.Contains(got, `"Running":false`) && strings.Contains(got, `"ExitCode":137`)
	})
}
