// Package defaults holds what a service gets where nothing else is asked for;
// the values are swarmkit's.
package defaults

import (
	"time"

	"github.com/gogo/protobuf/types"

	"github.com/moby/swarmkit/v2/api"
)

// Service is a service with nothing but defaults.
var Service = api.ServiceSpec{
	Task: api.TaskSpec{
		Container: &api.ContainerSpec{StopGracePeriod: types.DurationProto(10 * time.Second)},
		Restart:   &api.RestartPolicy{Condition: api.RestartOnAny, Delay: types.DurationProto(5 * time.Second)},
	},
	Update:   update(),
	Rollback: update(),
}

func update() *api.UpdateConfig {
	return &api.UpdateConfig{
		Parallelism: 1, Monitor: types.DurationProto(5 * time.Second),
		FailureAction: api.UpdateConfig_PAUSE, Order: api.UpdateConfig_STOP_FIRST,
	}
}
