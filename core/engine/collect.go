package engine

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/image"
	"github.com/nacre-sh/nacre/core/inherit"
	"github.com/nacre-sh/nacre/core/trash"
)

// What is removed is only marked; somebody must erase it when its time has
// come. A process that lives on (the prompt, `serve`) does so between its
// commands. One that ends leaves the work to a process of its own, `nacre
// system collect`, which works at low priority and ends when nothing waits any
// more. There is one of them for each data root.
const (
	calm          = 500 * time.Millisecond // since the last removal, before work begins
	idleLook      = 30 * time.Second       // how often a process that lives on looks for what others left
	collectorLook = 2 * time.Second        // how often the collector does
	niceness      = 10
	stopPatience  = 60 * time.Second       // for the collector to notice that it is to end
	endBudget     = 300 * time.Millisecond // for a process that ends and has no collector
)

// collector is the erasing of one engine.
type collector struct {
	*Engine
	images *image.Service
	bin    *trash.Bin
}

// collect erases in the background until the engine closes.
func (e *Engine) collect(ctx context.Context, images *image.Service, bin *trash.Bin) collector {
	c := collector{e, images, bin}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var work sync.WaitGroup
	work.Go(func() { c.inBackground(background) })
	e.closers = append(e.closers, func() error {
		cancel()
		work.Wait()
		return c.leave(context.WithoutCancel(ctx))
	})
	return c
}

func (c collector) inBackground(ctx context.Context) {
	wait := time.NewTimer(idleLook)
	defer wait.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-c.images.Kicked():
			wait.Reset(calm)
			continue
		case <-wait.C:
		}
		next, err := c.once(ctx)
		if err != nil && ctx.Err() == nil {
			logger(c.opts.Log).Printf("erase what was removed: %v", err)
		}
		wait.Reset(min(idleLook, max(next, calm)))
	}
}

// once erases what is due and tells when to come again; idleLook when nothing waits.
func (c collector) once(ctx context.Context) (time.Duration, error) {
	next, err := c.bin.Expire(ctx)
	if err != nil {
		return idleLook, err
	}
	if _, err := c.images.Collect(ctx, 0); err != nil {
		return idleLook, err
	}
	if next.IsZero() {
		return idleLook, nil
	}
	return time.Until(next), nil
}

// leave hands over what this process has removed and not erased.
func (c collector) leave(ctx context.Context) error {
	if !c.removing.Load() {
		return nil
	}
	some, err := c.left(ctx)
	if err != nil || !some {
		return err
	}
	if c.opts.Collector {
		return c.spawn()
	}
	_, err = c.images.Collect(ctx, endBudget)
	return err
}

// left says whether anything waits or is to be freed.
func (c collector) left(ctx context.Context) (bool, error) {
	if some, err := c.bin.Waits(ctx); err != nil || some {
		return some, err
	}
	return c.images.Pending(ctx)
}

// spawn starts the collector, unless there is one.
func (c collector) spawn() error {
	if c.collectorPid() != 0 {
		return nil
	}
	inherit.Keep() // this process ends
	cmd := exec.Command(c.opts.Self, "--data-root", c.store.Paths.Data, "--exec-root", c.store.Paths.Exec, "system", "collect")
	cmd.Dir = "/"
	cmd.Env = append(os.Environ(), "DOCKER_HOST=", "DOCKER_CONTEXT=")
	cmd.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	if err := cmd.Start(); err != nil {
		return fmt.Errorf("start the collector: %w", err)
	}
	// It has few threads yet, and the others inherit it. Not to be nice is no failure.
	_ = unix.Setpriority(unix.PRIO_PROCESS, cmd.Process.Pid, niceness)
	// From now on, not only once it has the lock, a reset must find it.
	err := os.WriteFile(c.store.Paths.CollectLock(), []byte(strconv.Itoa(cmd.Process.Pid)), 0o600)
	if err != nil {
		err = fmt.Errorf("note the collector: %w", err)
	}
	return errors.Join(err, cmd.Process.Release())
}

// collectorPid is the process that was started last for this data root, if it
// is still there; 0 otherwise. Its number may be another's by now, so its
// command line is looked at.
func (c collector) collectorPid() int {
	note, err := os.ReadFile(c.store.Paths.CollectLock())
	if err != nil {
		return 0
	}
	pid, err := strconv.Atoi(string(note))
	if err != nil {
		return 0
	}
	line, err := os.ReadFile(fmt.Sprintf("/proc/%d/cmdline", pid)) // empty for one that has ended
	if err != nil || !strings.Contains(string(line), c.store.Paths.Data+"\x00") || !strings.HasSuffix(string(line), "\x00collect\x00") {
		return 0
	}
	return pid
}

// Collect implements api.Collector: it is the life of `nacre system collect`.
// errdefs.ErrConflict: another one is at it.
func (c collector) Collect(ctx context.Context) error {
	unlock, err := lockFile(c.store.Paths.CollectLock())
	if err != nil {
		return err
	}
	defer unlock()
	db, err := c.store.DB.Conn(ctx)
	if err != nil {
		return fmt.Errorf("open the state: %w", err)
	}
	defer db.Close()
	var seen backend.Trash
	var before int64
	due := time.Now()
	for ; ctx.Err() == nil; pause(ctx, min(collectorLook, max(time.Until(due), calm))) {
		if _, err := os.Stat(c.store.Paths.StateDB()); err != nil {
			return nil // somebody has deleted the data root
		}
		var version int64 // changes with every change by others; to ask costs next to nothing
		if err := db.QueryRowContext(ctx, `PRAGMA data_version`).Scan(&version); err != nil {
			return fmt.Errorf("look for changes of the state: %w", err)
		}
		if version == before && time.Now().Before(due) {
			continue
		}
		before = version
		now, err := c.bin.Look(ctx)
		if err != nil {
			return err
		}
		pending, err := c.images.Pending(ctx)
		if err != nil {
			return err
		}
		if len(now.Items) == 0 && !pending {
			return nil
		}
		// What others have removed meanwhile may be too much for the disk.
		if pending || grown(seen, now) || !time.Now().Before(due) {
			next, err := c.once(ctx)
			if err != nil {
				return err
			}
			seen, due = now, time.Now().Add(next)
			if pending { // somebody may have kept it from its work
				due = time.Now().Add(calm)
			}
		}
	}
	return ctx.Err()
}

func pause(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// grown says whether something was put into the trash, or its rule changed,
// since it was seen.
func grown(seen, now backend.Trash) bool {
	if now.Keep != seen.Keep || now.Size != seen.Size {
		return true
	}
	return len(now.Items) > 0 && (len(seen.Items) == 0 || now.Items[0].RemovedAt.After(seen.Items[0].RemovedAt))
}

// stopCollector ends the collector of this data root, one that is only just
// starting too, and waits for its end.
func (c collector) stopCollector(ctx context.Context) error {
	for deadline := time.Now().Add(stopPatience); ; time.Sleep(5 * time.Millisecond) {
		pid := c.collectorPid()
		if pid == 0 || pid == os.Getpid() {
			return nil
		}
		if err := unix.Kill(pid, unix.SIGTERM); err != nil && !errors.Is(err, unix.ESRCH) {
			return fmt.Errorf("stop the collector: %w", err)
		}
		if time.Now().After(deadline) || ctx.Err() != nil {
			return errdefs.ErrUnavailable.WithMessage(fmt.Sprintf("stop the collector: process %d does not end", pid))
		}
	}
}

// lockFile takes a lock that goes with the process.
func lockFile(path string) (unlock func(), err error) {
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	err = unix.FcntlFlock(f.Fd(), unix.F_OFD_SETLK, &unix.Flock_t{Type: unix.F_WRLCK})
	if err == nil {
		return func() { f.Close() }, nil
	}
	f.Close()
	if errors.Is(err, unix.EAGAIN) || errors.Is(err, unix.EACCES) {
		return nil, errdefs.ErrConflict.WithMessage("another collector is at work")
	}
	return nil, fmt.Errorf("lock %s: %w", path, err)
}
