package stats

import (
	"fmt"
	"math/rand/v2"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/plugins/show"
)

var noon = time.Date(2026, 1, 2, 12, 0, 0, 0, time.UTC)

// response is what an engine sends second seconds after noon.
func response(second int, cpuSeconds, mib float64) *container.StatsResponse {
	v := &container.StatsResponse{Name: "/box", Read: noon.Add(time.Duration(second) * time.Second)}
	v.CPUStats.CPUUsage.TotalUsage = uint64(cpuSeconds * 1e9)
	v.CPUStats.SystemUsage = uint64(second) * 4e9 // four processors
	v.CPUStats.OnlineCPUs = 4
	v.MemoryStats.Usage = uint64(mib) << 20
	v.MemoryStats.Limit = 1 << 30
	return v
}

func TestSample(t *testing.T) {
	first := response(10, 1, 100)
	first.MemoryStats.Stats = map[string]uint64{"inactive_file": 10 << 20}
	first.Networks = map[string]container.NetworkStats{"eth0": {RxBytes: 1000, TxBytes: 10}, "eth1": {RxBytes: 500}}
	a := newSample(first, nil)
	if a.cpu >= 0 || a.memory != 90<<20 || a.received != 1500 || a.netIn != 0 {
		t.Errorf("the first sample: %+v", a)
	}
	second := response(12, 4, 120)
	second.MemoryStats.Stats = map[string]uint64{"total_inactive_file": 20 << 20, "inactive_file": 5}
	second.Networks = map[string]container.NetworkStats{"eth0": {RxBytes: 5500}}
	second.BlkioStats.IoServiceBytesRecursive = []container.BlkioStatEntry{{Op: "Read", Value: 4096}, {Op: "write", Value: 100}, {Op: "Total", Value: 9}}
	b := newSample(second, &a)
	if b.cpu != 150 || b.memory != 100<<20 || b.netIn != 2000 || b.netOut != 0 || b.blockIn != 2048 || b.blockOut != 50 {
		t.Errorf("the second sample: %+v", b)
	}
	if c := newSample(response(13, 0, 1), &b); c.cpu >= 0 {
		t.Errorf("after the container was started again: %+v", c)
	}
}

func TestSpark(t *testing.T) {
	var past []sample
	for i := range 60 {
		past = append(past, sample{at: noon.Add(time.Duration(i-59) * time.Second), cpu: float64(i)})
	}
	value := func(s sample) float64 { return s.cpu }
	if got := []rune(spark(past, value, noon, 8, 59)); len(got) != 8 || !slices.IsSorted(got) || got[0] > '▃' || got[7] != '█' {
		t.Errorf("rising: %q", string(got))
	}
	if got := spark(past[50:], value, noon, 6, 59); !strings.HasPrefix(got, "    ") {
		t.Errorf("the last ten seconds: %q", got)
	}
	if got := spark([]sample{{at: noon, cpu: -1}}, value, noon, 3, 0); got != "   " {
		t.Errorf("nothing known: %q", got)
	}
	// A second later everything stands where it stood, or one cell further.
	for at := noon; at.Before(noon.Add(20 * time.Second)); at = at.Add(time.Second) {
		now, next := spark(past, value, at, 12, 59), spark(past, value, at.Add(time.Second), 12, 59)
		if now != next && string([]rune(now)[1:]) != string([]rune(next)[:11]) {
			t.Errorf("%q became %q", now, next)
		}
	}
}

func TestOrder(t *testing.T) {
	m := newModel()
	for i, name := range []string{"zero", "one", "two"} {
		id := fmt.Sprint(i)
		m.add(id, "/"+name, true)
		for second := range 3 {
			v := response(second, float64(i*second)*0.1, float64(100-i))
			v.Name = name
			v.Networks = map[string]container.NetworkStats{"eth0": {RxBytes: uint64(second * (i % 2) * 1000)}}
			m.take(id, v)
		}
	}
	m.add("3", "rests", false)
	for _, c := range []struct {
		by       order
		reversed bool
		want     string
	}{
		{byCPU, false, "two one zero rests"}, {byCPU, true, "zero one two rests"}, {byMemory, false, "zero one two rests"},
		{byName, false, "one two zero rests"}, {byIO, false, "one two zero rests"},
	} {
		var names []string
		for _, s := range m.rows(c.by, c.reversed) {
			names = append(names, s.name)
		}
		if got := strings.Join(names, " "); got != c.want {
			t.Errorf("by %c, reversed %v: %s, want %s", c.by, c.reversed, got, c.want)
		}
	}
	m.remove("1")
	if m.add("2", "two", true) || len(m.rows(byCPU, false)) != 3 {
		t.Error("one was to go, two to stay")
	}
	for second := range 200 {
		m.take("2", response(second, 1, 1))
	}
	if past := m.rows(byCPU, false)[0].past; len(past) > 62 {
		t.Errorf("%d samples kept", len(past))
	}
}

var escapes = regexp.MustCompile("\x1b\\[[0-9;]*m")

// TestFrame: every window is filled to its size, and never over it.
func TestFrame(t *testing.T) {
	names := []string{"web", "数据库-主要-备份-副本", strings.Repeat("long-name-", 9), "e\u0301", "\x1b[2J"}
	for range 300 {
		m := newModel()
		for i := range rand.IntN(40) {
			id := fmt.Sprint(i)
			m.add(id, names[rand.IntN(len(names))]+id, rand.IntN(3) > 0)
			for second := range rand.IntN(4) {
				m.take(id, response(second, rand.Float64()*float64(second), rand.Float64()*1000))
			}
		}
		v := view{cols: 20 + rand.IntN(180), rows: 3 + rand.IntN(30), colours: rand.IntN(2) == 0, by: []order{byCPU, byMemory, byName, byIO}[rand.IntN(4)], reversed: rand.IntN(2) == 0}
		v.host = host{name: "host", cpus: 4, memory: 16 << 30}
		list := m.rows(v.by, v.reversed)
		v.scroll(rand.IntN(50), len(list))
		frame := v.frame(list, noon)
		if len(frame) > v.rows || v.rows > 4 && len(frame) != v.rows {
			t.Fatalf("%d rows in a window of %d", len(frame), v.rows)
		}
		for _, row := range frame {
			if w := show.Width(escapes.ReplaceAllString(row, "")); w > v.cols {
				t.Fatalf("%d columns in a window of %d: %q", w, v.cols, row)
			}
			if strings.Contains(row, "\x1b[2J") {
				t.Fatal("a name drives the terminal")
			}
		}
		if len(list) > 0 && v.rows > 2 && !strings.Contains(frame[2], show.Cut(show.Clean(list[v.top].name), nameLeast)[:1]) {
			t.Fatalf("the first row is not of %q:\n%s", list[v.top].name, strings.Join(frame, "\n"))
		}
	}
}
