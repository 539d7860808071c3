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
		calm := read(t)
		End()
		t.Logf("slack %s then %s", calm, read(t))
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

func read(t *testing.T) string {
	data, err := os.ReadFile(file())
	if err != nil {
		t.Fatal(err)
	}
	return strings.TrimSpace(string(data))
}
