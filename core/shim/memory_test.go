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

// private is the memory that a process shares with nobody, in kB, but for huge
// pages: those the kernel gives, where it is told to, for a few bytes.
func private(t testing.TB, pid int) int {
	t.Helper()
	data, err := os.ReadFile(fmt.Sprintf("/proc/%d/smaps_rollup", pid))
	if err != nil {
		t.Fatal(err)
	}
	sum := 0
	for line := range strings.Lines(string(data)) {
		fields := strings.Fields(line)
		huge := strings.HasPrefix(line, "AnonHugePages:")
		if !huge && !strings.HasPrefix(line, "Private_") || len(fields) < 2 {
			continue
		}
		n, err := strconv.Atoi(fields[1])
		if err != nil {
			t.Fatal(err)
		}
		if huge {
			n = -n
		}
		sum += n
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
	kb := 0
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(50 * time.Millisecond) {
		if kb = private(t, b.shimPid); kb <= budget {
			break // what only the start took has been given back
		}
	}
	t.Logf("private memory: idle %d kB, running %d kB", private(t, idle.PID()), kb)
	if kb > budget {
		t.Errorf("a shim with a running container has %d kB for itself, more than %d", kb, budget)
	}
}
