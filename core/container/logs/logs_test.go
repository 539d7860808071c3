package logs

import (
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

var epoch = time.Date(2024, 1, 1, 0, 0, 0, 0, time.UTC)

func line(n int) string {
	b, _ := json.Marshal(Entry{Line: fmt.Sprintf("line %d\n", n), Stream: "stdout", Time: epoch.Add(time.Duration(n) * time.Second)})
	return string(b) + "\n"
}

func lines(from, to int) string {
	var b strings.Builder
	for n := from; n <= to; n++ {
		b.WriteString(line(n))
	}
	return b.String()
}

func write(t *testing.T, path, content string) {
	t.Helper()
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if _, err := f.WriteString(content); err != nil {
		t.Fatal(err)
	}
}

func read(t *testing.T, path string, o Options) string {
	t.Helper()
	var got []string
	err := Read(t.Context(), path, o, func(e Entry) error {
		got = append(got, strings.TrimPrefix(strings.TrimSuffix(e.Line, "\n"), "line "))
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return strings.Join(got, " ")
}

func TestReadAcrossRotatedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	write(t, path+".2", lines(1, 3))
	write(t, path+".1", lines(4, 5))
	write(t, path, lines(6, 8))
	for want, o := range map[string]Options{
		"1 2 3 4 5 6 7 8": {Tail: -1},
		"7 8":             {Tail: 2},
		"6 7 8":           {Tail: 3},
		"3 4 5 6 7 8":     {Tail: 6},
		"":                {Tail: 0},
		"4 5":             {Tail: -1, Since: epoch.Add(4 * time.Second), Until: epoch.Add(5 * time.Second)},
		"8":               {Tail: 5, Since: epoch.Add(8 * time.Second)},
	} {
		if got := read(t, path, o); got != want {
			t.Errorf("%+v: %q, want %q", o, got, want)
		}
	}
	if got := read(t, path, Options{Tail: 100}); got != "1 2 3 4 5 6 7 8" {
		t.Errorf("more than there is: %q", got)
	}
	if got := read(t, filepath.Join(t.TempDir(), "none"), Options{Tail: -1}); got != "" {
		t.Errorf("no log: %q", got)
	}
}

func TestTailBeyondOneChunk(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	write(t, path, lines(1, 5000)) // some 350 KB
	got := strings.Fields(read(t, path, Options{Tail: 3000}))
	if len(got) != 3000 || got[0] != "2001" || got[2999] != "5000" {
		t.Errorf("%d lines, %v … %v", len(got), got[0], got[len(got)-1])
	}
}

func TestTornLineIsPassedOver(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	write(t, path, line(1)+`{"log":"tor`+"\n"+line(2)+`{"log":"unfini`)
	if got := read(t, path, Options{Tail: -1}); got != "1 2" {
		t.Errorf("got %q", got)
	}
}

func TestHandlersErrorEndsTheReading(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	write(t, path, lines(1, 3))
	enough := errors.New("enough")
	if err := Read(t.Context(), path, Options{Tail: -1}, func(Entry) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
}

// follow reads in the background; take waits for the next n lines.
func follow(t *testing.T, path string, ended <-chan struct{}) (take func(n int) string, over <-chan error) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	t.Cleanup(cancel)
	got, done := make(chan string, 100000), make(chan error, 1)
	go func() {
		done <- Read(ctx, path, Options{Tail: -1, Ended: ended}, func(e Entry) error {
			got <- strings.TrimPrefix(strings.TrimSuffix(e.Line, "\n"), "line ")
			return nil
		})
		close(got)
	}()
	return func(n int) string {
		t.Helper()
		var out []string
		for len(out) < n {
			select {
			case l, ok := <-got:
				if !ok {
					t.Fatalf("ended after %q", out)
				}
				out = append(out, l)
			case <-ctx.Done():
				t.Fatalf("only %q", out)
			}
		}
		return strings.Join(out, " ")
	}, done
}

func TestFollowAcrossRotationUntilTheEnd(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	ended := make(chan struct{})
	write(t, path, line(1))
	take, over := follow(t, path, ended)
	if got := take(1); got != "1" {
		t.Fatal(got)
	}
	write(t, path, line(2)[:10]) // an entry arrives in two pieces
	write(t, path, line(2)[10:])
	if got := take(1); got != "2" {
		t.Fatal(got)
	}
	write(t, path, line(3)) // right before the rotation
	if err := os.Rename(path, path+".1"); err != nil {
		t.Fatal(err)
	}
	write(t, path, lines(4, 5))
	if got := take(3); got != "3 4 5" {
		t.Fatal(got)
	}
	write(t, path, line(6)) // right before the end
	close(ended)
	if got := take(1); got != "6" {
		t.Fatal(got)
	}
	if err := <-over; err != nil {
		t.Fatal(err)
	}
}

func TestFollowATruncatedLog(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	ended := make(chan struct{})
	write(t, path, lines(1, 9))
	take, over := follow(t, path, ended)
	take(9)
	if err := os.Truncate(path, 0); err != nil {
		t.Fatal(err)
	}
	write(t, path, line(10))
	if got := take(1); got != "10" {
		t.Fatal(got)
	}
	close(ended)
	if err := <-over; err != nil {
		t.Fatal(err)
	}
}

func TestFollowALogThatIsNotThereYet(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	ended := make(chan struct{})
	take, over := follow(t, path, ended)
	write(t, path, line(1))
	if got := take(1); got != "1" {
		t.Fatal(got)
	}
	close(ended)
	if err := <-over; err != nil {
		t.Fatal(err)
	}
}

// pack compresses a file as the shim does.
func pack(t *testing.T, path string) {
	t.Helper()
	from, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer from.Close()
	id, err := shimapi.LogID(from)
	if err != nil {
		t.Fatal(err)
	}
	to, err := os.Create(path + shimapi.LogPacked)
	if err != nil {
		t.Fatal(err)
	}
	z := gzip.NewWriter(to)
	z.Comment = id
	_, err = io.Copy(z, from)
	if err := errors.Join(err, z.Close(), to.Close(), os.Remove(path)); err != nil {
		t.Fatal(err)
	}
}

func TestCompressedFiles(t *testing.T) {
	path := filepath.Join(t.TempDir(), "c-json.log")
	write(t, path+".2", lines(1, 3))
	write(t, path+".1", lines(4, 5))
	write(t, path, lines(6, 8))
	pack(t, path+".2")
	pack(t, path+".1")
	for want, o := range map[string]Options{
		"1 2 3 4 5 6 7 8": {Tail: -1}, "7 8": {Tail: 2}, "3 4 5 6 7 8": {Tail: 6},
	} {
		if got := read(t, path, o); got != want {
			t.Errorf("%+v: %q, want %q", o, got, want)
		}
	}
}

// A reader that looks away while a fast writer fills several files finds its
// place again, also when its own was compressed meanwhile.
func TestFollowAcrossManyRotations(t *testing.T) {
	for _, packed := range []bool{false, true} {
		path := filepath.Join(t.TempDir(), "c-json.log")
		write(t, path, lines(1, 2))
		r := &reader{path: path}
		var got []string
		r.handle = func(e Entry) error {
			got = append(got, strings.TrimPrefix(strings.TrimSuffix(e.Line, "\n"), "line "))
			return nil
		}
		if err := r.advance(t.Context()); err != nil {
			t.Fatal(err)
		}
		write(t, path, line(3))
		for i, next := range []string{lines(4, 5), lines(6, 7), lines(8, 9)} {
			for n := i; n > 0; n-- {
				for _, ending := range []string{"", shimapi.LogPacked} {
					_ = os.Rename(fmt.Sprintf("%s.%d%s", path, n, ending), fmt.Sprintf("%s.%d%s", path, n+1, ending))
				}
			}
			if err := os.Rename(path, path+".1"); err != nil {
				t.Fatal(err)
			}
			if packed {
				pack(t, path+".1")
			}
			write(t, path, next)
		}
		if err := r.advance(t.Context()); err != nil {
			t.Fatal(err)
		}
		if want := "1 2 3 4 5 6 7 8 9"; strings.Join(got, " ") != want {
			t.Errorf("compressed %v: %v", packed, got)
		}
		r.file.Close()
	}
}

// A reader sees each line once and in order, however fast the files shift.
func TestFollowAFastWriter(t *testing.T) {
	const all, perFile, kept = 1500, 10, 200 // no file is dropped
	path := filepath.Join(t.TempDir(), "c-json.log")
	write(t, path, line(1))
	ended := make(chan struct{})
	take, over := follow(t, path, ended)
	t.Cleanup(func() { <-ended })
	go func() {
		defer close(ended)
		for n := 2; n <= all; n++ {
			if n%perFile == 0 && n < all {
				shift(path, kept)
			}
			f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_APPEND, 0o600)
			if err != nil {
				t.Error(err)
				return
			}
			_, err = f.WriteString(line(n))
			if err := errors.Join(err, f.Close()); err != nil {
				t.Error(err)
				return
			}
		}
	}()
	for n, got := range strings.Fields(take(all)) {
		if got != fmt.Sprint(n+1) {
			t.Fatalf("line %d is %s", n+1, got)
		}
	}
	if err := <-over; err != nil {
		t.Fatal(err)
	}
}

// shift renames as the shim's rotation does.
func shift(path string, kept int) {
	last := 1
	for ; last < kept; last++ {
		if _, err := os.Lstat(fmt.Sprintf("%s.%d", path, last)); err != nil {
			break
		}
	}
	for n := last; n > 1; n-- {
		_ = os.Rename(fmt.Sprintf("%s.%d", path, n-1), fmt.Sprintf("%s.%d", path, n))
	}
	_ = os.Rename(path, path+".1")
}
