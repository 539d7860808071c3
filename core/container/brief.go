package container

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
)

// briefColumn is what lists show and filter by. The whole specification of a
// container is some four kilobytes of JSON, whose reading would be most of what
// a list of a hundred costs.
type briefColumn struct {
	Entrypoint   []string                  `json:",omitempty"`
	Cmd          []string                  `json:",omitempty"`
	Labels       map[string]string         `json:",omitempty"`
	ExposedPorts network.PortSet           `json:",omitempty"`
	NetworkMode  container.NetworkMode     `json:",omitempty"`
	PortBindings network.PortMap           `json:",omitempty"`
	Annotations  map[string]string         `json:",omitempty"`
	Networking   *network.NetworkingConfig `json:",omitempty"`
	Mounts       []mountPoint              `json:",omitempty"`
}

func briefOf(r *record) briefColumn {
	return briefColumn{
		Entrypoint: r.Config.Entrypoint, Cmd: r.Config.Cmd, Labels: r.Config.Labels, ExposedPorts: r.Config.ExposedPorts,
		NetworkMode: r.HostConfig.NetworkMode, PortBindings: r.HostConfig.PortBindings, Annotations: r.HostConfig.Annotations,
		Networking: briefNetworking(r.Networking), Mounts: r.Mounts,
	}
}

// briefNetworking names the networks of which nothing special was asked, and leaves it at that: their settings,
// all of them empty, would be most of the column, which then has no room in the row's own page.
func briefNetworking(asked *network.NetworkingConfig) *network.NetworkingConfig {
	if asked == nil || asked.EndpointsConfig == nil {
		return asked
	}
	named := make(map[string]*network.EndpointSettings, len(asked.EndpointsConfig))
	for name, endpoint := range asked.EndpointsConfig {
		if endpoint != nil && reflect.DeepEqual(*endpoint, network.EndpointSettings{}) {
			endpoint = nil
		}
		named[name] = endpoint
	}
	return &network.NetworkingConfig{EndpointsConfig: named}
}

// fill gives a record the parts that a list needs; the others stay empty.
func (b briefColumn) fill(r *record) {
	r.Config = &container.Config{Entrypoint: b.Entrypoint, Cmd: b.Cmd, Labels: b.Labels, ExposedPorts: b.ExposedPorts}
	r.HostConfig = &container.HostConfig{NetworkMode: b.NetworkMode, PortBindings: b.PortBindings, Annotations: b.Annotations}
	r.Networking, r.Mounts = b.Networking, b.Mounts
}

// queryBrief reads records for a list, the newest first: only what briefColumn has of their specification. They are
// put into order here: SQLite would copy every row for it.
func (m *Module) queryBrief(ctx context.Context, where string) ([]*record, error) {
	records, err := m.queryRows(ctx, briefScanner(), `SELECT `+stateColumns+`, brief FROM containers `+where)
	slices.SortStableFunc(records, func(a, b *record) int { return b.Created.Compare(a.Created) })
	return records, err
}

// briefScanner returns what scans the rows of one list. Many containers have the same words in their column, as a
// thousand of one service, so each text is decoded once; records share what came of it and do not change it.
func briefScanner() func(scanner) (*record, error) {
	known := map[string]briefColumn{}
	return func(row scanner) (*record, error) {
		r, content, err := scanRow(row)
		if err != nil {
			return nil, err
		}
		b, ok := known[string(content)]
		if !ok {
			if err := json.Unmarshal(content, &b); err != nil {
				return nil, fmt.Errorf("read the record of container %s: %w", r.ID, err)
			}
			known[string(content)] = b
		}
		b.fill(r)
		return r, nil
	}
}
