package event

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/moby/moby/api/types/events"

	"github.com/nacre-sh/nacre/core/filter"
)

func message(action, id string, attributes ...string) events.Message {
	m := events.Message{Type: events.ContainerEventType, Action: events.Action(action), Actor: events.Actor{ID: id, Attributes: map[string]string{}}}
	for i := 0; i < len(attributes); i += 2 {
		m.Actor.Attributes[attributes[i]] = attributes[i+1]
	}
	return m
}

var errEnough = errors.New("enough")

// take subscribes until n events have come; at each, seen may do something.
func take(t *testing.T, l *Log, n int, since time.Time, match filter.Args, seen ...func(i int)) []events.Message {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var got []events.Message
	err := l.Subscribe(ctx, since, time.Time{}, match, func(m events.Message) error {
		got = append(got, m)
		for _, f := range seen {
			f(len(got))
		}
		if len(got) == n {
			return errEnough
		}
		return nil
	})
	if !errors.Is(err, errEnough) {
		t.Fatalf("after %d of %d events: %v", len(got), n, err)
	}
	return got
}

func TestManyAreOneWrite(t *testing.T) {
	l := New(filepath.Join(t.TempDir(), "events.jsonl"))
	start := time.Now()
	must(t, l.Append())
	if _, err := os.Stat(l.path); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("no event made a file: %v", err)
	}
	must(t, l.Append(message("create", "0"), message("start", "1"), message("die", "2")))
	for i, m := range take(t, l, 3, start, nil) {
		if m.Actor.ID != strconv.Itoa(i) || m.TimeNano == 0 || m.Scope != "local" {
			t.Errorf("event %d is %+v", i, m)
		}
	}
}

func TestReplayThenFollow(t *testing.T) {
	l := New(filepath.Join(t.TempDir(), "events.jsonl"))
	start := time.Now()
	for i := range 3 {
		must(t, l.Append(message("create", strconv.Itoa(i))))
	}
	follow := func(n int) {
		if n >= 3 && n < 5 {
			must(t, l.Append(message("create", strconv.Itoa(n))))
		}
	}
	for i, m := range take(t, l, 5, start, nil, follow) {
		if m.Actor.ID != strconv.Itoa(i) || m.Scope != "local" || m.Time != m.TimeNano/1e9 || m.TimeNano < start.UnixNano() {
			t.Errorf("event %d: %+v", i, m)
		}
	}
}

func TestSinceNowShowsNoPast(t *testing.T) {
	l := New(filepath.Join(t.TempDir(), "events.jsonl"))
	must(t, l.Append(message("create", "old")))
	stop := make(chan struct{})
	var later sync.WaitGroup
	later.Go(func() { // what is new when the subscriber listens
		for {
			select {
			case <-stop:
				return
			case <-time.After(10 * time.Millisecond):
				_ = l.Append(message("create", "new"))
			}
		}
	})
	if got := take(t, l, 1, time.Time{}, nil); got[0].Actor.ID != "new" {
		t.Errorf("got %+v", got[0])
	}
	close(stop)
	later.Wait()
}

func TestUntilEndsTheReplay(t *testing.T) {
	l := New(filepath.Join(t.TempDir(), "events.jsonl"))
	start := time.Now()
	must(t, l.Append(message("create", "a")))
	middle := time.Now()
	must(t, l.Append(message("create", "b")))
	var got []string
	err := l.Subscribe(t.Context(), start, middle, nil, func(m events.Message) error {
		got = append(got, m.Actor.ID)
		return nil
	})
	if err != nil || fmt.Sprint(got) != "[a]" {
		t.Errorf("got %v, %v", got, err)
	}
}

func TestTornLineHarmsNoOther(t *testing.T) {
	path := filepath.Join(t.TempDir(), "events.jsonl")
	l := New(path)
	start := time.Now()
	must(t, l.Append(message("create", "before")))
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_APPEND, 0)
	must(t, err)
	_, err = f.WriteString(`{"Type":"container","Action":"sta`)
	must(t, err)
	must(t, f.Close())
	must(t, l.Append(message("create", "after")))
	got := take(t, l, 2, start, nil)
	if got[0].Actor.ID != "before" || got[1].Actor.ID != "after" {
		t.Errorf("got %+v", got)
	}
}

// TestManyProcessesRotate lets real processes append past two rotations while a
// reader follows: every event arrives exactly once. (What was dropped before a
// reader came to it is lost; two rotations drop nothing that is being read.)
func TestManyProcessesRotate(t *testing.T) {
	const processes, each = 4, 150
	path := os.Getenv("EVENT_TEST_LOG")
	if path != "" {
		appendMany(t, path, each)
		return
	}
	path = filepath.Join(t.TempDir(), "events.jsonl")
	l := small(path)
	start := time.Now()
	errs := make(chan error, processes)
	for range processes {
		go func() {
			cmd := exec.Command(os.Args[0], "-test.run=^TestManyProcessesRotate$")
			cmd.Env = append(os.Environ(), "EVENT_TEST_LOG="+path)
			out, err := cmd.CombinedOutput()
			if err != nil {
				err = fmt.Errorf("%w: %s", err, out)
			}
			errs <- err
		}()
	}
	seen := map[string]int{}
	for _, m := range take(t, l, processes*each, start, nil) {
		seen[m.Actor.ID]++
	}
	for range processes {
		must(t, <-errs)
	}
	if len(seen) != processes*each {
		t.Errorf("%d different events of %d", len(seen), processes*each)
	}
	for _, name := range []string{path, path + ".1"} {
		info, err := os.Stat(name)
		must(t, err)
		if info.Size() > 2*l.maxSize+1<<10 {
			t.Errorf("%s has %d bytes, bound is %d", name, info.Size(), l.maxSize)
		}
	}
}

func small(path string) *Log {
	l := New(path)
	l.maxSize = 45 << 10
	return l
}

func appendMany(t *testing.T, path string, n int) {
	l := small(path)
	for i := range n {
		must(t, l.Append(message("create", fmt.Sprintf("%d-%d", os.Getpid(), i))))
	}
}

func TestMatch(t *testing.T) {
	start := message("start", "4f5e0123", "name", "web", "image", "busybox:1", "tier", "front")
	pull := events.Message{Type: events.ImageEventType, Action: "pull", Scope: "local", Actor: events.Actor{ID: "nginx:latest", Attributes: map[string]string{"name": "nginx"}}}
	start.Scope = "local"
	execStart := start
	execStart.Action = "exec_start: sh -c true"
	for _, c := range []struct {
		m    events.Message
		args filter.Args
		want bool
	}{
		{start, filter.Args{}, true},
		{start, filter.Args{"container": {"web"}}, true},
		{start, filter.Args{"container": {"4f5e"}}, true},
		{start, filter.Args{"container": {"db"}}, false},
		{pull, filter.Args{"container": {"nginx"}}, false},
		{start, filter.Args{"event": {"start"}}, true},
		{start, filter.Args{"event": {"die", "start"}}, true},
		{execStart, filter.Args{"event": {"start"}}, false},
		{execStart, filter.Args{"event": {"exec_start"}}, true},
		{start, filter.Args{"image": {"busybox"}}, true},
		{start, filter.Args{"image": {"busybox:1"}}, true},
		{start, filter.Args{"image": {"busybox:2"}}, false},
		{pull, filter.Args{"image": {"nginx"}}, true},
		{pull, filter.Args{"type": {"container"}}, false},
		{start, filter.Args{"type": {"container"}, "event": {"start"}}, true},
		{start, filter.Args{"label": {"tier=front"}}, true},
		{start, filter.Args{"label": {"tier=back"}}, false},
		{start, filter.Args{"scope": {"swarm"}}, false},
		{start, filter.Args{"network": {"bridge"}}, false},
	} {
		if got := Match(c.m, c.args); got != c.want {
			t.Errorf("%s %s with %v: %v", c.m.Type, c.m.Action, c.args, got)
		}
	}
}

func BenchmarkAppend(b *testing.B) {
	l := New(filepath.Join(b.TempDir(), "events.jsonl"))
	m := message("start", "4f5e0123", "name", "web", "image", "busybox:1")
	for b.Loop() {
		if err := l.Append(m); err != nil {
			b.Fatal(err)
		}
	}
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
