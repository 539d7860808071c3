//go:build cgo

package shim

import (
	"context"
	"fmt"
	"io"
	"os"
	"sync"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/runtime"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

const (
	probeOutput = 4096            // bytes that are kept of one
	probeDrain  = 2 * time.Second // for the output of what a probe leaves running
	codeNoProbe = -1              // it could not be run, or took too long
)

// probe runs the check once. It is no exec that anybody sees: docker keeps
// none of them either.
func (c *container) probe(ctx context.Context, plan shimapi.Health) shimapi.Probe {
	result := shimapi.Probe{Start: time.Now().UTC(), ExitCode: codeNoProbe}
	r, w, err := os.Pipe()
	if err != nil {
		result.Output, result.End = err.Error(), time.Now().UTC()
		return result
	}
	defer r.Close()
	if err := c.pipeOwner(c.start.Spec.Process.User).take(r, w); err != nil {
		warnf("%v", err)
	}
	proc, err := c.startProbe(plan, w)
	w.Close()
	if err != nil {
		result.Output, result.End = err.Error(), time.Now().UTC()
		return result
	}
	out := &firstBytes{limit: probeOutput}
	drained := make(chan struct{})
	go func() { _, _ = io.Copy(out, r); close(drained) }()
	ended := make(chan int, 1)
	go func() {
		code, err := proc.Wait()
		if err != nil {
			warnf("%v", err)
		}
		ended <- code
	}()
	timeout := time.NewTimer(plan.Timeout)
	defer timeout.Stop()
	select {
	case result.ExitCode = <-ended:
		select {
		case <-drained:
		case <-time.After(probeDrain):
		}
		result.Output = out.String()
	case <-timeout.C:
		endProbe(proc, ended)
		result.Output = fmt.Sprintf("Health check exceeded timeout (%v)", plan.Timeout)
		if text := out.String(); text != "" {
			result.Output += ": " + text
		}
	case <-ctx.Done():
		endProbe(proc, ended)
	}
	result.End = time.Now().UTC()
	return result
}

func endProbe(proc *runtime.Process, ended <-chan int) {
	if err := proc.Signal(unix.SIGKILL); err != nil && !gone(err) {
		warnf("end a health check: %v", err)
	}
	<-ended
}

func (c *container) startProbe(plan shimapi.Health, out *os.File) (proc *runtime.Process, err error) {
	rc, err := c.mustRun("its health check")
	if err != nil {
		return nil, err
	}
	process := *plan.Process // what is run is free to change it
	err = c.worker.do(func() (err error) {
		proc, err = rc.Exec(&process, runtime.Stdio{Stdout: out, Stderr: out})
		return err
	})
	if err != nil {
		return nil, execError(err, process.Args[0])
	}
	return proc, nil
}

// firstBytes keeps the beginning of what is written.
type firstBytes struct {
	limit int

	mu   sync.Mutex
	kept []byte
	cut  bool
}

func (b *firstBytes) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	room := b.limit - len(b.kept)
	b.kept = append(b.kept, p[:min(room, len(p))]...)
	b.cut = b.cut || len(p) > room
	return len(p), nil
}

func (b *firstBytes) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.cut {
		return string(b.kept) + "..." // as docker marks it
	}
	return string(b.kept)
}
