//go:build cgo

package shim

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// prepareRoot makes the folders that mounting takes. scratch is where an empty
// lower layer goes, should the image have none. The target comes back without
// symbolic links, as libcontainer wants it.
func prepareRoot(r *shimapi.Rootfs, scratch string) error {
	if len(r.Lower) == 0 {
		r.Lower = []string{filepath.Join(scratch, "empty")}
		if err := os.MkdirAll(r.Lower[0], 0o755); err != nil {
			return fmt.Errorf("prepare the root: %w", err)
		}
	}
	for _, dir := range []string{r.Upper, r.Work, r.Target} {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return fmt.Errorf("prepare the root: %w", err)
		}
		// Programs are mapped from there, which the kernel checks against the file below the overlay.
		if err := setLabel(dir, r.Label); err != nil {
			return fmt.Errorf("prepare the root: label %s: %w", dir, err)
		}
	}
	var err error
	if r.Target, err = filepath.EvalSymlinks(r.Target); err != nil {
		return fmt.Errorf("prepare the root: %w", err)
	}
	return nil
}

// mountRoot mounts the container's root as an overlay in the calling thread's
// mount namespace.
func mountRoot(r shimapi.Rootfs) error {
	layers, err := openLayers(r)
	if err != nil {
		return fmt.Errorf("mount the root: %w", err)
	}
	defer layers.close()
	err = unix.ENOSYS
	if knowsLowerDirs() {
		err = mountNewAPI(r, layers)
	}
	if errors.Is(err, unix.ENOSYS) || errors.Is(err, unix.EINVAL) {
		if old := mountOldAPI(r, layers); old == nil {
			err = nil
		} else {
			err = errors.Join(err, old)
		}
	}
	if err != nil {
		return fmt.Errorf("mount the root on %s: %w", r.Target, err)
	}
	return nil
}

// knowsLowerDirs: lowerdir+ came with Linux 6.5. An older kernel that is asked
// writes a complaint to its log, at every start of a container.
func knowsLowerDirs() bool {
	var u unix.Utsname
	if err := unix.Uname(&u); err != nil {
		return true
	}
	var major, minor int
	if _, err := fmt.Sscanf(unix.ByteSliceToString(u.Release[:]), "%d.%d", &major, &minor); err != nil {
		return true
	}
	return major > 6 || major == 6 && minor >= 5
}

// layers are open folders. Naming them as /proc/self/fd/N keeps an option short
// (mount data is one page, a string of fsconfig 256 bytes) and free of
// characters that overlay would want escaped.
type layers struct {
	lower       []*os.File
	upper, work *os.File
}

func openLayers(r shimapi.Rootfs) (_ *layers, err error) {
	l := &layers{}
	defer func() {
		if err != nil {
			l.close()
		}
	}()
	open := func(path string) *os.File {
		if err != nil {
			return nil
		}
		var f *os.File
		f, err = os.OpenFile(path, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
		return f
	}
	for _, path := range r.Lower {
		if f := open(path); f != nil {
			l.lower = append(l.lower, f)
		}
	}
	l.upper, l.work = open(r.Upper), open(r.Work)
	return l, err
}

func (l *layers) close() {
	for _, f := range append([]*os.File{l.upper, l.work}, l.lower...) {
		if f != nil {
			f.Close()
		}
	}
}

func fdPath(f *os.File) string { return "/proc/self/fd/" + strconv.Itoa(int(f.Fd())) }

// optionalFlags are settings that an old kernel lacks and that must not follow
// the host's module defaults: a layer is to hold plain whole files.
var optionalFlags = []string{"index=off", "metacopy=off"}

func mountNewAPI(r shimapi.Rootfs, l *layers) error {
	fs, err := unix.Fsopen("overlay", unix.FSOPEN_CLOEXEC)
	if err != nil {
		return os.NewSyscallError("fsopen", err)
	}
	defer unix.Close(fs)
	for _, f := range l.lower {
		if err := unix.FsconfigSetString(fs, "lowerdir+", fdPath(f)); err != nil {
			return os.NewSyscallError("fsconfig lowerdir+", err)
		}
	}
	if err := unix.FsconfigSetString(fs, "upperdir", fdPath(l.upper)); err != nil {
		return os.NewSyscallError("fsconfig upperdir", err)
	}
	if err := unix.FsconfigSetString(fs, "workdir", fdPath(l.work)); err != nil {
		return os.NewSyscallError("fsconfig workdir", err)
	}
	_ = unix.FsconfigSetString(fs, "source", "nacre") // for readers of mountinfo
	for _, flag := range optionalFlags {
		key, value, _ := strings.Cut(flag, "=")
		_ = unix.FsconfigSetString(fs, key, value)
	}
	if r.Label != "" {
		if err := unix.FsconfigSetString(fs, "context", r.Label); err != nil {
			return os.NewSyscallError("fsconfig context", err)
		}
	}
	if r.Volatile {
		_ = unix.FsconfigSetFlag(fs, "volatile") // Linux 5.10; only faster
	}
	if err := unix.FsconfigCreate(fs); err != nil {
		return os.NewSyscallError("fsconfig create", err)
	}
	mnt, err := unix.Fsmount(fs, unix.FSMOUNT_CLOEXEC, 0)
	if err != nil {
		return os.NewSyscallError("fsmount", err)
	}
	defer unix.Close(mnt)
	if err := unix.MoveMount(mnt, "", unix.AT_FDCWD, r.Target, unix.MOVE_MOUNT_F_EMPTY_PATH); err != nil {
		return os.NewSyscallError("move_mount", err)
	}
	return nil
}

func mountOldAPI(r shimapi.Rootfs, l *layers) error {
	lower := make([]string, len(l.lower))
	for i, f := range l.lower {
		lower[i] = fdPath(f)
	}
	data := fmt.Sprintf("lowerdir=%s,upperdir=%s,workdir=%s", strings.Join(lower, ":"), fdPath(l.upper), fdPath(l.work))
	if r.Label != "" {
		data += fmt.Sprintf(",context=%q", r.Label) // it has commas
	}
	options := append([]string{}, optionalFlags...)
	if r.Volatile {
		options = append(options, "volatile")
	}
	err := unix.Mount("nacre", r.Target, "overlay", 0, data+","+strings.Join(options, ","))
	if errors.Is(err, unix.EINVAL) { // an option that this kernel does not know
		err = unix.Mount("nacre", r.Target, "overlay", 0, data)
	}
	return os.NewSyscallError("mount", err)
}

// unmountRoot lets go of the root, so that the layer can be deleted.
func unmountRoot(target string) error {
	if err := unix.Unmount(target, unix.MNT_DETACH); err != nil {
		return fmt.Errorf("unmount the root: %w", os.NewSyscallError("umount", err))
	}
	return nil
}

// setLabel gives a file its SELinux label, if its file system keeps labels.
func setLabel(path, label string) error {
	if label == "" {
		return nil
	}
	err := unix.Setxattr(path, "security.selinux", append([]byte(label), 0), 0)
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	return err
}
