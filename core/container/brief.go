package container

import (
	"context"
	"encoding/json"
	"fmt"

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
		Networking: r.Networking, Mounts: r.Mounts,
	}
}

// fill gives a record the parts that a list needs; the others stay empty.
func (b briefColumn) fill(r *record) {
	r.Config = &container.Config{Entrypoint: b.Entrypoint, Cmd: b.Cmd, Labels: b.Labels, ExposedPorts: b.ExposedPorts}
	r.HostConfig = &container.HostConfig{NetworkMode: b.NetworkMode, PortBindings: b.PortBindings, Annotations: b.Annotations}
	r.Networking, r.Mounts = b.Networking, b.Mounts
}

// queryBrief reads records for a list: only what briefColumn has of their specification.
func (m *Module) queryBrief(ctx context.Context, where string) ([]*record, error) {
	return m.queryRows(ctx, scanBrief, `SELECT `+stateColumns+`, brief FROM containers `+where)
}

func scanBrief(row scanner) (*record, error) {
	r, content, err := scanRow(row)
	if err != nil {
		return nil, err
	}
	var b briefColumn
	if err := json.Unmarshal(content, &b); err != nil {
		return nil, fmt.Errorf("read the record of container %s: %w", r.ID, err)
	}
	b.fill(r)
	return r, nil
}
