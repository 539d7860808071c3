package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/containerd/errdefs"
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
		if err := checkDestination(dest, dest); err != nil {
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

func volumePoint(name, dest, mode string, writable bool) mountPoint {
	return mountPoint{MountPoint: container.MountPoint{Type: mount.TypeVolume, Name: name, Destination: path.Clean(dest),
		Driver: "local", Mode: mode, RW: writable}}
}

func anonymousVolume(dest string) mountPoint {
	p := volumePoint(newID(), dest, "", true)
	p.Anonymous = true
	return p
}

func checkDestination(spec, dest string) error {
	if !path.IsAbs(dest) {
		return invalid("invalid volume specification: '%s': invalid mount config for type \"volume\": invalid mount path: '%s' mount path must be absolute", spec, dest)
	}
	if path.Clean(dest) == "/" {
		return invalid("invalid volume specification: '%s': invalid mount config for type \"volume\": invalid specification: destination can't be '/'", spec)
	}
	return nil
}

// volumeName is docker's; a name that only looks like a path is refused with a hint.
var volumeName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`) })

// parseBind reads -v: SOURCE:DEST[:MODE], or DEST alone for an anonymous volume.
func parseBind(bind string) (mountPoint, error) {
	parts := strings.Split(bind, ":")
	if len(parts) > 3 || slices.Contains(parts, "") {
		return mountPoint{}, invalid("invalid volume specification: '%s'", bind)
	}
	if len(parts) == 1 {
		return anonymousVolume(parts[0]), checkDestination(bind, parts[0])
	}
	source, dest, mode := parts[0], parts[1], ""
	if len(parts) == 3 {
		mode = parts[2]
	}
	if err := checkDestination(bind, dest); err != nil {
		return mountPoint{}, err
	}
	m, err := parseMode(mode)
	if err != nil {
		return mountPoint{}, err
	}
	if path.IsAbs(source) {
		p := mountPoint{MountPoint: container.MountPoint{Type: mount.TypeBind, Source: path.Clean(source),
			Destination: path.Clean(dest), Mode: mode, RW: m.writable, Propagation: m.propagation}, CreateSrc: true}
		if p.Propagation == "" {
			p.Propagation = mount.PropagationRPrivate
		}
		return p, nil
	}
	if !volumeName().MatchString(source) {
		return mountPoint{}, invalid("create %s: %q includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. "+
			"If you intended to pass a host directory, use absolute path", source, source)
	}
	if mode == "" {
		mode = "z" // what docker shows
	}
	p := volumePoint(source, dest, mode, m.writable)
	p.NoCopy = m.noCopy
	return p, nil
}

type bindMode struct {
	writable, noCopy bool
	propagation      mount.Propagation
}

func parseMode(mode string) (bindMode, error) {
	m := bindMode{writable: true}
	if mode == "" {
		return m, nil
	}
	for option := range strings.SplitSeq(mode, ",") {
		switch option {
		case "ro":
			m.writable = false
		case "rw", "z", "Z", "cached", "delegated", "consistent", "copy":
		case "nocopy":
			m.noCopy = true
		default:
			if !slices.Contains(mount.Propagations, mount.Propagation(option)) {
				return m, invalid("invalid mode: %s", mode)
			}
			m.propagation = mount.Propagation(option)
		}
	}
	return m, nil
}

// parseMount reads --mount.
func parseMount(s mount.Mount) (mountPoint, error) {
	wrong := func(format string, args ...any) (mountPoint, error) {
		return mountPoint{}, invalid("invalid mount config for type %q: %s", s.Type, fmt.Sprintf(format, args...))
	}
	switch {
	case s.Target == "":
		return wrong("field Target must not be empty")
	case !path.IsAbs(s.Target):
		return wrong("invalid mount path: '%s' mount path must be absolute", s.Target)
	case path.Clean(s.Target) == "/":
		return wrong("invalid specification: destination can't be '/'")
	}
	switch s.Type {
	case mount.TypeBind:
		return parseBindMount(s, wrong)
	case mount.TypeVolume:
		return parseVolumeMount(s, wrong)
	case mount.TypeTmpfs:
		if s.Source != "" {
			return wrong("field Source must not be specified")
		}
		return tmpfsPoint(s.Target, tmpfsOptions(s))
	case mount.TypeImage:
		return parseImageMount(s, wrong)
	case mount.TypeCluster, mount.TypeNamedPipe:
		return mountPoint{}, errdefs.ErrNotImplemented.WithMessage("--mount type=" + string(s.Type) + " is not supported by nacre's own engine")
	}
	return mountPoint{}, invalid("mount type unknown: %q", s.Type)
}

type mountError func(format string, args ...any) (mountPoint, error)

func parseBindMount(s mount.Mount, wrong mountError) (mountPoint, error) {
	if s.Source == "" {
		return wrong("field Source must not be empty")
	}
	if !path.IsAbs(s.Source) {
		return wrong("invalid mount path: '%s' mount path must be absolute", s.Source)
	}
	p := mountPoint{MountPoint: container.MountPoint{Type: mount.TypeBind, Source: path.Clean(s.Source),
		Destination: path.Clean(s.Target), RW: !s.ReadOnly, Propagation: mount.PropagationRPrivate}}
	if o := s.BindOptions; o != nil {
		if o.Propagation != "" {
			p.Propagation = o.Propagation
		}
		p.Flat, p.CreateSrc = o.NonRecursive, o.CreateMountpoint
		p.FlatRO, p.ForceRO = o.ReadOnlyNonRecursive, o.ReadOnlyForceRecursive
		if (p.FlatRO || p.ForceRO) && p.RW {
			return wrong("mount must be read-only for a read-only option of its submounts")
		}
	}
	if _, err := os.Lstat(p.Source); errors.Is(err, fs.ErrNotExist) && !p.CreateSrc {
		return wrong("bind source path does not exist: %s", s.Source)
	}
	return p, nil
}

func parseVolumeMount(s mount.Mount, wrong mountError) (mountPoint, error) {
	p := volumePoint(s.Source, s.Target, "z", !s.ReadOnly)
	if s.Source == "" {
		if s.ReadOnly {
			return wrong("must not set ReadOnly mode when using anonymous volumes")
		}
		p = anonymousVolume(s.Target)
	} else if !volumeName().MatchString(s.Source) {
		return wrong("%q includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed", s.Source)
	}
	if o := s.VolumeOptions; o != nil {
		if o.Subpath != "" && !filepath.IsLocal(o.Subpath) {
			return wrong("subpath must be a relative path within the volume")
		}
		if o.Subpath != "" && s.Source == "" {
			return wrong("must not set Subpath when using anonymous volumes")
		}
		if d := o.DriverConfig; d != nil {
			if d.Name != "" && d.Name != "local" {
				return mountPoint{}, errdefs.ErrNotImplemented.WithMessage("volume driver " + d.Name + " is not supported by nacre's own engine")
			}
			p.DriverOpts = d.Options
		}
		p.NoCopy, p.Subpath, p.Labels = o.NoCopy, o.Subpath, o.Labels
	}
	return p, nil
}

// parseImageMount reads --mount type=image: an image's files, read-only.
func parseImageMount(s mount.Mount, wrong mountError) (mountPoint, error) {
	if s.Source == "" {
		return wrong("field Source must not be empty")
	}
	p := mountPoint{MountPoint: container.MountPoint{Type: mount.TypeImage, Source: s.Source, Destination: path.Clean(s.Target)}}
	if o := s.ImageOptions; o != nil && o.Subpath != "" {
		if !filepath.IsLocal(o.Subpath) {
			return wrong("subpath must be a relative path within the image")
		}
		p.Subpath = o.Subpath
	}
	return p, nil
}

// pinImage remembers the layers of a mounted image, and which image it was.
func (m *Module) pinImage(ctx context.Context, p *mountPoint) error {
	image, err := m.images.Rootfs(ctx, p.Source, nil)
	if err != nil {
		return err
	}
	p.Lowers, p.Name = m.keepRootfs(image).LowerDirs, image.ImageID
	return nil
}

func tmpfsOptions(s mount.Mount) string {
	var options []string
	if s.ReadOnly {
		options = append(options, "ro")
	}
	if o := s.TmpfsOptions; o != nil {
		if o.SizeBytes > 0 {
			options = append(options, "size="+strconv.FormatInt(o.SizeBytes, 10))
		}
		if o.Mode != 0 {
			options = append(options, fmt.Sprintf("mode=%o", o.Mode))
		}
		for _, extra := range o.Options {
			options = append(options, strings.Join(extra, "="))
		}
	}
	return strings.Join(options, ",")
}

func tmpfsPoint(dest, options string) (mountPoint, error) {
	if err := checkDestination(dest, dest); err != nil {
		return mountPoint{}, err
	}
	p := mountPoint{MountPoint: container.MountPoint{Type: mount.TypeTmpfs, Destination: path.Clean(dest), Mode: options, RW: true}}
	p.Options = []string{"noexec", "nosuid", "nodev"}
	for option := range strings.SplitSeq(options, ",") {
		switch option {
		case "":
		case "exec", "suid", "dev": // take docker's default back
			p.Options = slices.DeleteFunc(p.Options, func(o string) bool { return o == "no"+option })
		case "ro":
			p.RW = false
			p.Options = append(p.Options, option)
		default:
			if !isTmpfsOption(option) {
				return mountPoint{}, invalid("invalid tmpfs option [%q]", option)
			}
			p.Options = append(p.Options, option)
		}
	}
	return p, nil
}

// isTmpfsOption knows what may be said of a tmpfs; docker's list.
func isTmpfsOption(option string) bool {
	if key, _, ok := strings.Cut(option, "="); ok {
		return slices.Contains([]string{"size", "mode", "uid", "gid", "nr_inodes", "nr_blocks", "mpol"}, key)
	}
	return slices.Contains([]string{"defaults", "rw", "noexec", "nosuid", "nodev", "async", "sync", "dirsync", "remount", "mand", "nomand",
		"atime", "noatime", "diratime", "nodiratime", "relatime", "norelatime", "strictatime", "nostrictatime",
		"bind", "rbind", "unbindable", "runbindable", "private", "rprivate", "shared", "rshared", "slave", "rslave"}, option)
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
