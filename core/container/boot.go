package container

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"

	"github.com/containerd/errdefs"
	"golang.org/x/sync/errgroup"

	"github.com/nacre-sh/nacre/core/backend"
)

// bootWidth is how many containers are started or stopped at once.
const bootWidth = 8

// Boot starts what should run and does not: containers whose restart policy
// says so and that the machine's end, or their shim's, has ended. What a user
// has stopped stays stopped, and what never ran stays so.
func (m *Module) Boot(ctx context.Context) (backend.BootReport, error) {
	records, err := m.query(ctx, `WHERE status IN ('exited', 'running') ORDER BY created`)
	if err != nil {
		return backend.BootReport{}, err
	}
	var first, later []live // those that join another's network come after it
	for _, r := range records {
		l, err := m.look(keepDown(ctx), r)
		if errdefs.IsNotFound(err) { // it removed itself
			continue
		}
		if err != nil {
			return backend.BootReport{}, err
		}
		switch {
		case l.state != nil || !outlivesBoot(l.record):
		case l.HostConfig.NetworkMode.IsContainer() || l.HostConfig.PidMode.IsContainer():
			later = append(later, l)
		default:
			first = append(first, l)
		}
	}
	report := &bootReport{}
	for _, batch := range [][]live{first, later} {
		report.each(batch, func(l live) error { return m.startContainer(ctx, l.ID) })
	}
	return report.sorted(), ctx.Err()
}

// outlivesBoot: that the machine ended is no failure of the container's, so
// that on-failure does not count; docker's documentation says the same.
func outlivesBoot(r *record) bool {
	return shouldRun(r) && !r.HostConfig.RestartPolicy.IsOnFailure()
}

// shouldRun: a shim restarts its container by itself, so one that has a policy
// and has ended without a user's wish was ended with its shim.
func shouldRun(r *record) bool {
	if r.Status != exited || r.Stopped || r.StartedAt.IsZero() {
		return false
	}
	policy := r.HostConfig.RestartPolicy
	switch {
	case policy.IsAlways(), policy.IsUnlessStopped():
		return true
	case policy.IsOnFailure():
		return r.ExitCode != 0 && (policy.MaximumRetryCount == 0 || r.RestartCount < policy.MaximumRetryCount)
	}
	return false
}

// Halt stops everything that runs, for the machine's end: the next Boot starts
// it again, because no user stopped it.
func (m *Module) Halt(ctx context.Context) (backend.BootReport, error) {
	records, err := m.query(ctx, `WHERE status = 'running' ORDER BY created`)
	if err != nil {
		return backend.BootReport{}, err
	}
	var run []live
	for _, r := range records {
		l, err := m.look(keepDown(ctx), r)
		if errdefs.IsNotFound(err) {
			continue
		}
		if err != nil {
			return backend.BootReport{}, err
		}
		if l.state != nil {
			run = append(run, l)
		}
	}
	report := &bootReport{}
	report.each(run, func(l live) error { return m.halt(ctx, l.ID) })
	return report.sorted(), ctx.Err()
}

func (m *Module) halt(ctx context.Context, id string) error {
	err := m.Stop(ctx, id, backend.ContainerStop{})
	if err != nil && !errdefs.IsNotModified(err) && !errdefs.IsNotFound(err) {
		return err
	}
	if _, err := m.db.ExecContext(ctx, `UPDATE containers SET stopped = 0 WHERE id = ?`, id); err != nil {
		return fmt.Errorf("record the state of container %s: %w", id, err)
	}
	return nil
}

// bootReport collects what came of many containers.
type bootReport struct {
	mu sync.Mutex
	backend.BootReport
}

// each works on a batch, some at once; one that fails does not keep the others from it.
func (b *bootReport) each(batch []live, work func(live) error) {
	var group errgroup.Group
	group.SetLimit(bootWidth)
	for _, l := range batch {
		group.Go(func() error {
			err := work(l)
			b.mu.Lock()
			defer b.mu.Unlock()
			switch {
			case err == nil:
				b.Done = append(b.Done, l.Name)
			case !errdefs.IsNotModified(err) && !errors.Is(err, context.Canceled):
				b.Failed = append(b.Failed, l.Name+": "+err.Error())
			}
			return nil
		})
	}
	_ = group.Wait() // no work returns an error
}

func (b *bootReport) sorted() backend.BootReport {
	slices.Sort(b.Done)
	slices.Sort(b.Failed)
	return b.BootReport
}
