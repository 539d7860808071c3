//go:build cgo

package shim

import (
	"time"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// Docker's back-off: the pause doubles from run to run, and a container that
// ran for steadyRun begins anew.
const (
	firstPause = 100 * time.Millisecond
	longPause  = time.Minute
	steadyRun  = 10 * time.Second
)

// restartPolicy decides what follows the end of the init.
type restartPolicy struct {
	shimapi.Restart
	pause time.Duration // before the last restart
}

// resume takes over a policy after some restarts: the pauses have grown.
func (p *restartPolicy) resume(count int) {
	for range min(count, 10) { // a minute is reached
		p.pause = min(max(2*p.pause, firstPause), longPause)
	}
}

// next tells whether the container is to be started again, and after what pause.
// count is the number of restarts so far.
func (p *restartPolicy) next(exitCode, count int, ran time.Duration) (time.Duration, bool) {
	switch p.Name {
	case "always", "unless-stopped":
	case "on-failure":
		if exitCode == 0 || p.MaxRetries > 0 && count >= p.MaxRetries {
			return 0, false
		}
	default: // no
		return 0, false
	}
	switch {
	case ran >= steadyRun || p.pause == 0:
		p.pause = firstPause
	default:
		p.pause = min(2*p.pause, longPause)
	}
	return p.pause, true
}
