package stats

import (
	"cmp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/moby/moby/api/types/container"
)

// span is how long the sparklines look back.
const span = time.Minute

// series is one container with its last minute.
type series struct {
	id, name string
	running  bool
	past     []sample // oldest first, the last one is now; none older than span
}

// now is the newest sample; ok is false before the first one and while the container does not run.
func (s *series) now() (sample, bool) {
	if len(s.past) == 0 || !s.running {
		return sample{cpu: -1}, false
	}
	return s.past[len(s.past)-1], true
}

// order is what the rows are sorted by.
type order byte

// The orders, by their keys.
const (
	byCPU    order = 'c'
	byMemory order = 'm'
	byName   order = 'n'
	byIO     order = 'i'
)

// model is what is known of the containers. Collectors write to it, the view
// reads copies.
type model struct {
	mu      sync.Mutex
	byID    map[string]*series
	changed chan struct{} // holds one word while there is something new
}

func newModel() *model {
	return &model{byID: map[string]*series{}, changed: make(chan struct{}, 1)}
}

// update changes a container that is known, under the lock.
func (m *model) update(id string, change func(*series)) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if s := m.byID[id]; s != nil {
		change(s)
		m.tell()
	}
}

func (m *model) tell() {
	select {
	case m.changed <- struct{}{}:
	default:
	}
}

// add makes a container known; false when it is already.
func (m *model) add(id, name string, running bool) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	defer m.tell()
	if s := m.byID[id]; s != nil {
		s.running = s.running || running
		return false
	}
	m.byID[id] = &series{id: id, name: strings.TrimPrefix(name, "/"), running: running}
	return true
}

func (m *model) remove(id string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	delete(m.byID, id)
	m.tell()
}

// take adds a sample to a container's past.
func (m *model) take(id string, v *container.StatsResponse) {
	m.update(id, func(s *series) {
		var before *sample
		if len(s.past) > 0 {
			before = &s.past[len(s.past)-1]
		}
		now := newSample(v, before)
		old := now.at.Add(-span)
		s.past = append(slices.DeleteFunc(s.past, func(p sample) bool { return p.at.Before(old) }), now)
		s.running = true
		if name := strings.TrimPrefix(v.Name, "/"); name != "" {
			s.name = name
		}
	})
}

// rows are copies of all containers in an order; reversed turns it round.
// Containers that do not run come last.
func (m *model) rows(by order, reversed bool) []series {
	m.mu.Lock()
	defer m.mu.Unlock()
	list := make([]series, 0, len(m.byID))
	for _, s := range m.byID {
		c := *s
		c.past = slices.Clone(s.past)
		list = append(list, c)
	}
	slices.SortFunc(list, func(a, b series) int {
		x, okX := a.now()
		y, okY := b.now()
		if okX != okY {
			return cmp.Compare(rank(okX), rank(okY))
		}
		n := compare(by, &a, &b, x, y)
		if reversed {
			n = -n
		}
		return cmp.Or(n, cmp.Compare(a.name, b.name), cmp.Compare(a.id, b.id))
	})
	return list
}

func rank(known bool) int {
	if known {
		return 0
	}
	return 1
}

// compare puts the greater figure first.
func compare(by order, a, b *series, x, y sample) int {
	switch by {
	case byMemory:
		return cmp.Compare(y.memory, x.memory)
	case byIO:
		return cmp.Compare(y.io(), x.io())
	case byName:
		return cmp.Compare(a.name, b.name)
	}
	return cmp.Compare(y.cpu, x.cpu)
}
