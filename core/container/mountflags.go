package container

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
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
)

func volumePoint(name, dest, mode string, writable bool) mountPoint {
	return mountPoint{MountPoint: container.MountPoint{Type: mount.TypeVolume, Name: name, Destination: path.Clean(dest),
		Driver: "local", Mode: mode, RW: writable}}
}

func anonymousVolume(dest string) mountPoint {
	p := volumePoint(newID(), dest, "", true)
	p.Anonymous = true
	return p
}

// checkVolume checks the destination of -v.
func checkVolume(spec string, kind mount.Type, dest string) error {
	if err := checkDestination(dest); err != nil {
		return wrongVolume(spec, kind, err.Error())
	}
	return nil
}

func wrongVolume(spec string, kind mount.Type, what string) error {
	return invalid("invalid volume specification: '%s': invalid mount config for type %q: %s", spec, kind, what)
}

func checkDestination(dest string) error {
	if !path.IsAbs(dest) {
		return invalid("invalid mount path: '%s' mount path must be absolute", dest)
	}
	if path.Clean(dest) == "/" {
		return invalid("invalid specification: destination can't be '/'")
	}
	return nil
}

// volumeName is docker's; a name that only looks like a path is refused with a hint.
var volumeName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`) })

func badVolumeName(name string) error {
	return invalid("create %s: %q includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. "+
		"If you intended to pass a host directory, use absolute path", name, name)
}

// parseBind reads -v: SOURCE:DEST[:MODE], or DEST alone for an anonymous volume.
func parseBind(bind string) (mountPoint, error) {
	parts := strings.Split(bind, ":")
	if len(parts) > 3 || slices.Contains(parts, "") {
		return mountPoint{}, invalid("invalid volume specification: '%s'", bind)
	}
	if len(parts) == 1 {
		return anonymousVolume(parts[0]), checkVolume(bind, mount.TypeVolume, parts[0])
	}
	source, dest, mode, kind := parts[0], parts[1], "", mount.TypeVolume
	if path.IsAbs(source) {
		kind = mount.TypeBind
	}
	if len(parts) == 3 {
		mode = parts[2]
	} else if _, err := parseMode(dest); err == nil {
		return mountPoint{}, invalid("invalid volume specification: '%s'", bind) // a mode, but of which source?
	}
	m, err := parseMode(mode)
	if err != nil {
		return mountPoint{}, err
	}
	if err := checkVolume(bind, kind, dest); err != nil {
		return mountPoint{}, err
	}
	switch {
	case kind == mount.TypeBind && m.asks("copy"):
		return mountPoint{}, wrongVolume(bind, kind, "field VolumeOptions must not be specified")
	case kind == mount.TypeVolume && m.asks("propagation"):
		return mountPoint{}, wrongVolume(bind, kind, "field BindOptions must not be specified")
	}
	if kind == mount.TypeBind {
		p := mountPoint{MountPoint: container.MountPoint{Type: mount.TypeBind, Source: path.Clean(source),
			Destination: path.Clean(dest), Mode: mode, RW: m.writable, Propagation: m.propagation}, CreateSrc: true}
		if p.Propagation == "" {
			p.Propagation = mount.PropagationRPrivate
		}
		return p, nil
	}
	if !volumeName().MatchString(source) {
		return mountPoint{}, badVolumeName(source)
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
	kinds            map[string]bool // of the options
}

func (m bindMode) asks(kind string) bool { return m.kinds[kind] }

// modeKinds are the options of -v; one of each kind may be given.
var modeKinds = map[string]string{
	"ro": "access", "rw": "access", "z": "label", "Z": "label", "copy": "copy", "nocopy": "copy",
	"cached": "consistency", "delegated": "consistency", "consistent": "consistency",
}

func parseMode(mode string) (bindMode, error) {
	m := bindMode{writable: true, kinds: map[string]bool{}}
	if mode == "" {
		return m, nil
	}
	for option := range strings.SplitSeq(mode, ",") {
		kind := modeKinds[option]
		if slices.Contains(mount.Propagations, mount.Propagation(option)) {
			kind, m.propagation = "propagation", mount.Propagation(option)
		}
		if kind == "" || m.kinds[kind] {
			return m, invalid("invalid mode: %s", mode)
		}
		m.kinds[kind] = true
		m.writable = m.writable && option != "ro"
		m.noCopy = m.noCopy || option == "nocopy"
	}
	return m, nil
}

// parseMount reads --mount.
func parseMount(s mount.Mount) (mountPoint, error) {
	wrong := func(format string, args ...any) (mountPoint, error) {
		return mountPoint{}, invalid("invalid mount config for type %q: %s", s.Type, fmt.Sprintf(format, args...))
	}
	if s.Target == "" {
		return wrong("field Target must not be empty")
	}
	if err := checkDestination(s.Target); err != nil {
		return wrong("%v", err)
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
	case mount.TypeCluster:
		return mountPoint{}, errdefs.ErrNotImplemented.WithMessage("--mount type=" + string(s.Type) + " is not supported by nacre's own engine")
	}
	return wrong("mount type unknown")
}

type mountError func(format string, args ...any) (mountPoint, error)

func parseBindMount(s mount.Mount, wrong mountError) (mountPoint, error) {
	if s.Source == "" {
		return wrong("field Source must not be empty")
	}
	if o := s.BindOptions; o != nil && o.Propagation != "" && !slices.Contains(mount.Propagations, o.Propagation) {
		return wrong("invalid propagation mode: %s", o.Propagation)
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
		p.Mode = "z"
	} else if !volumeName().MatchString(s.Source) {
		return mountPoint{}, badVolumeName(s.Source)
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
	if err := checkDestination(dest); err != nil {
		return mountPoint{}, err
	}
	p := mountPoint{MountPoint: container.MountPoint{Type: mount.TypeTmpfs, Destination: path.Clean(dest), RW: true}}
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
