package image

import (
	"io"
	"sync"
)

// Reading and hashing a layer takes as long as writing its files; with some
// blocks between the two they take place at the same time.
const (
	aheadBlock  = 128 << 10
	aheadBlocks = 6
)

// aheadReader reads from another reader before it is asked to. Whoever has it
// must close it, also after an error; the other reader is free then.
type aheadReader struct {
	blocks chan block // filled
	free   chan []byte
	stop   chan struct{}
	done   sync.WaitGroup

	rest, whole []byte // of the current block
	err         error  // after it
}

type block struct {
	content, whole []byte
	err            error
}

func readAhead(from io.Reader) *aheadReader {
	a := &aheadReader{blocks: make(chan block, aheadBlocks), free: make(chan []byte, aheadBlocks), stop: make(chan struct{})}
	for range aheadBlocks {
		a.free <- nil // made when it is needed: most layers are small
	}
	a.done.Go(func() { a.fill(from) })
	return a
}

func (a *aheadReader) fill(from io.Reader) {
	defer close(a.blocks)
	for {
		var b []byte
		select {
		case b = <-a.free:
		case <-a.stop:
			return
		}
		if b == nil {
			b = make([]byte, aheadBlock)
		}
		n, err := from.Read(b)
		select {
		case a.blocks <- block{b[:n], b, err}:
		case <-a.stop:
			return
		}
		if err != nil {
			return
		}
	}
}

func (a *aheadReader) Read(p []byte) (int, error) {
	for len(a.rest) == 0 {
		if a.err != nil {
			return 0, a.err
		}
		if a.whole != nil {
			a.free <- a.whole // there is room for all of them
			a.whole = nil
		}
		next, more := <-a.blocks
		if !more {
			return 0, io.ErrClosedPipe
		}
		a.rest, a.whole, a.err = next.content, next.whole, next.err
	}
	n := copy(p, a.rest)
	a.rest = a.rest[n:]
	return n, nil
}

// Close returns when nothing reads from the other reader any more.
func (a *aheadReader) Close() error {
	close(a.stop)
	a.done.Wait()
	return nil
}
