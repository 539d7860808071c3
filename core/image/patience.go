package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/containerd/errdefs"
	"go.podman.io/image/v5/pkg/blobinfocache/none"
	"go.podman.io/image/v5/types"
)

// errSilent ends a request to a registry that accepted the connection and then
// said nothing.
var errSilent = errdefs.ErrUnavailable.WithMessage("the registry stopped answering")

// errAsksToWait ends a request to a registry that answered 429 and would have
// us wait for longer than we do.
var errAsksToWait = errdefs.ErrUnavailable.WithMessage("too many requests: the registry asks to wait")

// patience bounds a small question to a registry.
func (s *Service) patience(ctx context.Context) (context.Context, context.CancelFunc) {
	return bounded(ctx, s.opts.Limits.Answer)
}

// bounded ends what a context is for after a while, with errSilent or errAsksToWait as its cause.
func bounded(ctx context.Context, limit time.Duration) (context.Context, context.CancelFunc) {
	question := &asking{}
	ctx, cancel := context.WithCancelCause(question.watch(ctx))
	clock := time.AfterFunc(limit, func() { cancel(question.silence()) })
	return ctx, func() {
		clock.Stop()
		cancel(nil)
	}
}

// because puts the reason for which the context ended before an error that only
// says that it ended.
func because(ctx context.Context, err error) error {
	switch cause := context.Cause(ctx); {
	case errors.Is(cause, errSilent):
		return fmt.Errorf("%w: %v", errSilent, err) // not wrapped: nobody has cancelled anything
	case errors.Is(cause, errAsksToWait):
		return fmt.Errorf("%w: %v", errAsksToWait, err)
	}
	return err
}

// getBlob opens a blob, from a byte on, whose reads end with errSilent when
// nothing comes for the idle limit. The clock runs only while somebody waits
// for bytes: a slow disk is no slow registry.
func (s *Service) getBlob(ctx context.Context, src types.ImageSource, blob types.BlobInfo, offset int64) (body io.ReadCloser, err error) {
	question := &asking{}
	ctx, cancel := context.WithCancelCause(question.watch(ctx))
	clock := time.AfterFunc(s.opts.Limits.Idle+skipTime(offset), func() { cancel(question.silence()) })
	if offset == 0 {
		body, _, err = src.GetBlob(ctx, blob, none.NoCache)
	} else {
		body, err = blobFrom(ctx, src, blob, offset)
	}
	clock.Stop()
	if err != nil {
		err = because(ctx, err)
		cancel(nil)
		return nil, err
	}
	clock = time.AfterFunc(s.opts.Limits.Idle, func() { cancel(errSilent) })
	clock.Stop()
	return &watchedBody{body: body, ctx: ctx, cancel: cancel, clock: clock, idle: s.opts.Limits.Idle}, nil
}

// skipTime is granted to registries that know no ranges and send everything
// again: a second for each MiB.
func skipTime(offset int64) time.Duration { return time.Duration(offset>>20) * time.Second }

type watchedBody struct {
	body   io.ReadCloser
	ctx    context.Context
	cancel context.CancelCauseFunc
	clock  *time.Timer
	idle   time.Duration
}

func (w *watchedBody) Read(b []byte) (int, error) {
	w.clock.Reset(w.idle)
	n, err := w.body.Read(b)
	w.clock.Stop()
	if err != nil && err != io.EOF {
		err = because(w.ctx, err)
	}
	return n, err
}

func (w *watchedBody) Close() error {
	w.clock.Stop()
	w.cancel(nil)
	return w.body.Close()
}
