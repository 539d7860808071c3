package shimapi

import (
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Health is a check that the shim runs again and again in the container.
// Measures that are zero are docker's: every 30 s (5 s during the start
// period), at most 30 s, three failures.
type Health struct {
	Process       *specs.Process
	Interval      time.Duration
	Timeout       time.Duration
	StartPeriod   time.Duration
	StartInterval time.Duration
	Retries       int
}

// HealthStatus is docker's word.
type HealthStatus string

// Values of HealthStatus.
const (
	HealthStarting  HealthStatus = "starting"
	HealthHealthy   HealthStatus = "healthy"
	HealthUnhealthy HealthStatus = "unhealthy"
)

// HealthState is what is known of the container's health.
type HealthState struct {
	Status        HealthStatus
	FailingStreak int
}

// HealthLog is HealthState with the last results, oldest first.
type HealthLog struct {
	HealthState
	Log []Probe
}

// Probe is one run of the check. ExitCode is -1 where it could not be run or
// took too long.
type Probe struct {
	Start, End time.Time
	ExitCode   int
	Output     string
}
