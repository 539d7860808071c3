package backend

import (
	"cmp"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
)

// FillHealth completes a health check that leaves something out from the one
// below it: a container's from its image's, an image's from its parent's.
// Neither is changed; either may be nil.
func FillHealth(own, below *dockerspec.HealthcheckConfig) *dockerspec.HealthcheckConfig {
	if own == nil {
		return below
	}
	if below == nil {
		return own
	}
	out := *own
	if len(out.Test) == 0 {
		out.Test = below.Test
	}
	out.Interval = cmp.Or(out.Interval, below.Interval)
	out.Timeout = cmp.Or(out.Timeout, below.Timeout)
	out.StartPeriod = cmp.Or(out.StartPeriod, below.StartPeriod)
	out.StartInterval = cmp.Or(out.StartInterval, below.StartInterval)
	out.Retries = cmp.Or(out.Retries, below.Retries)
	return &out
}
