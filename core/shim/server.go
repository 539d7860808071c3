//go:build cgo

package shim

import (
	"errors"
	"io"
	"net"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

const (
	// abandonedCheck is how often a bound shim whose parent has left looks for
	// clients that still wait for a start.
	abandonedCheck = 500 * time.Millisecond
	// lastAnswers is how long answers on their way may take when all is over.
	lastAnswers = time.Second
)

// server answers requests on the shim's socket.
type server struct {
	c        *container
	listener *net.UnixListener
	answers  sync.WaitGroup // requests that are not answered yet

	mu    sync.Mutex
	conns map[*net.UnixConn]struct{} // requests in progress, attached clients too
}

func newServer(c *container, listener *net.UnixListener) *server {
	return &server{c: c, listener: listener, conns: map[*net.UnixConn]struct{}{}}
}

// serve returns when the container has ended, or when it was never started and
// nobody is there any more who could start it. control is the connection to
// the process that spawned this one.
func (s *server) serve(control net.Conn) {
	s.answers.Go(s.accept) // the count is never zero while more may come
	abandoned := make(chan struct{})
	go s.watchParent(control, abandoned)
	select {
	case <-s.c.ended:
	case <-abandoned:
		_ = os.Remove(s.c.bind.RunDir + "/" + shimapi.StateFile)
	}
	_ = os.Remove(s.c.bind.RunDir + "/" + shimapi.SocketFile)
	s.listener.Close()
	s.c.io.release()
	s.awaitAnswers()
}

func (s *server) accept() {
	for {
		conn, err := s.listener.AcceptUnix()
		if err != nil {
			if !errors.Is(err, net.ErrClosed) {
				warnf("accept: %v", err)
			}
			return
		}
		s.answers.Add(1)
		go s.handle(conn)
	}
}

// watchParent closes abandoned when the parent has left, nothing was started,
// and no client is connected.
func (s *server) watchParent(control net.Conn, abandoned chan<- struct{}) {
	_, _ = io.Copy(io.Discard, control)
	for !s.c.abandon(func() bool { return !s.hasClients() }) {
		select {
		case <-s.c.ended:
			return
		case <-time.After(abandonedCheck):
		}
		if s.c.isStarted() {
			return
		}
	}
	close(abandoned)
}

func (s *server) hasClients() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for conn := range s.conns {
		if !hungUp(conn) {
			return true
		}
	}
	return s.c.io.hasClients()
}

func (s *server) awaitAnswers() {
	done := make(chan struct{})
	go func() { s.answers.Wait(); close(done) }()
	select {
	case <-done:
	case <-time.After(lastAnswers):
	}
}

// handle serves one connection. Streams take it over and close it themselves.
func (s *server) handle(conn *net.UnixConn) {
	s.track(conn, true)
	defer s.track(conn, false)
	req, err := shimapi.ReadRequest(conn)
	if err != nil {
		conn.Close()
		s.answers.Done()
		return
	}
	switch {
	case req.Attach != nil:
		s.answers.Done()
		s.c.io.attach(conn, *req.Attach, shimapi.Reply{})
	case req.Exec != nil:
		if err := s.c.exec(conn, req.Exec); err != nil || req.Exec.Detach {
			if err != nil {
				_ = shimapi.WriteLine(conn, shimapi.ReplyError(err))
			}
			conn.Close()
		}
		s.answers.Done()
	case req.Hold != nil:
		s.hold(conn)
	case req.Wait != nil || req.WaitNext != nil:
		s.wait(conn, req.WaitNext != nil)
	case req.Start != nil && req.Start.Again == nil:
		go s.c.watchStarter(conn, req.Start.Held)
		fallthrough
	default:
		_ = shimapi.WriteLine(conn, s.answer(req))
		conn.Close()
		s.answers.Done()
	}
}

func (s *server) track(conn *net.UnixConn, open bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if open {
		s.conns[conn] = struct{}{}
	} else {
		delete(s.conns, conn)
	}
}

// hold pauses the container for as long as the client is there.
func (s *server) hold(conn *net.UnixConn) {
	defer conn.Close()
	held, err := s.c.holdFor()
	written := shimapi.WriteLine(conn, shimapi.ReplyError(err))
	s.answers.Done() // the container may end meanwhile
	if err != nil {
		return
	}
	if written == nil {
		_, _ = io.Copy(io.Discard, conn)
	}
	_ = shimapi.WriteLine(conn, shimapi.ReplyError(s.c.letGo(held)))
}

// wait registers, says so, and answers when the time has come. A client that
// leaves before is let go of.
func (s *server) wait(conn *net.UnixConn, next bool) {
	defer s.answers.Done()
	defer conn.Close()
	exit := s.c.waiters.add(next)
	if err := shimapi.WriteLine(conn, shimapi.Reply{}); err != nil {
		return
	}
	left := make(chan struct{})
	go func() {
		_, _ = io.Copy(io.Discard, conn)
		close(left)
	}()
	select {
	case e := <-exit:
		_ = shimapi.WriteLine(conn, shimapi.Reply{Exit: e})
	case <-left:
	}
}

// answer serves the requests that are one question and one answer.
func (s *server) answer(req *shimapi.Request) shimapi.Reply {
	var err error
	switch {
	case req.Start != nil:
		pid, err := s.c.run(req.Start)
		reply := shimapi.ReplyError(err)
		reply.Pid = pid
		return reply
	case req.State != nil:
		state := s.c.currentState()
		return shimapi.Reply{State: &state}
	case req.Release != nil:
		err = s.c.release(req.Release)
	case req.Kill != nil:
		err = s.c.kill(*req.Kill)
	case req.Pause != nil:
		err = s.c.pause(*req.Pause)
	case req.Resize != nil:
		err = s.c.resize(*req.Resize)
	case req.ExecResize != nil:
		err = s.c.execResize(*req.ExecResize)
	case req.ExecKill != nil:
		err = s.c.execKill(*req.ExecKill)
	case req.Update != nil:
		err = s.c.update(*req.Update)
	case req.Rename != nil:
		s.c.name.Store(req.Rename)
	default:
		err = &shimapi.Error{Message: "this shim does not know the request", Class: shimapi.ClassInvalid}
	}
	return shimapi.ReplyError(err)
}

// signal is what the kernel takes.
func signal(n int) (unix.Signal, error) {
	if n < 1 || n > 64 {
		return 0, &shimapi.Error{Message: "kill: no such signal", Class: shimapi.ClassInvalid}
	}
	return unix.Signal(n), nil
}
