//go:build cgo

package shim

import (
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/runtime"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// streams connects one process's standard streams with the log and any number
// of attached clients. It exists before the process does: clients may wait.
type streams struct {
	terminal bool
	stdinOne bool    // end of one client's stdin is the end of the process's
	log      logSink // nil: nothing is kept
	onDetach func()

	mu      sync.Mutex
	clients []*client
	running bool
	stdin   *os.File      // towards the process; nil: it has none
	console *os.File      // the terminal, which is stdin and stdout at once
	begun   chan struct{} // closed by begin: stdin is known
	copies  sync.WaitGroup
	passed  atomic.Uint64 // reads that were passed on
	files   []io.Closer   // the process's ends, to be closed once it has them
	after   func(time.Duration) <-chan time.Time
}

func newStreams() *streams { return &streams{begun: make(chan struct{}), after: time.After} }

// configure says what became known with the start.
func (s *streams) configure(terminal, stdinOne bool, log logSink, onDetach func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.terminal, s.stdinOne, s.log, s.onDetach = terminal, stdinOne, log, onDetach
}

// pipes makes the process's ends of its streams. uid and gid own them, so that
// /dev/stdout can be opened again by the user that runs there.
func (s *streams) pipes(openStdin bool, owner pipeOwner) (stdio runtime.Stdio, ours [2]*os.File, err error) {
	defer func() {
		if err != nil {
			s.closeFiles()
		}
	}()
	if openStdin {
		var r, w *os.File
		if r, w, err = s.pipe(owner); err != nil {
			return stdio, ours, err
		}
		s.files = append(s.files, r)
		stdio.Stdin, s.stdin = r, w
	}
	for i, end := range []**os.File{&stdio.Stdout, &stdio.Stderr} {
		var r, w *os.File
		if r, w, err = s.pipe(owner); err != nil {
			return stdio, ours, err
		}
		s.files = append(s.files, w)
		*end, ours[i] = w, r
	}
	return stdio, ours, nil
}

// pipeOwner is who is to open a process's pipes anew, by /dev/stdout.
type pipeOwner struct {
	uid, gid int
	label    string // SELinux's, of the container's files; empty: none
}

func (c *container) pipeOwner(u specs.User) pipeOwner {
	return pipeOwner{uid: int(u.UID), gid: int(u.GID), label: c.start.Rootfs.Label}
}

func (s *streams) pipe(owner pipeOwner) (r, w *os.File, err error) {
	if r, w, err = os.Pipe(); err != nil {
		return nil, nil, fmt.Errorf("make a pipe: %w", err)
	}
	if err := owner.take(r, w); err != nil {
		r.Close()
		w.Close()
		return nil, nil, err
	}
	return r, w, nil
}

// take: both ends are one file, with one owner and one label.
func (o pipeOwner) take(r, w *os.File) error {
	// Where the policy forbids to relabel a pipe, it may still let containers use one of ours.
	if err := setLabel(fdPath(r), o.label); err != nil && !errors.Is(err, os.ErrPermission) {
		return fmt.Errorf("label a pipe: %w", err)
	}
	if o.uid == 0 && o.gid == 0 {
		return nil
	}
	for _, f := range []*os.File{r, w} {
		if err := f.Chown(o.uid, o.gid); err != nil {
			return fmt.Errorf("give a pipe to user %d: %w", o.uid, err)
		}
	}
	return nil
}

func (s *streams) closeFiles() {
	for _, f := range s.files {
		f.Close()
	}
	s.files = nil
}

// begin starts copying for a process that runs. outputs are our ends of its
// stdout and stderr, or the console and nil.
func (s *streams) begin(stdoutFrom, stderrFrom *os.File) {
	s.closeFiles()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.running = true
	if s.terminal {
		s.console, s.stdin = stdoutFrom, stdoutFrom
	}
	for _, c := range s.clients {
		c.raw = s.terminal // not known when they came
	}
	for stream, from := range map[byte]*os.File{stdout: stdoutFrom, stderr: stderrFrom} {
		if from != nil {
			s.copies.Add(1)
			go s.copyOut(stream, from)
		}
	}
	close(s.begun)
}

// copyOut passes one stream on, to the log first, until its last writer is gone.
func (s *streams) copyOut(stream byte, from *os.File) {
	defer s.copies.Done()
	defer from.Close()
	name := map[byte]string{stdout: "stdout", stderr: "stderr"}[stream]
	var lines lineSplitter
	buf := make([]byte, 16<<10)
	for {
		n, err := from.Read(buf)
		if n > 0 {
			if s.log != nil {
				s.writeLog(name, lines.push(buf[:n]))
			}
			s.broadcast(stream, buf[:n])
			s.passed.Add(1)
		}
		if err != nil { // EOF, or EIO from a terminal that nobody has open
			break
		}
	}
	if s.log != nil {
		s.writeLog(name, lines.last())
	}
}

func (s *streams) writeLog(name string, messages [][]byte) {
	if len(messages) == 0 {
		return
	}
	if err := s.log.write(name, messages, time.Now()); err != nil {
		warnf("%v", err)
	}
}

func (s *streams) broadcast(stream byte, data []byte) {
	s.mu.Lock()
	clients := slices.Clone(s.clients)
	s.mu.Unlock()
	for _, c := range clients {
		if c.wants(stream) && !c.write(stream, data) {
			s.drop(c)
		}
	}
}

// attach adds a client; reply is sent before any output. It returns when
// the client's stdin has ended or the process has.
func (s *streams) attach(conn *net.UnixConn, opts shimapi.Attach, reply shimapi.Reply) {
	if c := s.add(conn, opts, reply); c != nil {
		<-s.hasBegun() // the start, or the end of a shim that is not started
		s.serve(c)
	}
}

// attachFirst is attach for the client that had the process started: it is
// there before the first byte is copied.
func (s *streams) attachFirst(conn *net.UnixConn, opts shimapi.Attach, reply shimapi.Reply, ours [2]*os.File) {
	c := s.add(conn, opts, reply)
	s.begin(ours[0], ours[1])
	if c != nil {
		s.serve(c)
	}
}

// add sends the reply and joins the client; nil when it has gone already.
func (s *streams) add(conn *net.UnixConn, opts shimapi.Attach, reply shimapi.Reply) *client {
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := shimapi.WriteLine(conn, reply); err != nil {
		conn.Close()
		return nil
	}
	c := &client{conn: conn, opts: opts, raw: s.terminal, onlooks: s.running}
	s.clients = append(s.clients, c)
	return c
}

// hasBegun is closed when the process runs, or never will.
func (s *streams) hasBegun() <-chan struct{} {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.begun
}

func (s *streams) serve(c *client) {
	if c.opts.Stdin && s.hasStdin() {
		s.copyIn(c)
	} else {
		_, _ = io.Copy(io.Discard, c.conn)
	}
}

func (s *streams) hasStdin() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stdin != nil
}

// copyIn passes a client's input on until it ends or the detach keys come.
func (s *streams) copyIn(c *client) {
	s.mu.Lock()
	to, terminal := s.stdin, s.terminal
	s.mu.Unlock()
	keys := detachScanner{}
	if terminal {
		keys.keys = c.opts.DetachKeys
	}
	buf := make([]byte, 16<<10)
	for {
		n, err := c.conn.Read(buf)
		through, detached := keys.scan(buf[:n])
		if len(through) > 0 && to != nil {
			if _, werr := to.Write(through); werr != nil {
				to = nil // the process has closed it or ended; read on to see the client leave
			}
		}
		if detached {
			s.drop(c)
			c.finish()
			if s.onDetach != nil {
				s.onDetach()
			}
			return
		}
		if err != nil {
			break
		}
	}
	s.endOfInput(c, terminal)
}

// endOfInput is what a client's end of file means: with StdinOnce it is the
// process's, else the client's farewell (docker does the same).
func (s *streams) endOfInput(c *client, terminal bool) {
	if s.stdinOne && !terminal {
		s.mu.Lock()
		if s.stdin != nil {
			s.stdin.Close()
		}
		s.mu.Unlock()
		return
	}
	s.drop(c)
	c.finish()
}

func (s *streams) drop(c *client) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.clients = slices.DeleteFunc(s.clients, func(other *client) bool { return other == c })
}

// resize sets the terminal's size.
func (s *streams) resize(rows, columns uint) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.console == nil {
		return &shimapi.Error{Message: "resize: the process has no terminal", Class: shimapi.ClassConflict}
	}
	raw, err := s.console.SyscallConn()
	if err != nil {
		return fmt.Errorf("resize: %w", err)
	}
	var ioctl error
	err = raw.Control(func(fd uintptr) {
		ioctl = unix.IoctlSetWinsize(int(fd), unix.TIOCSWINSZ, &unix.Winsize{Row: uint16(rows), Col: uint16(columns)})
	})
	if err := errors.Join(err, ioctl); err != nil {
		return fmt.Errorf("resize: %w", err)
	}
	return nil
}

// drain waits until the output of a process that has ended is passed on. It
// gives up when nothing more comes for the given time: a process that is left
// over (an exec that forked) may hold the streams open longer.
func (s *streams) drain(patience time.Duration) {
	s.mu.Lock()
	clients := slices.Clone(s.clients)
	s.mu.Unlock()
	for _, c := range clients {
		c.enlarge()
	}
	drained := make(chan struct{})
	go func() { s.copies.Wait(); close(drained) }()
	for {
		before := s.passed.Load()
		select {
		case <-drained:
			return
		case <-s.after(patience):
		}
		if s.passed.Load() == before {
			return
		}
	}
}

// abandon undoes pipes for a process that could not be started.
func (s *streams) abandon(ours [2]*os.File) {
	s.closeFiles()
	for _, f := range ours {
		if f != nil {
			f.Close()
		}
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.stdin != nil {
		s.stdin.Close()
		s.stdin = nil
	}
}

// release ends all clients and closes the process's stdin.
func (s *streams) release() {
	s.mu.Lock()
	clients := s.clients
	s.clients = nil
	if s.stdin != nil {
		s.stdin.Close()
		s.stdin = nil
	}
	s.console = nil
	if !s.running {
		close(s.begun)
	}
	s.running = false
	s.begun = make(chan struct{}) // for a restart
	s.mu.Unlock()
	for _, c := range clients {
		c.finish()
	}
}

// hasClients tells whether anybody is attached who has not hung up.
func (s *streams) hasClients() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.ContainsFunc(s.clients, func(c *client) bool { return !c.hungUp() })
}
