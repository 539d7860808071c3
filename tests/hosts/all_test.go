package hosts

import "testing"

// TestHosts has one engine and one other host for all: what costs is the image.
func TestHosts(t *testing.T) {
	e, other := newEngine(t), newHost(t)
	e.join(here+"/24", other, outside+"/24")
	nameServer(t, other)
	e.ok("ip", "route", "add", "default", "via", outside)
	t.Run("published", func(t *testing.T) { testPublished(t, e.in(t), other.in(t)) })
	t.Run("throughput", func(t *testing.T) { testThroughput(t, e.in(t)) })
	t.Run("walkthrough", func(t *testing.T) { testWalkthrough(t, e.in(t)) })
	t.Run("names", func(t *testing.T) { testNames(t, e.in(t)) })
}
