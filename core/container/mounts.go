package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"

	"github.com/nacre-sh/nacre/core/container/spec"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// anonymousLabel marks a volume that was made for one container; docker's.
const anonymousLabel = "com.docker.volume.anonymous"

// mountTable collects a container's mounts; a later source of mounts yields to
// an earlier one at the same place, except that nobody may ask twice.
type mountTable struct {
	points []mountPoint
	asked  map[string]bool
}

// planMounts says what will be mounted where: --volumes-from, -v, --mount,
// --tmpfs, and the image's own volumes. Nothing is made yet.
func (m *Module) planMounts(ctx context.Context, c *container.Config, hc *container.HostConfig) ([]mountPoint, error) {
	t := &mountTable{asked: map[string]bool{}}
	for _, bind := range hc.Binds {
		p, err := parseBind(bind)
		if err != nil {
			return nil, err
		}
		if err := t.ask(p); err != nil {
			return nil, err
		}
	}
	for _, spec := range hc.Mounts {
		p, err := parseMount(spec)
		if err != nil {
			return nil, err
		}
		if p.Type == mount.TypeImage {
			if err := m.pinImage(ctx, &p); err != nil {
				return nil, err
			}
		}
		if err := t.ask(p); err != nil {
			return nil, err
		}
	}
	for dest, options := range hc.Tmpfs {
		p, err := tmpfsPoint(dest, options)
		if err != nil {
			return nil, err
		}
		p.Unlisted = true
		if err := t.ask(p); err != nil {
			return nil, err
		}
	}
	for _, from := range hc.VolumesFrom {
		points, err := m.volumesFrom(ctx, from)
		if err != nil {
			return nil, err
		}
		t.offer(points)
	}
	for dest := range c.Volumes {
		if err := checkVolume(dest, mount.TypeVolume, dest); err != nil {
			return nil, err
		}
		t.offer([]mountPoint{anonymousVolume(dest)})
	}
	for i := range t.points {
		if p := &t.points[i]; p.Type == mount.TypeVolume {
			p.Source = filepath.Join(m.paths.Volumes(), p.Name, "_data")
		}
	}
	slices.SortFunc(t.points, func(a, b mountPoint) int { return strings.Compare(a.Destination, b.Destination) })
	return t.points, nil
}

func (t *mountTable) ask(p mountPoint) error {
	if t.asked[p.Destination] {
		return invalid("Duplicate mount point: %s", p.Destination)
	}
	t.asked[p.Destination] = true
	t.points = append(t.points, p)
	return nil
}

func (t *mountTable) offer(points []mountPoint) {
	for _, p := range points {
		if !slices.ContainsFunc(t.points, func(have mountPoint) bool { return have.Destination == p.Destination }) {
			t.points = append(t.points, p)
		}
	}
}

// volumesFrom gives another container's mounts, all of them with the mode that was asked for.
func (m *Module) volumesFrom(ctx context.Context, from string) ([]mountPoint, error) {
	name, mode, _ := strings.Cut(from, ":")
	asked, err := parseMode(mode)
	if err != nil {
		return nil, err
	}
	other, err := m.findOther(ctx, name)
	if err != nil {
		return nil, err
	}
	var points []mountPoint
	for _, p := range other.Mounts {
		if p.Type == mount.TypeTmpfs {
			continue
		}
		p.Anonymous = false // it goes with the other container
		p.NoCopy = true     // and was filled for it
		p.Mode = ""         // docker's, whatever the other's is
		p.RW = p.RW && asked.writable
		points = append(points, p)
	}
	return points, nil
}

// makeVolumes takes the container's volumes, makes those that are missing and
// fills them. It can be repeated: a crash after the record was written is
// mended by the next start, which fills only what it had to make.
func (m *Module) makeVolumes(ctx context.Context, r *record, fill bool) error {
	for i := range r.Mounts {
		p := &r.Mounts[i]
		if p.Type != mount.TypeVolume {
			continue
		}
		labels := maps.Clone(p.Labels)
		if p.Anonymous {
			if labels == nil {
				labels = map[string]string{}
			}
			labels[anonymousLabel] = ""
		}
		v, made, err := m.volumes.Acquire(ctx, r.ID, p.Name, p.Driver, p.DriverOpts, labels)
		if err != nil {
			return err
		}
		p.Source = v.Mountpoint
		if p.NoCopy || p.Subpath != "" || len(v.Options) > 0 || !fill && !made {
			continue
		}
		if err := m.volumes.Populate(ctx, p.Name, m.lowerDirs(r), p.Destination); err != nil {
			return err
		}
	}
	return nil
}

// attachVolumes mounts the volumes whose driver options say what to mount, and
// fills those that are empty. It tells whether there are any: then the shim
// must look at the host's mounts afresh.
func (m *Module) attachVolumes(ctx context.Context, r *record) (bool, error) {
	attached, err := m.volumes.Attach(ctx, r.ID)
	if err != nil {
		return false, err
	}
	for _, p := range r.Mounts {
		if p.Type != mount.TypeVolume || p.NoCopy || p.Subpath != "" || !slices.Contains(attached, p.Name) {
			continue
		}
		if err := m.volumes.Populate(ctx, p.Name, m.lowerDirs(r), p.Destination); err != nil {
			return true, err
		}
	}
	return len(attached) > 0, nil
}

func (m *Module) detachVolumes(ctx context.Context, r *record) error {
	if !slices.ContainsFunc(r.Mounts, func(p mountPoint) bool { return p.Type == mount.TypeVolume }) {
		return nil
	}
	return m.volumes.Detach(ctx, r.ID)
}

// sources are the mounts that the shim must put together before it can bind
// them: images, folders within a volume, which only it can open without
// following what a container may have changed meanwhile, and shared mounts.
func (m *Module) sources(r *record) (list []shimapi.Source) {
	for i := range r.Mounts {
		p := &r.Mounts[i]
		target := m.sourceTarget(r.ID, i)
		switch {
		case p.Type == mount.TypeImage:
			list = append(list, shimapi.Source{Lower: m.absolute(p.Lowers), Subpath: p.Subpath, Target: target})
		case p.Type == mount.TypeVolume && p.Subpath != "":
			list = append(list, shimapi.Source{Lower: []string{p.Source}, Subpath: p.Subpath, Target: target})
		case p.shares():
			list = append(list, shimapi.Source{Lower: []string{p.Source}, Target: target, Shared: true})
		}
	}
	return list
}

func (m *Module) sourceTarget(id string, i int) string {
	return filepath.Join(m.paths.ContainerRun(id), "source-"+strconv.Itoa(i))
}

// specMounts resolves the mounts on this host for one start.
func (m *Module) specMounts(r *record) ([]spec.Mount, error) {
	var mounts []spec.Mount
	for i, p := range r.Mounts {
		if p.CreateSrc {
			if _, err := os.Stat(p.Source); errors.Is(err, fs.ErrNotExist) { // it may be a file
				err = os.MkdirAll(p.Source, 0o755)
				if err != nil && !errors.Is(err, fs.ErrExist) {
					return nil, fmt.Errorf("error while creating mount source path '%s': %w", p.Source, err)
				}
			}
		}
		source := p.Source
		if p.shares() {
			if err := mustBeShared(p.Source); err != nil {
				return nil, err
			}
		}
		if p.Type == mount.TypeImage || p.Type == mount.TypeVolume && p.Subpath != "" || p.shares() {
			source = m.sourceTarget(r.ID, i)
		}
		mo := spec.Mount{Type: string(p.Type), Source: source, Destination: p.Destination, ReadOnly: !p.RW,
			Options: p.Options, Recursive: !p.Flat, FlatReadOnly: p.FlatRO, ForceReadOnly: p.ForceRO}
		if p.Propagation != "" {
			mo.Options = append(slices.Clone(mo.Options), string(p.Propagation))
		}
		mounts = append(mounts, mo)
	}
	return mounts, nil
}
