// Package types stands in for the generated types of Protocol Buffers, of
// which docker/cli takes the durations of a service's defaults.
package types

import (
	"errors"
	"time"
)

// Duration is a length of time as a message has it.
type Duration struct {
	Seconds int64
	Nanos   int32
}

// DurationProto makes a message of a duration.
func DurationProto(d time.Duration) *Duration {
	return &Duration{Seconds: int64(d / time.Second), Nanos: int32(d % time.Second)}
}

// DurationFromProto makes a duration of a message. Without one it returns 0 and
// an error, as the original does.
func DurationFromProto(d *Duration) (time.Duration, error) {
	if d == nil {
		return 0, errors.New("duration: nil Duration")
	}
	return time.Duration(d.Seconds)*time.Second + time.Duration(d.Nanos), nil
}
