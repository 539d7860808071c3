//go:build cgo

package shim_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

var bg = context.Background()

// attach joins the box's streams; the test fails if they never end.
func (b *box) attach(opts shimapi.Attach) *net.UnixConn {
	b.t.Helper()
	conn, err := b.client.Attach(bg, opts)
	if err != nil {
		b.t.Fatal(err)
	}
	_ = conn.SetDeadline(time.Now().Add(time.Minute))
	b.t.Cleanup(func() { conn.Close() })
	return conn
}

// frames takes stdcopy's frames apart.
func frames(t *testing.T, r io.Reader) (stdout, stderr string) {
	t.Helper()
	out := map[byte]*bytes.Buffer{1: {}, 2: {}}
	for {
		var header [8]byte
		if _, err := io.ReadFull(r, header[:]); err == io.EOF {
			return out[1].String(), out[2].String()
		} else if err != nil {
			t.Fatal(err)
		}
		if _, err := io.CopyN(out[header[0]], r, int64(binary.BigEndian.Uint32(header[4:]))); err != nil {
			t.Fatal(err)
		}
	}
}

func readAll(t *testing.T, r io.Reader) string {
	t.Helper()
	data, err := io.ReadAll(r)
	if err != nil {
		t.Fatal(err)
	}
	return string(data)
}

func write(t *testing.T, w io.Writer, text string) {
	t.Helper()
	if _, err := io.WriteString(w, text); err != nil {
		t.Fatal(err)
	}
}

// readUntil reads up to and including the wanted text.
func readUntil(t *testing.T, r io.Reader, want string) string {
	t.Helper()
	var got []byte
	var c [1]byte
	for !strings.Contains(string(got), want) {
		if _, err := r.Read(c[:]); err != nil {
			t.Fatalf("%v after %q, want %q", err, got, want)
		}
		got = append(got, c[0])
	}
	return string(got)
}

func TestAttachBeforeTheStartGetsEverything(t *testing.T) {
	b := newBox(t, "sh", "-c", "echo one; echo two >&2; cat; exit 3")
	b.start.OpenStdin, b.start.StdinOnce = true, true
	b.bind()
	main := b.attach(shimapi.Attach{Stdin: true, Stdout: true, Stderr: true})
	errors := b.attach(shimapi.Attach{Stderr: true})
	b.launch()
	write(t, main, "three\n")
	if err := main.CloseWrite(); err != nil {
		t.Fatal(err)
	}
	if out, err := frames(t, main); out != "one\nthree\n" || err != "two\n" {
		t.Errorf("main client got %q and %q", out, err)
	}
	if out, err := frames(t, errors); out != "" || err != "two\n" {
		t.Errorf("client of stderr got %q and %q", out, err)
	}
	if exit := b.wait(); exit.ExitCode != 3 {
		t.Errorf("exit code %d", exit.ExitCode)
	}
}

func TestStdinStaysOpenForTheNextClient(t *testing.T) {
	b := newBox(t, "sh", "-c", "read a; read b; echo $a $b")
	b.start.OpenStdin = true
	b.launch()
	for _, line := range []string{"first\n", "second\n"} {
		conn := b.attach(shimapi.Attach{Stdin: true})
		write(t, conn, line)
		_ = conn.CloseWrite()
		readAll(t, conn) // ends: a client without input takes its leave
	}
	b.wait()
	if got := b.log("stdout"); got != "first second\n" {
		t.Errorf("got %q", got)
	}
}

func TestTerminal(t *testing.T) {
	b := newBox(t, "sh", "-c", "stty size; read line; stty size; echo got $line")
	b.start.Terminal, b.start.OpenStdin, b.start.ConsoleSize = true, true, [2]uint{30, 100}
	b.bind()
	conn := b.attach(shimapi.Attach{Stdin: true, Stdout: true, Stderr: true, DetachKeys: []byte{16, 17}})
	b.launch()
	readUntil(t, conn, "30 100\r\n")
	if err := b.client.Resize(bg, 40, 120); err != nil {
		t.Fatal(err)
	}
	write(t, conn, "x\n")
	got := readAll(t, conn)
	if !strings.HasSuffix(got, "40 120\r\ngot x\r\n") {
		t.Errorf("got %q", got)
	}
	b.wait()
}

func TestDetachKeysLeaveItRunning(t *testing.T) {
	b := newBox(t, "sh", "-c", "echo ready; read line; echo $line; exit 5")
	b.start.Terminal, b.start.OpenStdin = true, true
	b.bind()
	conn := b.attach(shimapi.Attach{Stdin: true, Stdout: true, DetachKeys: []byte{16, 17}})
	b.launch()
	readUntil(t, conn, "ready\r\n")
	write(t, conn, "a\x10\x11")
	readAll(t, conn)
	state, err := b.client.State(bg)
	if err != nil || state.Status != shimapi.StatusRunning {
		t.Fatalf("state %+v, %v", state, err)
	}
	again := b.attach(shimapi.Attach{Stdin: true, Stdout: true})
	write(t, again, "b\n")
	if got := readAll(t, again); !strings.Contains(got, "ab\r\n") {
		t.Errorf("got %q", got)
	}
	if exit := b.wait(); exit.ExitCode != 5 {
		t.Errorf("exit code %d", exit.ExitCode)
	}
}

// A reader that is slower than the container loses nothing, not even when it
// reads only after the shim has ended.
func TestSlowReaderGetsAll(t *testing.T) {
	const size = 230000 // more than the socket holds, less than socket and pipe
	b := newBox(t, "head", "-c", fmt.Sprint(size), "/dev/zero")
	b.bind()
	conn := b.attach(shimapi.Attach{Stdout: true})
	b.launch()
	b.wait()
	if out, _ := frames(t, conn); len(out) != size {
		t.Errorf("got %d bytes of %d", len(out), size)
	}
}

func TestBigOutputInOrder(t *testing.T) {
	b := newBox(t, "sh", "-c", "i=0; while [ $i -lt 3000 ]; do echo line $i; i=$((i+1)); done")
	b.bind()
	conn := b.attach(shimapi.Attach{Stdout: true, Stderr: true})
	b.launch()
	out, _ := frames(t, conn)
	b.wait()
	if logged := b.log("stdout"); out != logged || strings.Count(out, "\n") != 3000 || !strings.HasSuffix(out, "line 2999\n") {
		t.Errorf("%d bytes attached, %d logged, %d lines", len(out), len(logged), strings.Count(out, "\n"))
	}
}

// A container has ended when the last output is passed on, not when its init
// is gone: whoever got hold of its streams may still write.
func TestOutputAfterTheEndOfTheInit(t *testing.T) {
	b := newBox(t, "sh", "-c", "echo ready; sleep 1000")
	b.bind()
	conn := b.attach(shimapi.Attach{Stdout: true})
	b.launch()
	readUntil(t, conn, "ready\n")
	pid := b.awaitStatus("running").Pid
	writer, err := os.OpenFile(fmt.Sprintf("/proc/%d/fd/1", pid), os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	defer writer.Close()
	end, err := b.client.Wait(bg)
	if err != nil {
		t.Fatal(err)
	}
	if err := b.client.Kill(bg, shimapi.Kill{Signal: 9, Stop: true}); err != nil {
		t.Fatal(err)
	}
	b.until("end of the init", func() bool { _, err := os.Stat(fmt.Sprintf("/proc/%d", pid)); return err != nil })
	want := "ready\n"
	for i := range 5 {
		line := fmt.Sprintf("after the end %d\n", i)
		write(t, writer, line)
		readUntil(t, conn, line)
		want += line
		select {
		case r := <-end:
			t.Fatalf("the container has ended with its output going on: %+v", r)
		default:
		}
	}
	writer.Close()
	if r := <-end; r.Err != nil || r.Exit.ExitCode != 128+9 {
		t.Errorf("its end: %+v, %v", r.Exit, r.Err)
	}
	if got := b.log("stdout"); got != want {
		t.Errorf("its log %q, want %q", got, want)
	}
}
