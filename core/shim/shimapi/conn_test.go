package shimapi

import (
	"encoding/json"
	"errors"
	"io"
	"net"
	"os"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

func pair(t *testing.T) (*net.UnixConn, *net.UnixConn) {
	t.Helper()
	ours, theirs, err := controlPair()
	if err != nil {
		t.Fatal(err)
	}
	other, err := net.FileConn(theirs)
	theirs.Close()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { ours.Close(); other.Close() })
	return ours, other.(*net.UnixConn)
}

// What follows the line may be a container's output.
func TestReadLineTakesNoMore(t *testing.T) {
	long := strings.Repeat("x", 10_000)
	for _, line := range []string{"\n", "{}\n", long + "\n"} {
		ours, theirs := pair(t)
		go func() {
			for part := range strings.SplitSeq(line+"output", "x") { // in pieces
				io.WriteString(theirs, part+"x")
			}
			theirs.Close()
		}()
		got, err := readLine(ours)
		if err != nil || string(got) != line {
			t.Fatalf("read %d bytes, %v; want %d", len(got), err, len(line))
		}
		if rest, err := io.ReadAll(ours); err != nil || string(rest) != "outputx" {
			t.Errorf("then %q, %v", rest, err)
		}
	}
}

func TestReadLineWithoutEnd(t *testing.T) {
	ours, theirs := pair(t)
	io.WriteString(theirs, "half a li")
	theirs.Close()
	if line, err := readLine(ours); !errors.Is(err, io.EOF) {
		t.Errorf("read %q, %v", line, err)
	}
	ours, _ = pair(t)
	if err := ours.SetReadDeadline(time.Unix(1, 0)); err != nil {
		t.Fatal(err)
	}
	if line, err := readLine(ours); !errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("read %q, %v", line, err)
	}
}

// Whatever is asked, the line is what the type says it is.
func TestAskedIsTheRequest(t *testing.T) {
	pause, name := false, "web"
	for _, req := range []Request{
		{State: &struct{}{}}, {Wait: &struct{}{}}, {Pause: &pause}, {Rename: &name}, {Kill: &Kill{Signal: 9}},
		{Exec: &Exec{ID: "x", Process: &specs.Process{Args: []string{"sh", "-c", "<&>"}}, Detach: true}},
		{Start: &Start{Spec: &specs.Spec{Version: "1"}, Held: true}},
	} {
		want, err := json.Marshal(req)
		if err != nil {
			t.Fatal(err)
		}
		got, err := json.Marshal(req.asked())
		if err != nil || string(got) != string(want) {
			t.Errorf("%s, not %s (%v)", got, want, err)
		}
	}
	// Every field is a pointer without a name of its own: asked relies on it.
	for f := range reflect.TypeFor[Request]().Fields() {
		if f.Type.Kind() != reflect.Pointer || f.Tag.Get("json") != ",omitempty" {
			t.Errorf("%s %s %s", f.Name, f.Type, f.Tag)
		}
	}
}
