package files

import (
	"archive/tar"
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"
)

// Owner replaces the owners that an archive names.
type Owner struct{ UID, GID int }

// UnpackOptions say how an archive meets what is there already.
type UnpackOptions struct {
	KeepKind bool   // do not replace a folder by something else, or the other way round
	Owner    *Owner // of everything that is unpacked; nil: as the archive says
}

// Unpack takes an uncompressed archive into the folder at a path, whose last
// element may be a link. What stands in the way of an entry is replaced, only
// folders are merged. An entry whose name leads out of the folder is refused;
// links on the way are those of the container.
func (r *Root) Unpack(ctx context.Context, folder string, archive io.Reader, opts UnpackOptions) error {
	u := &unpacker{root: r, folder: path.Join("/", folder), opts: opts, buf: make([]byte, 256<<10)}
	tr := tar.NewReader(archive)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		h, err := tr.Next()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("read the archive: %v", err))
		}
		if err := u.entry(h, untilDone{ctx, tr}); err != nil {
			return fmt.Errorf("unpack %q: %w", h.Name, err)
		}
	}
	return u.finish()
}

// untilDone ends with its context. What an archive calls holes costs it
// nothing, so that nobody notices by its end that the client is gone.
type untilDone struct {
	ctx context.Context
	io.Reader
}

func (r untilDone) Read(p []byte) (int, error) {
	if err := r.ctx.Err(); err != nil {
		return 0, err
	}
	return r.Reader.Read(p)
}

type unpacker struct {
	root    *Root
	folder  string
	opts    UnpackOptions
	folders []folderTime // whose times are set when nothing is put into them any more
	buf     []byte
}

type folderTime struct {
	path string
	time time.Time
}

// confined gives an entry's path in the container, from its name in the archive.
func (u *unpacker) confined(name string) (string, error) {
	if strings.ContainsRune(name, 0) {
		return "", errdefs.ErrInvalidArgument.WithMessage("the name holds a zero byte")
	}
	rel := path.Clean(strings.TrimLeft(name, "/"))
	if rel == ".." || strings.HasPrefix(rel, "../") {
		return "", errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%q is outside of %q", name, u.folder))
	}
	return path.Join(u.folder, rel), nil
}

func (u *unpacker) entry(h *tar.Header, body io.Reader) error {
	switch h.Typeflag {
	case tar.TypeReg, tar.TypeDir, tar.TypeLink, tar.TypeSymlink, tar.TypeFifo, tar.TypeChar, tar.TypeBlock:
	case tar.TypeXGlobalHeader:
		return nil
	default:
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("unhandled tar header type %d", h.Typeflag))
	}
	name, err := u.confined(h.Name)
	if err != nil {
		return err
	}
	isDir := h.Typeflag == tar.TypeDir
	if name == u.folder {
		if !isDir {
			return errdefs.ErrInvalidArgument.WithMessage("an entry other than a folder has the name of the folder that is unpacked into")
		}
		return nil // merged: it is there
	}
	parent, err := u.parent(path.Dir(name))
	if err != nil {
		return err
	}
	defer parent.Close()
	base := path.Base(name)
	merge, err := u.makeRoom(parent, base, isDir)
	if err != nil {
		return err
	}
	if isDir {
		return u.directory(parent, base, name, h, merge)
	}
	return u.create(parent, base, h, body, merge)
}

// parent opens the folder that an entry goes into and makes what is missing of it.
func (u *unpacker) parent(name string) (*os.File, error) {
	dir, err := u.root.open(name, unix.O_PATH|unix.O_DIRECTORY)
	if !errors.Is(err, fs.ErrNotExist) || name == "/" {
		return dir, err
	}
	above, err := u.parent(path.Dir(name))
	if err != nil {
		return nil, err
	}
	defer above.Close()
	if err := unix.Mkdirat(int(above.Fd()), path.Base(name), 0o755); err != nil && !errors.Is(err, unix.EEXIST) {
		return nil, &fs.PathError{Op: "mkdir", Path: name, Err: err}
	}
	return u.root.open(name, unix.O_PATH|unix.O_DIRECTORY)
}

// makeRoom removes what an entry replaces. It tells whether something stays:
// a folder that is merged, or a file that is a mount point.
func (u *unpacker) makeRoom(parent *os.File, base string, isDir bool) (stays bool, err error) {
	at, st, err := look(parent, base)
	if errors.Is(err, fs.ErrNotExist) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	at.Close()
	wasDir := st.Mode&unix.S_IFMT == unix.S_IFDIR
	switch {
	case wasDir && isDir:
		return true, nil
	case u.opts.KeepKind && wasDir:
		return false, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("cannot overwrite directory %q with non-directory %q", base, u.folder))
	case u.opts.KeepKind && isDir:
		return false, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("cannot overwrite non-directory %q with directory %q", base, u.folder))
	}
	err = removeAll(parent, base)
	if errors.Is(err, unix.EBUSY) && st.Mode&unix.S_IFMT == unix.S_IFREG {
		return true, nil
	}
	return false, err
}

func (u *unpacker) directory(parent *os.File, base, name string, h *tar.Header, exists bool) error {
	if !exists {
		if err := unix.Mkdirat(int(parent.Fd()), base, 0o700); err != nil && !errors.Is(err, unix.EEXIST) {
			return os.NewSyscallError("mkdir", err)
		}
	}
	dir, err := openAt(parent, base, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	u.folders = append(u.folders, folderTime{name, h.ModTime})
	return u.attributes(dir, h)
}

// finish sets the times of folders, inner ones first. Meanwhile a folder may
// have been moved by the container; it then keeps the time it has.
func (u *unpacker) finish() error {
	for i := len(u.folders) - 1; i >= 0; i-- {
		f := u.folders[i]
		dir, err := u.root.open(f.path, unix.O_RDONLY|unix.O_DIRECTORY|unix.O_NOFOLLOW)
		if err != nil {
			continue
		}
		err = setTime(dir, f.time)
		dir.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

func (u *unpacker) create(parent *os.File, base string, h *tar.Header, body io.Reader, exists bool) error {
	dir := int(parent.Fd())
	var err error
	switch h.Typeflag {
	case tar.TypeReg:
		return u.file(parent, base, h, body, exists)
	case tar.TypeLink:
		return u.hardLink(parent, base, h.Linkname)
	case tar.TypeSymlink:
		err = unix.Symlinkat(h.Linkname, dir, base)
	case tar.TypeFifo:
		err = unix.Mknodat(dir, base, unix.S_IFIFO|0o600, 0)
	case tar.TypeChar:
		err = unix.Mknodat(dir, base, unix.S_IFCHR|0o600, int(unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))))
	case tar.TypeBlock:
		err = unix.Mknodat(dir, base, unix.S_IFBLK|0o600, int(unix.Mkdev(uint32(h.Devmajor), uint32(h.Devminor))))
	}
	if err != nil {
		return os.NewSyscallError("create", err)
	}
	at, st, err := look(parent, base)
	if err != nil {
		return err
	}
	defer at.Close()
	return u.attributesByPath(at, st, h)
}

func (u *unpacker) file(parent *os.File, base string, h *tar.Header, body io.Reader, exists bool) error {
	if exists {
		return u.refill(parent, base, body)
	}
	f, err := openAt(parent, base, unix.O_WRONLY|unix.O_CREAT|unix.O_EXCL, 0o600)
	if err != nil {
		return err
	}
	defer f.Close()
	if _, err := io.CopyBuffer(struct{ io.Writer }{f}, body, u.buf); err != nil {
		return err
	}
	if err := u.attributes(f, h); err != nil {
		return err
	}
	return setTime(f, h.ModTime)
}

// refill replaces what a file holds that is a mount point, as /etc/hosts is.
// Its kind is looked at once more on the descriptor that is written to: the
// container may make device nodes, which only the host could open.
func (u *unpacker) refill(parent *os.File, base string, body io.Reader) error {
	at, st, err := look(parent, base)
	if err != nil {
		return err
	}
	defer at.Close()
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return &fs.PathError{Op: "open", Path: base, Err: unix.EBUSY}
	}
	f, err := reopen(at, unix.O_WRONLY|unix.O_TRUNC)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = io.CopyBuffer(struct{ io.Writer }{f}, body, u.buf)
	return err
}

// hardLink gives another entry of the archive a second name.
func (u *unpacker) hardLink(parent *os.File, base, target string) error {
	name, err := u.confined(target)
	if err != nil {
		return fmt.Errorf("invalid hardlink: %w", err)
	}
	from, err := u.root.open(path.Dir(name), unix.O_PATH|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer from.Close()
	if err := unix.Linkat(int(from.Fd()), path.Base(name), int(parent.Fd()), base, 0); err != nil {
		return fmt.Errorf("link to %q: %w", target, err)
	}
	return nil
}

// openAt opens one name in a folder and never a link.
func openAt(dir *os.File, name string, flags int, mode uint32) (*os.File, error) {
	fd, err := unix.Openat(int(dir.Fd()), name, flags|unix.O_NOFOLLOW|unix.O_CLOEXEC, mode)
	if err != nil {
		return nil, &fs.PathError{Op: "open", Path: name, Err: err}
	}
	return os.NewFile(uintptr(fd), name), nil
}

// removeAll removes a name and all below it, entering folders by descriptor.
func removeAll(parent *os.File, name string) error {
	err := unix.Unlinkat(int(parent.Fd()), name, 0)
	if err == nil || errors.Is(err, unix.ENOENT) {
		return nil
	}
	if !errors.Is(err, unix.EISDIR) {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	dir, err := openAt(parent, name, unix.O_RDONLY|unix.O_DIRECTORY, 0)
	if err != nil {
		return err
	}
	defer dir.Close()
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	for _, child := range names {
		if err := removeAll(dir, child); err != nil {
			return err
		}
	}
	if err := unix.Unlinkat(int(parent.Fd()), name, unix.AT_REMOVEDIR); err != nil && !errors.Is(err, unix.ENOENT) {
		return &fs.PathError{Op: "remove", Path: name, Err: err}
	}
	return nil
}
