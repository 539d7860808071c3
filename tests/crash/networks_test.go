package crash

import (
	"fmt"
	"os"
	"strings"
	"testing"
)

// networkWorks says whether a network that a killed command has left, or not,
// can be used and removed, and that its bridge goes with it.
func (e *engine) networkWorks(after string) {
	e.t.Helper()
	if e.must("network", "ls", "-q", "-f", "name=victim") == "" {
		e.must("network", "create", "victim")
	}
	id := e.must("network", "inspect", "victim", "-f", "{{.Id}}")
	if out := e.must("run", "--rm", "--network", "victim", e.image, "sh", "-c", "ip -o -4 addr show eth0 | wc -l"); out != "1" {
		e.t.Errorf("%s: %s addresses in the container", after, out)
	}
	e.must("network", "rm", "victim")
	if _, err := os.Stat("/sys/class/net/nacre-" + id[:9]); err == nil {
		e.t.Errorf("%s: the bridge of network victim is left", after)
	}
}

func TestNacreKilledInNetworkCommands(t *testing.T) {
	e := newEngine(t)
	create, remove := []string{"network", "create", "victim"}, []string{"network", "rm", "victim"}
	away := func() { e.command(remove...).Run() }
	creation := e.steps(away, create...)
	for _, step := range moments(6, e.steps(nothing, remove...)) {
		e.must(create...)
		e.killAt(step, remove...)
		e.networkWorks(fmt.Sprintf("network rm killed before step %d", step))
	}
	for _, step := range moments(6, creation) {
		e.killAt(step, create...)
		e.networkWorks(fmt.Sprintf("network create killed before step %d", step))
	}
}

func TestNacreKilledInConnect(t *testing.T) {
	e := newEngine(t)
	e.must("network", "create", "victim")
	e.must("run", "-d", "--name", "member", e.image, "sleep", "1000")
	connect, disconnect := []string{"network", "connect", "victim", "member"}, []string{"network", "disconnect", "victim", "member"}
	connected := func() bool {
		return strings.Contains(e.must("network", "inspect", "victim", "-f", "{{range .Containers}}{{.Name}}{{end}}"), "member")
	}
	apart := func() { e.command(disconnect...).Run() }
	joins := moments(5, e.steps(apart, connect...))
	leaves := moments(5, e.steps(nothing, disconnect...))
	for i, step := range append(joins, leaves...) {
		line := connect
		if i >= len(joins) {
			line = disconnect
			e.must(connect...)
		}
		e.killAt(step, line...)
		after := fmt.Sprintf("%s killed before step %d", strings.Join(line, " "), step)
		if i%2 == 0 { // whichever way it is, one can get it in, and out
			if out, err := e.command(disconnect...).CombinedOutput(); err != nil && connected() {
				t.Fatalf("%s: cannot be disconnected: %v\n%s", after, err, out)
			}
		}
		if out, err := e.command(connect...).CombinedOutput(); err != nil && !connected() { // it may be in already
			t.Fatalf("%s: cannot be connected: %v\n%s", after, err, out)
		}
		if out := e.must("exec", "member", "sh", "-c", "ip -o -4 addr show eth1 | wc -l"); out != "1" {
			t.Errorf("%s: %s addresses on eth1", after, out)
		}
		e.must(disconnect...)
		if out := e.must("exec", "member", "sh", "-c", "ip -o link | grep -c eth"); out != "1" {
			t.Errorf("%s: %s interfaces after the end", after, out)
		}
	}
	e.must("rm", "-f", "member")
	e.networkWorks("connects killed")
}

func TestNacreKilledInRunInNetwork(t *testing.T) {
	e := newEngine(t)
	e.must("network", "create", "victim")
	run := []string{"run", "-d", "--network", "victim", "-p", "127.0.0.1::80", e.image, "sleep", "1000"}
	e.killedInSteps(8, nothing, run, func(string) {})
	e.networkWorks("runs killed")
}
