package prompt_test

import (
	"slices"
	"strings"
	"testing"
	"time"
)

// BenchmarkKey measures from a key to the character on the screen, BenchmarkEnter
// from Enter to the next prompt with a command that prints one line between.
func BenchmarkKey(b *testing.B) {
	s := start(b, config{})
	s.Want(p)
	var times []time.Duration
	for b.Loop() {
		n := len(s.Output())
		begin := time.Now()
		s.Send("x")
		for len(s.Output()) == n {
			time.Sleep(20 * time.Microsecond)
		}
		times = append(times, time.Since(begin))
		time.Sleep(30 * time.Millisecond) // as fast as a keyboard repeats
		if len(times)%40 == 0 {
			s.Send("\x15")
			time.Sleep(30 * time.Millisecond)
		}
	}
	report(b, times)
}

func BenchmarkEnter(b *testing.B) {
	s := start(b, config{})
	s.Want(p)
	var times []time.Duration
	for b.Loop() {
		s.Send("x")
		time.Sleep(50 * time.Millisecond)
		n := strings.Count(s.Output(), "\x1b[?2004h")
		begin := time.Now()
		s.Send("\r")
		for strings.Count(s.Output(), "\x1b[?2004h") == n {
			time.Sleep(20 * time.Microsecond)
		}
		times = append(times, time.Since(begin))
		time.Sleep(50 * time.Millisecond)
	}
	report(b, times)
}

func report(b *testing.B, times []time.Duration) {
	slices.Sort(times)
	b.ReportMetric(float64(times[len(times)/2].Microseconds())/1000, "ms/median")
	b.ReportMetric(float64(times[len(times)*95/100].Microseconds())/1000, "ms/p95")
	b.ReportMetric(0, "ns/op")
}
