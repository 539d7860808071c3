package scripting

import (
	"context"
	"errors"
	"io"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Interruptible makes reads of a terminal or pipe end when ctx does. A blocked
// read(2) cannot be interrupted, and one left behind in a goroutine would eat
// the next line typed at the prompt: so the read starts only when there is
// something to read.
func Interruptible(ctx context.Context, r io.Reader) io.Reader {
	f, ok := r.(*os.File)
	if !ok {
		if r == nil {
			return eofReader{}
		}
		return r
	}
	return &pollReader{ctx: ctx, file: f}
}

type pollReader struct {
	ctx  context.Context
	file *os.File
}

// pollInterval bounds how long a cancelled read still waits, in milliseconds.
const pollInterval = 100

func (p *pollReader) Read(b []byte) (int, error) {
	fd, err := descriptor(p.file)
	if err != nil {
		return 0, err
	}
	fds := []unix.PollFd{{Fd: int32(fd), Events: unix.POLLIN}}
	for {
		if err := p.ctx.Err(); err != nil {
			return 0, err
		}
		n, err := unix.Poll(fds, pollInterval)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return 0, os.NewSyscallError("poll", err)
		}
		if n > 0 {
			return p.file.Read(b)
		}
	}
}

// IsTerminal tells whether someone may be typing what r reads.
func IsTerminal(r io.Reader) bool {
	f, ok := r.(*os.File)
	if !ok {
		return false
	}
	fd, err := descriptor(f)
	return err == nil && term.IsTerminal(int(fd))
}

// descriptor is f.Fd() without its side effect on the blocking mode.
func descriptor(f *os.File) (fd uintptr, err error) {
	conn, err := f.SyscallConn()
	if err != nil {
		return 0, err
	}
	err = conn.Control(func(n uintptr) { fd = n })
	return fd, err
}

type eofReader struct{}

func (eofReader) Read([]byte) (int, error) { return 0, io.EOF }
