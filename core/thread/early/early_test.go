package early

import (
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"

	"github.com/nacre-sh/nacre/core/thread"
)

// A process of its own, since numbers of threads may just have begun anew in this one.
func TestMonitorIsCalmBeforeMain(t *testing.T) {
	if os.Getenv("EARLY_TEST") != "" {
		calm := slackOf(t)
		End()
		t.Logf("slack %s then %s", calm, slackOf(t))
		return
	}
	want := "slack " + strconv.Itoa(thread.CalmSlack) + " then " + strconv.Itoa(thread.UsualSlack)
	var out []byte
	for range 5 { // another process may get the number in between
		cmd := exec.Command("/proc/self/exe", "-test.run=^"+t.Name()+"$", "-test.v")
		cmd.Env = append(os.Environ(), "EARLY_TEST=1")
		var err error
		if out, err = cmd.CombinedOutput(); err == nil && strings.Contains(string(out), want) {
			return
		}
	}
	t.Errorf("want %q in:\n%s", want, out)
}

func slackOf(t *testing.T) string {
	data, err := os.ReadFile(file())
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}

func TestStartsProcess(t *testing.T) {
	for line, want := range map[string]bool{
		"nacre exec web true": true, "/usr/bin/nacre --data-root /x run --rm busybox": true, "nacre container start web": true,
		"nacre": false, "": false, "nacre ps -a": false, "nacre -c 'run x'": false, "nacre 1 2 3 4 5 6 7 8 9 run": false,
	} {
		if got := startsProcess(strings.ReplaceAll(line, " ", "\x00") + "\x00"); got != want {
			t.Errorf("%q: %v", line, got)
		}
	}
}

// Wherever a process is, there it stays.
func TestJoinOwnCgroupMovesNothing(t *testing.T) {
	before := read("/proc/self/cgroup")
	joinOwnCgroup()
	if after := read("/proc/self/cgroup"); before == "" || after != before {
		t.Errorf("from %q to %q", before, after)
	}
}

func TestMounts(t *testing.T) {
	for controllers, want := range map[string]string{"": " /unified", "name=systemd": "/systemd", "cpu,cpuacct": "/cpu,cpuacct"} {
		if got := strings.Join(mounts(controllers), " "); got != want {
			t.Errorf("%q: %q", controllers, got)
		}
	}
}
