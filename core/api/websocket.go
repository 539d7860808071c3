package api

import (
	"encoding/binary"
	"errors"
	"net/http"

	"golang.org/x/net/websocket"

	"github.com/nacre-sh/nacre/core/backend"
)

// attachWebsocket is attach for clients that speak WebSocket: output comes as
// binary messages without docker's frames, standard output and error as one.
// The end of the input cannot be told apart from the client's leaving.
func (s *server) attachWebsocket(w http.ResponseWriter, r *request) error {
	opts := backend.Attach{
		Stdin: r.flag("stdin"), Stdout: r.flag("stdout"), Stderr: r.flag("stderr"),
		Stream: r.flag("stream"), Logs: r.flag("logs"), DetachKeys: r.query.Get("detachKeys"),
	}
	var taken *socket
	err := s.Containers.Attach(r.Context(), r.PathValue("name"), opts, func(tty bool) (backend.Conn, error) {
		var err error
		taken, err = webSocket(w, r, tty)
		return taken, err
	})
	if taken == nil {
		return err
	}
	if err != nil && r.Context().Err() == nil && !left(err) {
		_, _ = taken.ws.Write([]byte(messageOf(err) + "\r\n"))
	}
	taken.finish()
	return nil
}

// socket is a WebSocket as a connection. Its library serves it from within a
// handler, which stays until finish.
type socket struct {
	ws     *websocket.Conn
	strip  *unframer // nil with a terminal, whose output has no frames
	done   chan struct{}
	served chan struct{}
}

// webSocket answers with the protocol's handshake. Any origin may come in: who
// reaches the socket has its rights already.
func webSocket(w http.ResponseWriter, r *request, tty bool) (*socket, error) {
	s := &socket{done: make(chan struct{}), served: make(chan struct{})}
	ready := make(chan struct{})
	server := websocket.Server{Handler: func(ws *websocket.Conn) {
		if s.ws = ws; !r.before("1.28") {
			ws.PayloadType = websocket.BinaryFrame
		}
		close(ready)
		<-s.done
	}}
	go func() {
		defer close(s.served)
		server.ServeHTTP(w, r.Request)
	}()
	select {
	case <-ready:
	case <-s.served: // the client's request was none; the library has said so
		return nil, errors.New("attach: this is no WebSocket request")
	}
	if !tty {
		s.strip = &unframer{}
	}
	return s, nil
}

func (s *socket) Read(p []byte) (int, error) { return s.ws.Read(p) }

func (s *socket) Write(p []byte) (int, error) {
	if s.strip == nil {
		return s.ws.Write(p)
	}
	for _, data := range s.strip.push(p) {
		if _, err := s.ws.Write(data); err != nil {
			return 0, err
		}
	}
	return len(p), nil
}

// CloseWrite tells the client that there is no more output: a WebSocket has no
// halves.
func (s *socket) CloseWrite() error { return s.ws.Close() }

func (s *socket) Close() error { return s.ws.Close() }

func (s *socket) finish() {
	s.ws.Close()
	close(s.done)
	<-s.served
}

// unframer takes docker's 8-byte headers out of a stream.
type unframer struct {
	header [8]byte
	have   int    // bytes of the header
	left   uint32 // bytes of the frame
}

// push returns the pieces of p that are content.
func (u *unframer) push(p []byte) (content [][]byte) {
	for len(p) > 0 {
		if u.left == 0 {
			n := copy(u.header[u.have:], p)
			u.have += n
			p = p[n:]
			if u.have == len(u.header) {
				u.have, u.left = 0, binary.BigEndian.Uint32(u.header[4:])
			}
			continue
		}
		n := min(int(u.left), len(p))
		content = append(content, p[:n])
		u.left -= uint32(n)
		p = p[n:]
	}
	return content
}

var _ backend.Conn = (*socket)(nil)
