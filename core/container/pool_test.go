package container

import (
	"errors"
	"sync/atomic"
	"testing"
)

// A shim that is on its way already is the one that is used.
func TestPoolAdoptsEarlyShim(t *testing.T) {
	var spawned atomic.Int32
	find := func() (string, error) {
		spawned.Add(1)
		return "", errors.New("not here")
	}
	early := SpawnEarly(find)
	p := newPool(find)
	defer p.close()
	p.adopt(early)
	p.prepare()
	if _, err := p.take(); err == nil || spawned.Load() != 1 {
		t.Errorf("%d spawned, %v", spawned.Load(), err)
	}
}
