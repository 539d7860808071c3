package shimapi

import (
	"errors"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"
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
