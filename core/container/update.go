package container

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/opencontainers/runtime-spec/specs-go"

	"github.com/nacre-sh/nacre/core/container/spec"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// Update changes a container's limits and its restart policy: those of a
// running one at once, and in any case those of its next starts. What is left
// empty stays. If the limits cannot be put on what runs, nothing is changed.
func (m *Module) Update(ctx context.Context, name string, req container.UpdateConfig) ([]string, error) {
	id, err := m.resolve(ctx, name)
	if err != nil {
		return nil, err
	}
	unlock, err := m.lock(ctx, id)
	if err != nil {
		return nil, err
	}
	defer unlock()
	l, err := m.lookLocked(ctx, id)
	if err != nil {
		return nil, err
	}
	if err := allow(verbUpdate, l.record, l.now); err != nil {
		return nil, cannotUpdate(l.ID, err)
	}
	changed, err := m.planUpdate(l.HostConfig, req)
	if errdefs.IsConflict(err) {
		err = cannotUpdate(l.ID, err)
	}
	if err != nil {
		return nil, err
	}
	if l.state != nil {
		if err := m.updateRunning(ctx, l, changed, !reflect.DeepEqual(changed.Resources, l.HostConfig.Resources)); err != nil {
			return nil, cannotUpdate(l.ID, err)
		}
	}
	l.record.HostConfig = changed
	if err := m.saveSpec(ctx, l.record); err != nil {
		return nil, err
	}
	return nil, m.emit(l.record, events.ActionUpdate, nil)
}

func cannotUpdate(id string, err error) error {
	const words = "Cannot update container" // docker's
	return fmt.Errorf("%s %s: %w", words, id, err)
}

// planUpdate lays the request over the settings, with docker's refusals.
func (m *Module) planUpdate(old *container.HostConfig, req container.UpdateConfig) (*container.HostConfig, error) {
	hc := *old
	if err := updateLimits(&hc.Resources, req.Resources); err != nil {
		return nil, err
	}
	if policy := req.RestartPolicy; policy.Name != "" {
		if hc.AutoRemove && !policy.IsNone() {
			return nil, errdefs.ErrConflict.WithMessage("Restart policy cannot be updated because AutoRemove is enabled for the container")
		}
		hc.RestartPolicy = policy
	}
	host, err := m.host()
	if err != nil {
		return nil, err
	}
	return &hc, spec.Validate(&hc, host)
}

func updateLimits(have *container.Resources, want container.Resources) error {
	for _, clash := range []struct {
		is   bool
		what string
	}{
		{want.CPUPeriod > 0 && have.NanoCPUs > 0, "CPU Period cannot be updated as NanoCPUs has already been set"},
		{want.CPUQuota > 0 && have.NanoCPUs > 0, "CPU Quota cannot be updated as NanoCPUs has already been set"},
		{want.NanoCPUs > 0 && have.CPUPeriod > 0, "Nano CPUs cannot be updated as CPU Period has already been set"},
		{want.NanoCPUs > 0 && have.CPUQuota > 0, "Nano CPUs cannot be updated as CPU Quota has already been set"},
	} {
		if clash.is {
			return errdefs.ErrConflict.WithMessage("Conflicting options: " + clash.what)
		}
	}
	swap := have.MemorySwap
	if swap == 0 {
		swap = 2 * have.Memory // what the container got
	}
	if want.Memory != 0 && want.MemorySwap == 0 && swap >= 0 && want.Memory > swap {
		return errdefs.ErrConflict.WithMessage("Memory limit should be smaller than already set memoryswap limit, update the memoryswap at the same time")
	}
	if want.Memory != 0 && want.MemorySwap == 0 {
		have.MemorySwap = swap // the old limit stays as it is
	}
	set(&have.BlkioWeight, want.BlkioWeight)
	set(&have.CPUShares, want.CPUShares)
	set(&have.NanoCPUs, want.NanoCPUs)
	set(&have.CPUPeriod, want.CPUPeriod)
	set(&have.CPUQuota, want.CPUQuota)
	set(&have.CpusetCpus, want.CpusetCpus)
	set(&have.CpusetMems, want.CpusetMems)
	set(&have.Memory, want.Memory)
	set(&have.MemorySwap, want.MemorySwap)
	set(&have.MemoryReservation, want.MemoryReservation)
	set(&have.CPURealtimePeriod, want.CPURealtimePeriod)
	set(&have.CPURealtimeRuntime, want.CPURealtimeRuntime)
	set(&have.PidsLimit, want.PidsLimit)
	return nil
}

// set takes a value over unless it is the empty one.
func set[T comparable](to *T, value T) {
	var empty T
	if value != empty {
		*to = value
	}
}

func (m *Module) updateRunning(ctx context.Context, l live, changed *container.HostConfig, limits bool) error {
	var resources *specs.LinuxResources
	var err error
	if limits {
		if resources, err = spec.Resources(changed.Resources); err != nil {
			return err
		}
	}
	client, err := m.client(ctx, l.ID)
	if errdefs.IsConflict(err) { // it has just ended
		return nil
	}
	if err != nil {
		return err
	}
	return client.Update(ctx, resources, &shimapi.Restart{
		Name: string(changed.RestartPolicy.Name), MaxRetries: changed.RestartPolicy.MaximumRetryCount,
	})
}

// saveSpec writes a record's configuration anew; the caller holds the lock.
func (m *Module) saveSpec(ctx context.Context, r *record) error {
	content, err := json.Marshal(specOf(r))
	var brief []byte
	if err == nil {
		brief, err = json.Marshal(briefOf(r))
	}
	if err == nil {
		_, err = m.db.ExecContext(ctx, `UPDATE containers SET spec = ?, brief = ? WHERE id = ?`, string(content), string(brief), r.ID)
	}
	if err != nil {
		return fmt.Errorf("record the settings of container %s: %w", r.Name, err)
	}
	return nil
}
