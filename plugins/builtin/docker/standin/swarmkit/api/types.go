// Package api stands in for swarmkit's types, of which docker/cli needs the
// few that the defaults of a service are made of: it shows them in the help of
// `service create`. The original is generated code whose registration costs
// every start of nacre most of a millisecond, and it brings gRPC and raft.
package api

import (
	"time"

	"github.com/gogo/protobuf/types"
)

// RestartPolicy_RestartCondition says after which ends a task starts again.
type RestartPolicy_RestartCondition int32

// The conditions.
const (
	RestartOnNone RestartPolicy_RestartCondition = iota
	RestartOnFailure
	RestartOnAny
)

// UpdateConfig_FailureAction says what follows a failed update.
type UpdateConfig_FailureAction int32

// The actions; docker/cli uses only their names.
const (
	UpdateConfig_PAUSE UpdateConfig_FailureAction = iota
	UpdateConfig_CONTINUE
	UpdateConfig_ROLLBACK
)

// UpdateConfig_FailureAction_name gives the names of the actions.
var UpdateConfig_FailureAction_name = map[int32]string{0: "PAUSE", 1: "CONTINUE", 2: "ROLLBACK"}

// UpdateConfig_UpdateOrder says which task goes first in an update.
type UpdateConfig_UpdateOrder int32

// The orders.
const (
	UpdateConfig_STOP_FIRST UpdateConfig_UpdateOrder = iota
	UpdateConfig_START_FIRST
)

// UpdateConfig is how a service is updated.
type UpdateConfig struct {
	Parallelism     uint64
	Delay           time.Duration
	FailureAction   UpdateConfig_FailureAction
	Monitor         *types.Duration
	MaxFailureRatio float32
	Order           UpdateConfig_UpdateOrder
}

// RestartPolicy is when and how often a task starts again.
type RestartPolicy struct {
	Condition   RestartPolicy_RestartCondition
	Delay       *types.Duration
	MaxAttempts uint64
	Window      *types.Duration
}

// ContainerSpec is the container of a task.
type ContainerSpec struct{ StopGracePeriod *types.Duration }

// TaskSpec is what a service runs.
type TaskSpec struct {
	Container *ContainerSpec
	Restart   *RestartPolicy
}

// GetContainer returns the container of the task.
func (t TaskSpec) GetContainer() *ContainerSpec { return t.Container }

// ServiceSpec is a service.
type ServiceSpec struct {
	Task             TaskSpec
	Update, Rollback *UpdateConfig
}
