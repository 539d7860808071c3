// Package selinux gives containers their SELinux labels: one for their
// processes, one for their files, with a pair of categories of their own, so
// that neither the host nor another container is within reach, whatever else
// fails. Types and users are the policy's (its lxc_contexts file); the words of
// --security-opt label=… and the labels are made by github.com/opencontainers/selinux,
// which docker uses for it, too. Setting them in the kernel is libcontainer's
// affair; what is done here to files is relabelling those that a user binds with :z or :Z.
package selinux

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/selinux/go-selinux"
	"github.com/opencontainers/selinux/go-selinux/label"
	"golang.org/x/sys/unix"
)

// Enabled tells whether the kernel labels processes, permissive or enforcing. The first look is
// at one file, because most machines have no SELinux and every start asks.
func Enabled() bool {
	_, err := os.Stat("/sys/fs/selinux/enforce")
	return err == nil && selinux.GetEnabled()
}

// Labels gives a new container's labels: by the policy, with what options (the
// values of --security-opt label=…) change, and with categories that none of
// the process labels in taken has. `disable` among the options means no label
// for the processes, and one for files that no confined process may touch.
//
// A policy that knows no containers gives none: Debian's names types for them
// that it has not. Errors are errdefs.ErrInvalidArgument.
func Labels(options, taken []string) (process, files string, err error) {
	for _, other := range taken {
		if err := selinux.ReserveLabelV2(other); err != nil && !errors.Is(err, selinux.ErrMCSAlreadyExists) {
			return "", "", fmt.Errorf("choose an SELinux label: %w", err)
		}
	}
	process, files, err = label.InitLabels(options)
	if err != nil {
		return "", "", errdefs.ErrInvalidArgument.WithMessage("invalid --security-opt: " + err.Error())
	}
	for _, l := range []string{process, files} {
		switch known := l == "" || selinux.SecurityCheckContext(l) == nil; {
		case known:
		case len(options) == 0 || process == "":
			return "", "", nil
		default:
			return "", "", errdefs.ErrInvalidArgument.WithMessage("invalid --security-opt: the SELinux policy knows no label " + l)
		}
	}
	return process, files, nil
}

// Confines tells whether the policy has labels for containers.
func Confines() bool {
	process, _, err := Labels(nil, nil)
	return err == nil && process != ""
}

// Same gives the options that lead to a process label.
func Same(process string) ([]string, error) {
	options, err := selinux.DupSecOpt(process)
	if err != nil {
		return nil, fmt.Errorf("read the SELinux label %s: %w", process, err)
	}
	return options, nil
}

// Mode is how a mount wants its files labelled: :Z for the container alone, :z
// for all containers.
type Mode int

// The modes of mounts.
const (
	Keep Mode = iota
	Private
	Shared
)

// attribute is where a file's label is kept.
const attribute = "security.selinux"

// Relabel gives path (a file, or a folder with all that is in it) the label for
// files. The folder is walked by descriptors: a container that changes it
// meanwhile cannot lead the walk out of it. Folders of the system are refused.
// A file system that has no labels is left as it is.
func Relabel(path, files string, mode Mode) error {
	if mode == Keep || files == "" {
		return nil
	}
	real, err := filepath.EvalSymlinks(path)
	if err == nil {
		if mode == Shared {
			files, err = withoutCategories(files)
		}
	}
	if err == nil {
		err = relabel(real, files)
	}
	if errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("error setting label on mount source '%s': %w", path, err)
	}
	return nil
}

// withoutCategories is the label that every container may touch.
func withoutCategories(files string) (string, error) {
	context, err := selinux.NewContext(files)
	if err != nil {
		return "", err
	}
	context["level"] = "s0"
	return context.Get(), nil
}

func relabel(path, files string) error {
	// The library refuses the system's folders here, before anything is changed.
	if err := selinux.Chcon(path, files, false); err != nil {
		return err
	}
	return relabelBelow(path, files)
}

// relabelBelow labels what is in a folder; a file has nothing in it.
func relabelBelow(path, files string) error {
	if info, err := os.Stat(path); err != nil || !info.IsDir() {
		return err
	}
	root, err := os.OpenRoot(path)
	if err != nil {
		return err
	}
	defer root.Close()
	return fs.WalkDir(root.FS(), ".", func(name string, _ fs.DirEntry, err error) error {
		if err == nil && name != "." {
			err = relabelEntry(root, name, files)
		}
		if errors.Is(err, fs.ErrNotExist) { // removed meanwhile
			return nil
		}
		return err
	})
}

// ShareLayers gives the folder of the images' layers the policy's label for
// files that all containers may read and run: a program is mapped from there,
// and the kernel checks that against the file below the overlay, whose label
// that of the mount does not cover. New files inherit the label, so that the
// whole folder is walked once.
func ShareLayers(dir string) error {
	if _, _, err := Labels(nil, nil); err != nil { // which reads the policy
		return err
	}
	files := selinux.ROFileLabel() //lint:ignore SA1019 nothing else reads that word of the policy
	if files == "" || selinux.SecurityCheckContext(files) != nil {
		return nil
	}
	if now, err := selinux.FileLabel(dir); err == nil && now == files {
		return nil
	}
	err := relabelBelow(dir, files)
	if err == nil {
		err = selinux.SetFileLabel(dir, files) // last: it says that all is done
	}
	if errors.Is(err, unix.ENOTSUP) || errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("label the layers of images: %w", err)
	}
	return nil
}

// relabelEntry labels what the name stands for, and if that is a link, the link.
func relabelEntry(root *os.Root, name, files string) error {
	f, err := root.OpenFile(name, unix.O_PATH|unix.O_NOFOLLOW|unix.O_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer f.Close()
	place := "/proc/self/fd/" + strconv.Itoa(int(f.Fd()))
	return os.NewSyscallError("setxattr", unix.Setxattr(place, attribute, []byte(files+"\x00"), 0))
}
