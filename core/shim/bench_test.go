//go:build cgo

package shim_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// BenchmarkRunTrue is bind, start and end of `true` on a shim that is warm,
// and reports the medians of each part.
func BenchmarkRunTrue(b *testing.B) {
	parts := map[string][]time.Duration{}
	for b.Loop() {
		b.StopTimer()
		x := newBox(b, "true")
		x.start.AutoRemove, x.start.Rootfs.Volatile = true, true
		idle, err := shimapi.Spawn(bg, shimBinary)
		if err != nil {
			b.Fatal(err)
		}
		if _, err := idle.NetNS(bg); err != nil {
			b.Fatal(err)
		}
		time.Sleep(50 * time.Millisecond) // long enough for nothing to be warm by accident
		warm, cool := context.WithTimeout(bg, 100*time.Millisecond)
		go shimapi.WarmCgroups(warm) // as the engine does when a container is created
		time.Sleep(15 * time.Millisecond)
		b.StartTimer()

		t0 := time.Now()
		client, err := idle.Bind(bg, shimapi.Bind{ID: x.id, RunDir: x.runDir, StateDir: x.stateDir})
		if err != nil {
			b.Fatal(err)
		}
		wait, err := client.Wait(bg)
		if err != nil {
			b.Fatal(err)
		}
		t1 := time.Now()
		if _, err := client.Start(bg, &x.start); err != nil {
			b.Fatal(err)
		}
		t2 := time.Now()
		if r := <-wait; r.Err != nil || r.Exit.ExitCode != 0 {
			b.Fatal(r)
		}
		t3 := time.Now()

		b.StopTimer()
		cool()
		for idle.Alive() {
			time.Sleep(100 * time.Microsecond)
		}
		t4 := time.Now()
		client.Close()
		for name, d := range map[string]time.Duration{
			"bind-ms": t1.Sub(t0), "start-ms": t2.Sub(t1), "end-ms": t3.Sub(t2), "total-ms": t3.Sub(t0), "cleanup-ms": t4.Sub(t3),
		} {
			parts[name] = append(parts[name], d)
		}
		b.StartTimer()
	}
	for name, all := range parts {
		slices.Sort(all)
		b.ReportMetric(float64(all[len(all)/2].Microseconds())/1000, name)
	}
}
