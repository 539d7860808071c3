package image

import (
	"context"
	"crypto/tls"
	"net"
	"net/http/httptrace"
	"sync"
	"syscall"
)

// asking watches the requests that the image library makes for one question.
// The library waits by itself when a registry answers 429, as long as
// Retry-After says, and tells nobody; when our patience ends it must be known
// whether the registry was silent or had asked to wait. A 429 leaves a
// connection that was closed or given back, a stalled answer one in use.
type asking struct {
	mu     sync.Mutex
	conn   net.Conn // of the newest request
	answer bool     // to it has begun
	idle   bool     // the connection was given back
}

// watch gives the context for the question.
func (a *asking) watch(ctx context.Context) context.Context {
	note := func(change func()) {
		a.mu.Lock()
		defer a.mu.Unlock()
		change()
	}
	return httptrace.WithClientTrace(ctx, &httptrace.ClientTrace{
		GetConn:              func(string) { note(func() { a.conn, a.answer, a.idle = nil, false, false }) },
		GotConn:              func(info httptrace.GotConnInfo) { note(func() { a.conn = info.Conn }) },
		GotFirstResponseByte: func() { note(func() { a.answer = true }) },
		PutIdleConn:          func(error) { note(func() { a.idle = true }) },
	})
}

// silence is the reason for which patience ends.
func (a *asking) silence() error {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.answer && (a.idle || done(a.conn)) {
		return errAsksToWait
	}
	return errSilent
}

// done says whether a connection carries no answer any more. One of HTTP/2
// carries many and stays, so there an answer that stalls looks like one to wait for.
func done(conn net.Conn) bool {
	if secure, ok := conn.(*tls.Conn); ok {
		if secure.ConnectionState().NegotiatedProtocol == "h2" {
			return true
		}
		conn = secure.NetConn()
	}
	plain, ok := conn.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := plain.SyscallConn()
	return err != nil || raw.Control(func(uintptr) {}) != nil
}
