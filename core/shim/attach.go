//go:build cgo

package shim

import (
	"encoding/binary"
	"net"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

const (
	// stallLimit is how long an onlooker may keep the output waiting. Docker
	// waits for ever (github.com/moby/moby#41820 and others are about that).
	stallLimit = 30 * time.Second
	// finalBuffer is what a client's socket may hold when the process is gone:
	// more than two full pipes, so that what was written last is not lost on a
	// client that reads slowly.
	finalBuffer = 1 << 20
)

// Streams as stdcopy numbers them.
const (
	stdout byte = 1
	stderr byte = 2
)

// client is one attached connection.
type client struct {
	conn    *net.UnixConn
	opts    shimapi.Attach
	raw     bool // a terminal's bytes, without frames
	onlooks bool // joined a running process; see stallLimit

	mu   sync.Mutex // one frame at a time
	gone bool
}

func (c *client) wants(stream byte) bool {
	return stream == stdout && c.opts.Stdout || stream == stderr && c.opts.Stderr
}

// write passes output on and waits until the client has taken it. A client
// that was there before the start owns the output, as the reader of a pipe
// does: it may hold up the container. One that joined later is dropped when it
// stalls. It returns false when the client is gone.
func (c *client) write(stream byte, data []byte) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return false
	}
	if c.onlooks {
		_ = c.conn.SetWriteDeadline(time.Now().Add(stallLimit))
	}
	buffers := net.Buffers{data}
	if !c.raw {
		header := make([]byte, 8)
		header[0] = stream
		binary.BigEndian.PutUint32(header[4:], uint32(len(data)))
		buffers = net.Buffers{header, data}
	}
	if _, err := buffers.WriteTo(c.conn); err != nil {
		c.gone = true
		c.conn.Close()
	}
	return !c.gone
}

// enlarge lets the socket take what is still to be written without waiting for
// the client, and wakes a write that waits.
func (c *client) enlarge() {
	raw, err := c.conn.SyscallConn()
	if err != nil {
		return
	}
	_ = raw.Control(func(fd uintptr) {
		if unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUFFORCE, finalBuffer) != nil {
			_ = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_SNDBUF, finalBuffer)
		}
	})
}

// finish tells the client that the output has ended. What it has sent and
// nobody will read is thrown away first: closing over it would make the
// client's next read fail.
func (c *client) finish() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.gone {
		return
	}
	c.gone = true
	_ = c.conn.CloseWrite()
	_ = c.conn.CloseRead()
	_ = c.conn.SetReadDeadline(time.Now())
	var sink [4096]byte
	for {
		if _, err := c.conn.Read(sink[:]); err != nil {
			break
		}
	}
	c.conn.Close()
}

// hungUp tells whether the client has closed its end, not just its sending half.
func (c *client) hungUp() bool { return hungUp(c.conn) }

func hungUp(conn *net.UnixConn) bool {
	raw, err := conn.SyscallConn()
	if err != nil {
		return true
	}
	up := true
	err = raw.Control(func(fd uintptr) {
		poll := []unix.PollFd{{Fd: int32(fd)}}
		n, err := unix.Poll(poll, 0)
		up = n == 0 || err != nil
	})
	return err != nil || !up
}
