package container

import (
	"context"
	"database/sql"
	"fmt"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/mount"

	"github.com/nacre-sh/nacre/core/config"
	"github.com/nacre-sh/nacre/core/selinux"
)

// labels are a container's SELinux labels, chosen when it is created; empty
// where there are none.
type labels struct {
	ProcessLabel string `json:",omitempty"`
	MountLabel   string `json:",omitempty"` // of files
}

// inForce are the labels as far as the kernel has SELinux: a container may have
// been created under another one.
func (l labels) inForce() labels {
	if l == (labels{}) || !selinux.Enabled() {
		return labels{}
	}
	return l
}

// chooseLabels decides the labels of a new container.
func (m *Module) chooseLabels(ctx context.Context, r *record, conf config.Config) error {
	if !conf.SELinux || !selinux.Enabled() {
		return nil
	}
	options, err := m.labelOptions(ctx, r)
	if err != nil {
		return err
	}
	taken, err := m.labelsTaken(ctx)
	if err != nil {
		return err
	}
	r.ProcessLabel, r.MountLabel, err = selinux.Labels(options, taken)
	return err
}

// labelOptions: what --security-opt says; else none at all for a container that
// is the host's equal, and another's label for who shares its processes or IPC.
func (m *Module) labelOptions(ctx context.Context, r *record) ([]string, error) {
	hc := r.HostConfig
	if asked := labelsAsked(hc.SecurityOpt); asked != nil {
		return asked, nil
	}
	if hc.Privileged || hc.IpcMode.IsHost() || hc.PidMode.IsHost() {
		return []string{"disable"}, nil
	}
	var options []string
	for _, id := range []string{hc.IpcMode.Container(), hc.PidMode.Container()} {
		if id == "" {
			continue
		}
		other, err := m.find(ctx, id)
		if err != nil {
			return nil, err
		}
		same, err := selinux.Same(other.ProcessLabel)
		if err != nil {
			return nil, err
		}
		if options != nil && !slices.Equal(options, same) {
			return nil, invalid("--ipc and --pid containers SELinux labels aren't the same")
		}
		options = same
	}
	return options, nil
}

func labelsAsked(securityOpt []string) (options []string) {
	for _, opt := range securityOpt {
		if rest, ok := strings.CutPrefix(opt, "label"); ok && len(rest) > 1 && (rest[0] == '=' || rest[0] == ':') {
			options = append(options, rest[1:])
		}
	}
	return options
}

// labelsTaken are the process labels of all containers. Two that are created at
// the same moment may miss each other; that they choose the same two of 1024 categories is not to be expected.
func (m *Module) labelsTaken(ctx context.Context) (taken []string, err error) {
	rows, err := m.db.QueryContext(ctx, `SELECT json_extract(spec, '$.ProcessLabel') FROM containers`)
	if err != nil {
		return nil, fmt.Errorf("list the labels of containers: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var label sql.NullString
		if err := rows.Scan(&label); err != nil {
			return nil, fmt.Errorf("list the labels of containers: %w", err)
		}
		if label.String != "" {
			taken = append(taken, label.String)
		}
	}
	return taken, rows.Err()
}

// labelFiles gives what the container sees a label that it may touch: files
// that are mounted with :z or :Z, volumes, and the layers of images.
func (m *Module) labelFiles(r *record) error {
	label := r.inForce().MountLabel
	if label == "" {
		return nil
	}
	if err := selinux.ShareLayers(m.paths.Layers()); err != nil {
		return err
	}
	for _, p := range r.Mounts {
		if p.Type != mount.TypeBind && p.Type != mount.TypeVolume {
			continue
		}
		if err := selinux.Relabel(p.Source, label, p.relabel()); err != nil {
			return err
		}
	}
	return nil
}

// relabel reads the mode of a mount. Where both letters stand, z counts, as in docker.
func (p *mountPoint) relabel() selinux.Mode {
	letters := strings.Split(p.Mode, ",")
	switch {
	case slices.Contains(letters, "z") || p.Anonymous:
		return selinux.Shared
	case slices.Contains(letters, "Z"):
		return selinux.Private
	}
	return selinux.Keep
}
