package server

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/network/resolver"
)

// maxRequest bounds a request; one container with many names is some KB.
const maxRequest = 1 << 20

// worker answers for all containers of one engine.
type worker struct {
	dir     string
	names   *names
	forward *forwarder

	mu      sync.Mutex
	clients map[string]*client
	stopped bool
	empty   *time.Timer   // runs while there is no container
	idle    chan struct{} // closed when it is time to end
}

func work(dir string) error {
	listener, err := workerListener()
	if err != nil {
		return err
	}
	w := newWorker(dir)
	w.restore()
	go func() {
		<-w.idle
		_ = listener.SetDeadline(time.Unix(1, 0)) // what comes now is the next worker's
	}()
	for {
		conn, err := listener.AcceptUnix()
		switch {
		case errors.Is(err, os.ErrDeadlineExceeded):
			return nil
		case err != nil:
			return err
		}
		w.serve(conn) // one after the other: each takes a millisecond at most
	}
}

func newWorker(dir string) *worker {
	w := &worker{dir: dir, names: newNames(), forward: newForwarder(), clients: map[string]*client{}, idle: make(chan struct{})}
	w.empty = time.AfterFunc(resolver.Linger, w.endIfIdle)
	return w
}

// endIfIdle ends the worker when there is still no container.
func (w *worker) endIfIdle() {
	w.mu.Lock()
	defer w.mu.Unlock()
	if len(w.clients) == 0 && !w.stopped {
		w.stopped = true
		close(w.idle)
	}
}

// serve answers one request.
func (w *worker) serve(conn *net.UnixConn) {
	defer conn.Close()
	_ = conn.SetDeadline(time.Now().Add(10 * time.Second)) // a client that hangs must not hang the others
	var reply resolver.Reply
	req, netns, err := readRequest(conn)
	if netns != nil {
		defer netns.Close()
	}
	if err == nil {
		err = w.do(req, netns)
	}
	if err != nil {
		reply.Error = err.Error()
	}
	line, _ := json.Marshal(reply) // a string cannot fail
	_, _ = conn.Write(line)        // whoever has gone needs no answer
}

func (w *worker) do(req resolver.Request, netns *os.File) error {
	switch {
	case req.Register != nil && netns == nil:
		return errors.New("a registration without a network namespace")
	case req.Register != nil:
		return w.register(*req.Register, netns)
	case req.Unregister != "":
		w.remove(req.Unregister, nil)
		return nil
	case req.Rename != nil:
		return w.rename(*req.Rename)
	case req.Stop:
		w.stop()
		return nil
	}
	return errors.New("this resolver does not know the request")
}

// readRequest reads one line and the descriptor that may come with it.
func readRequest(conn *net.UnixConn) (req resolver.Request, netns *os.File, err error) {
	var line []byte
	buf, oob := make([]byte, 64<<10), make([]byte, unix.CmsgSpace(4))
	for len(line) == 0 || line[len(line)-1] != '\n' {
		n, oobn, _, _, err := conn.ReadMsgUnix(buf, oob)
		if err != nil {
			return req, netns, err
		}
		if oobn > 0 && netns == nil {
			if netns, err = descriptor(oob[:oobn]); err != nil {
				return req, nil, err
			}
		}
		line = append(line, buf[:n]...)
		if n == 0 || len(line) > maxRequest {
			return req, netns, errors.New("a request that has no end")
		}
	}
	return req, netns, json.Unmarshal(line, &req)
}

func descriptor(oob []byte) (*os.File, error) {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil || len(messages) != 1 {
		return nil, fmt.Errorf("read a descriptor: %d messages: %w", len(messages), err)
	}
	fds, err := unix.ParseUnixRights(&messages[0])
	if err != nil || len(fds) != 1 {
		return nil, fmt.Errorf("read a descriptor: %d came: %w", len(fds), err)
	}
	unix.CloseOnExec(fds[0])
	return os.NewFile(uintptr(fds[0]), "netns"), nil
}

// register makes or changes a container's entry.
func (w *worker) register(r resolver.Registration, netns *os.File) error {
	var st unix.Stat_t
	if err := unix.Fstat(int(netns.Fd()), &st); err != nil {
		return err
	}
	r.Inode = st.Ino
	w.mu.Lock()
	c := w.clients[r.Container]
	w.mu.Unlock()
	if c != nil && c.registration().Inode == r.Inode {
		r.Keeper, r.Started = c.registration().Keeper, c.registration().Started
		return w.update(c, r)
	}
	if c != nil { // its earlier life
		w.remove(r.Container, c)
	}
	return w.add(r, netns)
}

func (w *worker) rename(r resolver.Rename) error {
	w.mu.Lock()
	c := w.clients[r.Container]
	w.mu.Unlock()
	if c == nil {
		return nil
	}
	changed := *c.registration()
	changed.Networks = slices.Clone(changed.Networks)
	for i, place := range changed.Networks {
		names := slices.Clone(place.Names)
		if at := slices.Index(names, r.Old); at >= 0 {
			names[at] = r.New
		}
		changed.Networks[i].Names = names
	}
	return w.update(c, changed)
}

// update changes what is known of a container that has its sockets.
func (w *worker) update(c *client, r resolver.Registration) error {
	if err := w.keep(r); err != nil {
		return err
	}
	c.change(r)
	w.names.put(r)
	return nil
}

func (w *worker) add(r resolver.Registration, netns *os.File) error {
	keeper, err := openKeeper(&r)
	if err != nil {
		return err
	}
	c, err := newClient(r, netns, w)
	if err != nil {
		keeper.Close()
		return err
	}
	if err := w.keep(r); err != nil {
		keeper.Close()
		c.close()
		return err
	}
	w.names.put(r)
	w.mu.Lock()
	w.clients[r.Container] = c
	w.empty.Stop()
	w.mu.Unlock()
	c.serve()
	go func() {
		awaitEnd(keeper)
		w.remove(r.Container, c)
	}()
	return nil
}

// remove takes a container out; only is nil, or the entry that it must still be.
func (w *worker) remove(container string, only *client) {
	w.mu.Lock()
	defer w.mu.Unlock()
	c := w.clients[container]
	if c == nil || only != nil && c != only {
		return
	}
	delete(w.clients, container)
	w.names.remove(container)
	c.close()
	_ = os.Remove(w.file(container)) // what is left is found to be dead at the next start
	if len(w.clients) == 0 {
		w.empty.Reset(resolver.Linger)
	}
}

// stop ends the worker with all its containers.
func (w *worker) stop() {
	w.mu.Lock()
	all := make([]string, 0, len(w.clients))
	for id := range w.clients {
		all = append(all, id)
	}
	w.mu.Unlock()
	for _, id := range all {
		w.remove(id, nil)
	}
	w.endIfIdle()
}

func (w *worker) file(container string) string {
	return filepath.Join(w.dir, resolver.ContainersDir, filepath.Base(container))
}

// keep writes a registration down for the next worker.
func (w *worker) keep(r resolver.Registration) error {
	content, err := json.Marshal(r)
	if err != nil {
		return err
	}
	tmp := filepath.Join(w.dir, "new")
	if err := os.WriteFile(tmp, content, 0o600); err != nil {
		return err
	}
	return os.Rename(tmp, w.file(r.Container))
}

// restore takes over what an earlier worker had.
func (w *worker) restore() {
	dir := filepath.Join(w.dir, resolver.ContainersDir)
	entries, err := os.ReadDir(dir)
	if err != nil {
		fmt.Fprintln(os.Stderr, "nacre-resolver: restore:", err)
		return
	}
	for _, e := range entries {
		path := filepath.Join(dir, e.Name())
		if err := w.restoreOne(path); err != nil {
			fmt.Fprintf(os.Stderr, "nacre-resolver: restore %s: %v\n", e.Name(), err)
			_ = os.Remove(path)
		}
	}
}

func (w *worker) restoreOne(path string) error {
	raw, err := os.ReadFile(path)
	if err != nil {
		return err
	}
	var r resolver.Registration
	if err := json.Unmarshal(raw, &r); err != nil {
		return err
	}
	netns, err := findNetNS(r)
	if err != nil {
		return err
	}
	defer netns.Close()
	return w.add(r, netns)
}
