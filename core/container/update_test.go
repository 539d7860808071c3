package container

import (
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
)

func TestUpdateLimits(t *testing.T) {
	const mb = 1 << 20
	for name, c := range map[string]struct {
		have, want container.Resources
		swap       int64
		refused    bool
	}{
		"no limit before":           {want: container.Resources{Memory: 64 * mb}, refused: true},
		"less than before":          {have: container.Resources{Memory: 64 * mb}, want: container.Resources{Memory: 32 * mb}, swap: 128 * mb},
		"within the swap":           {have: container.Resources{Memory: 64 * mb}, want: container.Resources{Memory: 128 * mb}, swap: 128 * mb},
		"more than the swap":        {have: container.Resources{Memory: 64 * mb}, want: container.Resources{Memory: 129 * mb}, refused: true},
		"both":                      {want: container.Resources{Memory: 64 * mb, MemorySwap: 64 * mb}, swap: 64 * mb},
		"unbounded swap":            {have: container.Resources{Memory: 64 * mb, MemorySwap: -1}, want: container.Resources{Memory: 1024 * mb}, swap: -1},
		"a quota beside --cpus":     {have: container.Resources{NanoCPUs: 1}, want: container.Resources{CPUQuota: 1}, refused: true},
		"--cpus beside a period":    {have: container.Resources{CPUPeriod: 1}, want: container.Resources{NanoCPUs: 1}, refused: true},
		"nothing":                   {},
		"a period without conflict": {have: container.Resources{CPUPeriod: 1000}, want: container.Resources{CPUPeriod: 2000}},
	} {
		err := updateLimits(&c.have, c.want)
		if c.refused != errdefs.IsConflict(err) {
			t.Errorf("%s: %v", name, err)
		}
		if err == nil && c.have.MemorySwap != c.swap {
			t.Errorf("%s: swap is %d, want %d", name, c.have.MemorySwap, c.swap)
		}
	}
}

func TestShouldRun(t *testing.T) {
	at := func(policy container.RestartPolicyMode, retries int, change func(*record)) *record {
		r := &record{Status: exited, StartedAt: time.Unix(1, 0), ExitCode: 255, HostConfig: &container.HostConfig{
			RestartPolicy: container.RestartPolicy{Name: policy, MaximumRetryCount: retries},
		}}
		if change != nil {
			change(r)
		}
		return r
	}
	for name, c := range map[string]struct {
		r    *record
		want bool
	}{
		"always":             {at("always", 0, nil), true},
		"unless-stopped":     {at("unless-stopped", 0, nil), true},
		"on-failure":         {at("on-failure", 0, nil), true},
		"no policy":          {at("no", 0, nil), false},
		"stopped by a user":  {at("always", 0, func(r *record) { r.Stopped = true }), false},
		"never started":      {at("always", 0, func(r *record) { r.StartedAt = time.Time{} }), false},
		"only created":       {at("always", 0, func(r *record) { r.Status = created }), false},
		"ended well":         {at("on-failure", 0, func(r *record) { r.ExitCode = 0 }), false},
		"out of tries":       {at("on-failure", 3, func(r *record) { r.RestartCount = 3 }), false},
		"with a try in hand": {at("on-failure", 3, func(r *record) { r.RestartCount = 2 }), true},
	} {
		if got := shouldRun(c.r); got != c.want {
			t.Errorf("%s: %v", name, got)
		}
	}
}
