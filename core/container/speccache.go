package container

import (
	"bytes"
	"encoding/json"
	"sync"
)

// specCacheSize bounds the cache: the specs of some thousand containers.
const specCacheSize = 4096

// specCache remembers decoded specs. A spec is written once and decoding it is
// nine tenths of the time of a listing, which the prompt repeats at every turn.
type specCache struct {
	mu   sync.Mutex
	byID map[string]cachedSpec
}

type cachedSpec struct {
	raw  []byte
	spec specColumn
}

func newSpecCache() *specCache { return &specCache{byID: map[string]cachedSpec{}} }

// decode returns the spec of a container whose column holds raw. What it
// points to is shared and must not be changed, except for the fields of Config
// and HostConfig themselves.
func (c *specCache) decode(id string, raw []byte) (specColumn, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	known, ok := c.byID[id]
	if !ok || !bytes.Equal(known.raw, raw) {
		known = cachedSpec{raw: raw}
		if err := json.Unmarshal(raw, &known.spec); err != nil {
			return specColumn{}, err
		}
		if len(c.byID) >= specCacheSize {
			clear(c.byID)
		}
		c.byID[id] = known
	}
	spec := known.spec
	if spec.Config != nil {
		config := *spec.Config
		spec.Config = &config
	}
	if spec.HostConfig != nil {
		host := *spec.HostConfig
		spec.HostConfig = &host
	}
	return spec, nil
}
