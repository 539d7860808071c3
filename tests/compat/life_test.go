package compat

import (
	"bufio"
	"strings"
	"testing"
	"time"
)

func TestLifeOfAContainer(t *testing.T) {
	each(t, func(c client) {
		img := c.pulled()
		c.docker("rm", "-f", "life", "life2")
		id := c.ok("create", "--name", "life", "--label", "tier=front", img, "sleep", "1000")
		c.Cleanup(func() { c.docker("rm", "-f", id) })
		state := func() string { return c.ok("inspect", "-f", "{{.State.Status}}", id) }
		expect := func(after, want string) {
			c.Helper()
			if got := state(); got != want {
				c.Errorf("after %s: %s, want %s", after, got, want)
			}
		}
		expect("create", "created")
		if got := c.ok("start", "life"); got != "life" {
			c.Errorf("start prints %q", got)
		}
		expect("start", "running")
		if got := c.ok("ps", "-q", "--no-trunc", "-f", "label=tier=front"); got != id {
			c.Errorf("ps: %q", got)
		}
		if got := c.ok("ps", "--format", "{{.Names}} {{.Image}} {{.Command}}", "-f", "name=life"); got != "life "+img+` "sleep 1000"` {
			c.Errorf("ps: %q", got)
		}
		// The container runs a moment before its init has become the command, as docker's does.
		c.eventually("top shows the command", func() bool { return strings.Contains(c.ok("top", id), "sleep 1000") })
		c.ok("pause", id)
		expect("pause", "paused")
		c.ok("unpause", id)
		expect("unpause", "running")
		c.ok("restart", "-t", "1", id)
		expect("restart", "running")
		c.ok("rename", "life", "life2")
		c.fails(1, "No such container: life", "stop", "life")
		c.fails(1, "container is running", "rm", "life2")
		c.ok("stop", "-t", "1", "life2")
		expect("stop", "exited")
		c.ok("start", id)
		c.ok("kill", "-s", "KILL", id)
		if got := c.ok("wait", id); got != "137" {
			c.Errorf("wait: %s", got)
		}
		if got := c.ok("ps", "-a", "--format", "{{.Status}}", "-f", "id="+id); !strings.HasPrefix(got, "Exited (137) ") {
			c.Errorf("status: %q", got)
		}
		if got := c.ok("rm", "life2"); got != "life2" {
			c.Errorf("rm prints %q", got)
		}
		c.fails(1, "No such container: life2", "rm", "life2")
	})
}

func TestNamesAreUnique(t *testing.T) {
	each(t, func(c client) {
		c.background("--name", "unique", c.pulled(), "sleep", "1000")
		c.fails(125, `The container name "/unique" is already in use`, "run", "--rm", "--name", "unique", c.pulled(), "true")
	})
}

func TestLogs(t *testing.T) {
	each(t, func(c client) {
		id := c.background(c.pulled(), "sh", "-c", "for i in 1 2 3 4; do echo line $i; done; until [ -e /go ]; do sleep 0.05; done; echo err >&2; trap 'exit 0' TERM; while :; do sleep 0.1; done")
		// The streams are read side by side: only what is logged already comes first for sure.
		c.eventually("output", func() bool { return strings.Contains(c.docker("logs", id).out, "line 4") })
		c.ok("exec", id, "touch", "/go")
		c.eventually("output", func() bool { return strings.Contains(c.docker("logs", id).err, "err") })
		if r := c.docker("logs", id); r.out != "line 1\nline 2\nline 3\nline 4\n" || r.err != "err\n" {
			c.Errorf("got %+v", r)
		}
		if r := c.docker("logs", "--tail", "2", id); r.out != "line 4\n" || r.err != "err\n" {
			c.Errorf("tail: %+v", r)
		}
		if r := c.docker("logs", "--since", time.Now().Add(time.Hour).UTC().Format(time.RFC3339), id); r.out != "" {
			c.Errorf("since: %+v", r)
		}
		follow := c.command("logs", "-f", id)
		out, err := follow.StdoutPipe()
		if err != nil {
			c.Fatal(err)
		}
		if err := follow.Start(); err != nil {
			c.Fatal(err)
		}
		lines := bufio.NewScanner(out)
		for range 4 {
			lines.Scan()
		}
		if lines.Text() != "line 4" {
			c.Errorf("logs -f: %q", lines.Text())
		}
		c.ok("stop", "-t", "5", id)
		for lines.Scan() {
		}
		if err := follow.Wait(); err != nil { // it ends with the container
			c.Errorf("logs -f: %v", err)
		}
		c.fails(1, "No such container: nobody", "logs", "nobody")
	})
}

func TestWaitForTheEnd(t *testing.T) {
	each(t, func(c client) {
		id := c.background("-i", c.pulled(), "sh", "-c", "read x; exit 11")
		wait := c.command("wait", id)
		var out strings.Builder
		wait.Stdout = &out
		if err := wait.Start(); err != nil {
			c.Fatal(err)
		}
		attached := c.feed(strings.NewReader("\n"), "attach", id)
		if err := wait.Wait(); err != nil || out.String() != "11\n" || attached.code != 11 {
			c.Errorf("wait: %q %v; attach: %+v", out.String(), err, attached)
		}
	})
}

func TestEvents(t *testing.T) {
	each(t, func(c client) {
		img := c.pulled()
		live := c.command("events", "--filter", "container=seen", "--filter", "container=probe", "--filter", "type=container",
			"--format", "{{.Actor.Attributes.name}} {{.Action}}")
		out, err := live.StdoutPipe()
		if err != nil {
			c.Fatal(err)
		}
		if err := live.Start(); err != nil {
			c.Fatal(err)
		}
		defer func() { _ = live.Process.Kill(); _ = live.Wait() }()
		lines := make(chan string, 1000)
		go func() {
			defer close(lines)
			for read := bufio.NewScanner(out); read.Scan(); {
				lines <- read.Text()
			}
		}()
		// The client does not say when it listens: something happens until it tells.
		c.eventually("an event", func() bool {
			c.ok("create", "--name", "probe", img, "true")
			c.ok("rm", "probe")
			return len(lines) > 0
		})
		c.ok("run", "--rm", "--name", "seen", img, "true")
		var got []string
		for line := range lines {
			if action, ok := strings.CutPrefix(line, "seen "); ok {
				got = append(got, action)
			}
			if line == "seen destroy" {
				break
			}
		}
		if all := strings.Join(got, " "); all != "create attach start die destroy" {
			c.Errorf("events: %s", all)
		}
		past := c.ok("events", "--since", "1h", "--until", time.Now().Add(time.Second).Format(time.RFC3339Nano), "--filter", "event=die", "--filter", "container=seen", "--format", "{{.Action}} {{.Actor.Attributes.exitCode}}")
		if !strings.HasSuffix(past, "die 0") {
			c.Errorf("replayed events: %q", past)
		}
	})
}
