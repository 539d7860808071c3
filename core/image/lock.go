package image

import (
	"context"

	"errors"
	"fmt"
	"os"
	"strconv"
	"time"

	"github.com/opencontainers/go-digest"
	"golang.org/x/sys/unix"
)

// locks are byte-range locks in one file, held through an open file
// description each: they work between goroutines and between processes, and a
// killed process holds none.
//
// Byte 0 is the lease: whoever builds on layers that no index row protects yet
// (a pull, a container being created) shares it; the collector excludes them.
// The other bytes stand for layers, one per chain ID, so that a layer is
// fetched once however many pulls want it.
type locks struct{ file string }

type lock struct{ f *os.File }

// How often a taken lock is asked for again. The collector holds the lease for
// milliseconds and somebody waits for a container; a layer takes its time.
const (
	leasePoll = time.Millisecond
	layerPoll = 20 * time.Millisecond
)

// lease waits until no collector is at work and keeps it from starting.
func (l *locks) lease(ctx context.Context) (*lock, error) {
	return l.wait(ctx, unix.F_RDLCK, 0, leasePoll, nil)
}

// exclusive is the collector's side of lease; nil when somebody has a lease.
func (l *locks) exclusive() (*lock, error) { return l.try(unix.F_WRLCK, 0) }

// layer waits for the right to make a layer; contended is called once if it
// has to wait.
func (l *locks) layer(ctx context.Context, chain digest.Digest, contended func()) (*lock, error) {
	sum := digest.FromString(chain.String()).Encoded()
	n, err := strconv.ParseUint(sum[:16], 16, 64)
	if err != nil {
		return nil, fmt.Errorf("lock layer %s: %w", chain, err)
	}
	offset := int64(n>>2) | 1
	return l.wait(ctx, unix.F_WRLCK, offset, layerPoll, contended)
}

func (l *locks) wait(ctx context.Context, kind int16, offset int64, poll time.Duration, contended func()) (*lock, error) {
	for {
		held, err := l.try(kind, offset)
		if held != nil || err != nil {
			return held, err
		}
		if contended != nil {
			contended()
			contended = nil
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("wait for another nacre's work on the same layers: %w", ctx.Err())
		case <-time.After(poll):
		}
	}
}

func (l *locks) try(kind int16, offset int64) (*lock, error) {
	f, err := os.OpenFile(l.file, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the layers: %w", err)
	}
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: kind, Start: offset, Len: 1})
	switch {
	case err == nil:
		return &lock{f: f}, nil
	case errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES):
		return nil, f.Close()
	default:
		f.Close()
		return nil, fmt.Errorf("lock the layers in %s: %w", l.file, err)
	}
}

// release gives the lock back; closing the only descriptor does it. A second
// call does nothing.
func (l *lock) release() { l.f.Close() }
