//go:build cgo

package shim

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nacre-sh/nacre/core/shim/shimapi"

	"golang.org/x/sys/unix"
)

func TestDetachScanner(t *testing.T) {
	for _, test := range []struct {
		typed   []string
		through string
		detach  bool
	}{
		{typed: []string{"abc"}, through: "abc"},
		{typed: []string{"a\x10\x11b"}, through: "a", detach: true},
		{typed: []string{"a\x10", "\x11"}, through: "a", detach: true},
		{typed: []string{"\x10", "x"}, through: "\x10x"},
		{typed: []string{"\x10\x10\x11"}, through: "\x10", detach: true},
	} {
		scanner := detachScanner{keys: []byte{16, 17}}
		var through strings.Builder
		detach := false
		for _, typed := range test.typed {
			var out []byte
			out, detach = scanner.scan([]byte(typed))
			through.Write(out)
		}
		if through.String() != test.through || detach != test.detach {
			t.Errorf("%q: %q, %v", test.typed, through.String(), detach)
		}
	}
}

func TestLineSplitter(t *testing.T) {
	long := strings.Repeat("x", maxMessage)
	for _, test := range []struct {
		name   string
		pushed []string
		want   []string
		last   string
	}{
		{"lines", []string{"a\nb\n"}, []string{"a\n", "b\n"}, ""},
		{"a line in pieces", []string{"a", "b", "c\nd"}, []string{"abc\n"}, "d"},
		{"empty lines", []string{"\n\n"}, []string{"\n", "\n"}, ""},
		{"longer than a message", []string{long + "y\n"}, []string{long, "y\n"}, ""},
		{"exactly a message", []string{long}, []string{long}, ""},
	} {
		var splitter lineSplitter
		var got []string
		for _, data := range test.pushed {
			for _, m := range splitter.push([]byte(data)) {
				got = append(got, string(m))
			}
		}
		var last string
		for _, m := range splitter.last() {
			last += string(m)
		}
		if fmt.Sprintf("%q", got) != fmt.Sprintf("%q", test.want) || last != test.last {
			t.Errorf("%s: %.60q and %q", test.name, got, last)
		}
	}
}

func TestLogRotation(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.json")
	w, err := openLog(shimapi.Log{Path: path, MaxSize: 500, MaxFiles: 3})
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	for i := range 60 {
		if err := w.write("stdout", [][]byte{fmt.Appendf(nil, "line %d <&>\n", i)}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	var lines []string
	for _, name := range []string{path + ".2", path + ".1", path} {
		data, err := os.ReadFile(name)
		if err != nil {
			t.Fatal(err)
		}
		if len(data) > 600 {
			t.Errorf("%s has %d bytes", name, len(data))
		}
		for line := range strings.Lines(string(data)) {
			var e logEntry
			if err := json.Unmarshal([]byte(line), &e); err != nil {
				t.Fatal(err)
			}
			lines = append(lines, e.Log)
		}
	}
	for i, line := range lines { // the newest ones, in order, without a hole
		if want := fmt.Sprintf("line %d <&>\n", 60-len(lines)+i); line != want {
			t.Errorf("line %d is %q, want %q", i, line, want)
		}
	}
	if _, err := os.Stat(path + ".3"); err == nil {
		t.Error("more files than asked for")
	}
}

func TestRestartPolicy(t *testing.T) {
	p := restartPolicy{Restart: shimapi.Restart{Name: "always"}}
	var pauses []time.Duration
	for range 12 {
		pause, _ := p.next(0, 0, 0)
		pauses = append(pauses, pause)
	}
	if pauses[0] != 100*time.Millisecond || pauses[1] != 200*time.Millisecond || pauses[11] != time.Minute {
		t.Errorf("pauses %v", pauses)
	}
	if pause, _ := p.next(0, 12, 11*time.Second); pause != 100*time.Millisecond {
		t.Errorf("after a steady run: %v", pause)
	}
	for _, test := range []struct {
		policy      string
		retries     int
		code, count int
		want        bool
	}{
		{"no", 0, 1, 0, false},
		{"", 0, 1, 0, false},
		{"on-failure", 0, 0, 0, false},
		{"on-failure", 0, 1, 1000, true},
		{"on-failure", 3, 1, 2, true},
		{"on-failure", 3, 1, 3, false},
		{"unless-stopped", 0, 0, 0, true},
	} {
		p := restartPolicy{Restart: shimapi.Restart{Name: test.policy, MaxRetries: test.retries}}
		if _, got := p.next(test.code, test.count, 0); got != test.want {
			t.Errorf("%+v: %v", test, got)
		}
	}
}

func TestLogCompression(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.json")
	w, err := openLog(shimapi.Log{Path: path, MaxSize: 300, MaxFiles: 3, Compress: true})
	if err != nil {
		t.Fatal(err)
	}
	for i := range 30 {
		if err := w.write("stdout", [][]byte{fmt.Appendf(nil, "line %d\n", i)}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	w.close()
	names, err := filepath.Glob(path + "*")
	if err != nil || !slices.Equal(names, []string{path, path + ".1.gz", path + ".2.gz"}) {
		t.Errorf("%v, %v", names, err)
	}
}

// A full disk costs entries, and neither the container nor a later entry.
func TestLogOnAFullDisk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "log.json")
	w, err := openJSONLog(shimapi.Log{Path: path})
	if err != nil {
		t.Fatal(err)
	}
	defer w.close()
	line := [][]byte{[]byte("line\n")}
	if err := w.write("stdout", line, time.Now()); err != nil {
		t.Fatal(err)
	}
	whole := w.file
	w.broken = false
	if w.file, err = os.OpenFile("/dev/full", os.O_WRONLY, 0); err != nil {
		t.Fatal(err)
	}
	if err := w.write("stdout", line, time.Now()); !errors.Is(err, unix.ENOSPC) {
		t.Errorf("the first failure: %v", err)
	}
	if err := w.write("stdout", line, time.Now()); err != nil {
		t.Errorf("the second failure is said again: %v", err)
	}
	w.file.Close()
	w.file = whole
	if err := w.write("stdout", line, time.Now()); err != nil {
		t.Error(err)
	}
	data, err := os.ReadFile(path)
	if err != nil || strings.Count(string(data), "\n") != 2 {
		t.Errorf("%q, %v", data, err)
	}
}

// slowSink takes nothing until it is let.
type slowSink struct {
	let chan struct{}
	got []string
}

func (s *slowSink) write(_ string, messages [][]byte, _ time.Time) error {
	<-s.let
	for _, m := range messages {
		s.got = append(s.got, string(m))
	}
	return nil
}

func (s *slowSink) close() {}

func TestRingLosesWhatDoesNotFit(t *testing.T) {
	slow := &slowSink{let: make(chan struct{})}
	r := newRing(slow, 10)
	for i := range 20 {
		if err := r.write("stdout", [][]byte{fmt.Appendf(nil, "%02d\n", i)}, time.Now()); err != nil {
			t.Fatal(err)
		}
	}
	close(slow.let)
	r.close()
	if n := len(slow.got); n < 3 || n > 4 || slow.got[0] != "00\n" || slow.got[2] != "02\n" { // one may be on its way beside the buffer
		t.Errorf("got %q", slow.got)
	}
}

// The wait for the last output goes on as long as some comes, and ends when
// none came for its patience, although a writer is left.
func TestDrainGoesOnWithOutput(t *testing.T) {
	s := newStreams()
	waits, ticks := make(chan struct{}), make(chan time.Time)
	s.after = func(time.Duration) <-chan time.Time { waits <- struct{}{}; return ticks } // it has counted before
	_, ours, err := s.pipes(false, pipeOwner{uid: 0, gid: 0})
	if err != nil {
		t.Fatal(err)
	}
	writer, err := os.OpenFile(fmt.Sprintf("/proc/self/fd/%d", s.files[0].(*os.File).Fd()), os.O_WRONLY, 0) // outlives the process
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	s.begin(ours[0], ours[1])
	drained := make(chan struct{})
	go func() { s.drain(time.Hour); close(drained) }()
	for range 5 {
		select {
		case <-waits:
		case <-drained:
			t.Fatal("gave up although output had come")
		}
		passed := s.passed.Load()
		if _, err := writer.WriteString("more\n"); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(time.Minute); s.passed.Load() == passed; time.Sleep(time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("the output was not passed on")
			}
		}
		ticks <- time.Time{}
	}
	<-waits
	ticks <- time.Time{} // and nothing has come
	select {
	case <-drained:
	case <-waits:
		t.Error("waits although nothing comes")
	}
}
