//go:build cgo

package shim_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/nacre-sh/nacre/core/thread"
)

// How the shim sleeps, and how many threads it wants, is not the container's affair.
func TestContainerBeginsLikeEveryProcess(t *testing.T) {
	b := newBox(t, "sh", "-c", "echo max=$GOMAXPROCS; sleep 1000")
	b.launch()
	conn, exec, err := b.client.Exec(bg, execOf("one", "sleep", "1000"))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	for _, pid := range []int{b.awaitStatus("running").Pid, exec} {
		slack, err := os.ReadFile(fmt.Sprintf("/proc/%d/timerslack_ns", pid))
		if err != nil || strings.TrimSpace(string(slack)) != strconv.Itoa(thread.UsualSlack) {
			t.Errorf("timers may be late by %q ns, %v", slack, err)
		}
	}
	b.until("output", func() bool { return b.log("stdout") != "" })
	if out := b.log("stdout"); out != "max=\n" {
		t.Errorf("output %q", out)
	}
}
