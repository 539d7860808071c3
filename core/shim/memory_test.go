//go:build cgo

package shim_test

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// private is the memory that a process shares with nobody, in kB.
func private(t testing.TB, pid int) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for line := range strings.Lines(string(data)) {
		if fields := strings.Fields(line); strings.HasPrefix(line, "Private_") && len(fields) > 1 {
			n, err := strconv.Atoi(fields[1])
			if err != nil {
				t.Fatal(err)
			}
			sum += n
		}
	}
	return sum
}

// The budget is 3 MB for a shim whose container runs.
func TestMemory(t *testing.T) {
	const budget = 3 << 10
	idle, err := shimapi.Spawn(bg, shimBinary)
	if err != nil {
		t.Fatal(err)
	}
	defer idle.Release()
	if _, err := idle.NetNS(bg); err != nil {
		t.Fatal(err)
	}
	b := newBox(t, "sleep", "100")
	b.launch()
	conn, _, err := b.client.Exec(bg, execOf("one", "true"))
	if err != nil {
		t.Fatal(err)
	}
	readAll(t, conn)
	time.Sleep(1200 * time.Millisecond)
	t.Logf("private memory: idle %d kB, running %d kB", private(t, idle.PID()), private(t, b.shimPid))
	if kb := private(t, b.shimPid); kb > budget {
		t.Errorf("a shim with a running container has %d kB for itself, more than %d", kb, budget)
	}
}
