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
	"slices"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/container/layers"
)

// Pack writes the file or folder at a path as an archive whose first entry has
// the path's last element as its name; that of the root is "/", of "x/." is ".".
// A link at the end of the path is packed as a link. As docker's.
func (r *Root) Pack(ctx context.Context, name string, w io.Writer) error {
	abs := absolute(name)
	at, err := r.open(abs, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer at.Close()
	st, err := fstat(at)
	if err != nil {
		return err
	}
	entry := path.Base(abs)
	if entry == "/" {
		entry = ""
	}
	p := newPacker(ctx, w)
	if err := p.add(at, st, entry); err != nil {
		return fmt.Errorf("archive %s: %w", name, err)
	}
	return p.close()
}

// Export writes everything below the root, the names without a leading slash.
func (r *Root) Export(ctx context.Context, w io.Writer) error {
	dir, err := r.open("/", unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	p := newPacker(ctx, w)
	if err := p.children(dir, ""); err != nil {
		return fmt.Errorf("archive the root: %w", err)
	}
	return p.close()
}

// packer writes one archive.
type packer struct {
	ctx    context.Context
	tw     *tar.Writer
	linked map[inode]string // entries of files with several names
	buf    []byte
	flat   bool // folders without what is in them
}

type inode struct{ device, number uint64 }

func newPacker(ctx context.Context, w io.Writer) *packer {
	return &packer{ctx: ctx, tw: tar.NewWriter(w), linked: map[inode]string{}, buf: make([]byte, 256<<10)}
}

func (p *packer) close() error {
	if err := p.tw.Close(); err != nil {
		return fmt.Errorf("end the archive: %w", err)
	}
	return nil
}

// add writes what a descriptor with O_PATH stands for, folders with all below them.
func (p *packer) add(at *os.File, st unix.Stat_t, entry string) error {
	if err := p.ctx.Err(); err != nil {
		return err
	}
	h, err := header(at, st, entry)
	if h == nil || err != nil { // nil: a socket, which no archive holds
		return err
	}
	switch h.Typeflag {
	case tar.TypeDir:
		return p.folder(at, h, entry)
	case tar.TypeReg:
		if st.Nlink > 1 {
			id := inode{uint64(st.Dev), st.Ino}
			if first, ok := p.linked[id]; ok {
				h.Typeflag, h.Linkname, h.Size = tar.TypeLink, first, 0
				return p.tw.WriteHeader(h)
			}
			p.linked[id] = entry
		}
		return p.file(at, h)
	}
	return p.tw.WriteHeader(h)
}

func (p *packer) folder(at *os.File, h *tar.Header, entry string) error {
	dir, err := reopen(at, unix.O_RDONLY|unix.O_DIRECTORY)
	if err != nil {
		return err
	}
	defer dir.Close()
	if err := xattrs(dir, h); err != nil {
		return err
	}
	if err := p.tw.WriteHeader(h); err != nil {
		return err
	}
	if p.flat {
		return nil
	}
	return p.children(dir, entry+"/")
}

// children adds what is in a folder, in order of the names. What vanishes
// meanwhile is left out.
func (p *packer) children(dir *os.File, prefix string) error {
	names, err := dir.Readdirnames(-1)
	if err != nil {
		return err
	}
	slices.Sort(names)
	for _, name := range names {
		at, st, err := look(dir, name)
		if errors.Is(err, fs.ErrNotExist) {
			continue
		}
		if err != nil {
			return err
		}
		err = p.add(at, st, prefix+name)
		at.Close()
		if err != nil {
			return err
		}
	}
	return nil
}

// file writes exactly as many bytes as the header says: a log may grow while
// it is copied, and a file that shrinks is filled up, as tar does.
func (p *packer) file(at *os.File, h *tar.Header) error {
	f, err := reopen(at, unix.O_RDONLY)
	if err != nil {
		return err
	}
	defer f.Close()
	if err := xattrs(f, h); err != nil {
		return err
	}
	if err := p.tw.WriteHeader(h); err != nil {
		return err
	}
	n, err := io.CopyBuffer(onlyWriter{p.tw}, io.LimitReader(f, h.Size), p.buf)
	if err == nil && n < h.Size {
		_, err = io.CopyN(p.tw, zeros{}, h.Size-n)
	}
	if err != nil {
		return fmt.Errorf("%s: %w", h.Name, err)
	}
	return nil
}

// onlyWriter hides tar.Writer's ReadFrom, which would not use our buffer.
type onlyWriter struct{ io.Writer }

type zeros struct{}

func (zeros) Read(p []byte) (int, error) { clear(p); return len(p), nil }

// header describes a file as docker's archives do: seconds, no names of users.
func header(at *os.File, st unix.Stat_t, entry string) (*tar.Header, error) {
	h := &tar.Header{
		Name: entry, Mode: int64(st.Mode & 0o7777), Uid: int(st.Uid), Gid: int(st.Gid),
		ModTime: time.Unix(st.Mtim.Unix()).Truncate(time.Second), Format: tar.FormatPAX,
	}
	switch st.Mode & unix.S_IFMT {
	case unix.S_IFREG:
		h.Typeflag, h.Size = tar.TypeReg, st.Size
	case unix.S_IFDIR:
		h.Typeflag = tar.TypeDir
		h.Name = strings.TrimSuffix(entry, "/") + "/"
	case unix.S_IFLNK:
		h.Typeflag = tar.TypeSymlink
		var err error
		if h.Linkname, err = readlink(at); err != nil {
			return nil, err
		}
	case unix.S_IFIFO:
		h.Typeflag = tar.TypeFifo
	case unix.S_IFCHR, unix.S_IFBLK:
		h.Typeflag = tar.TypeChar
		if st.Mode&unix.S_IFMT == unix.S_IFBLK {
			h.Typeflag = tar.TypeBlock
		}
		h.Devmajor, h.Devminor = int64(unix.Major(st.Rdev)), int64(unix.Minor(st.Rdev))
	default:
		return nil, nil
	}
	return h, nil
}

const (
	paxXattr     = "SCHILY.xattr."
	capabilities = "security.capability"
)

// xattrs adds a program's file capabilities, the only attribute that docker archives.
func xattrs(f *os.File, h *tar.Header) error {
	value := make([]byte, 64) // the largest version takes 24 bytes
	n, err := unix.Fgetxattr(int(f.Fd()), capabilities, value)
	if errors.Is(err, unix.ENODATA) || errors.Is(err, unix.ENOTSUP) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("read the capabilities of %s: %w", h.Name, err)
	}
	h.PAXRecords = map[string]string{paxXattr + capabilities: string(value[:n])}
	return nil
}

// PackChanges writes a layer: what was added or changed in a container's
// writable layer, and for what was deleted the markers that images have
// instead. The writable layer is walked by descriptor, for the container may
// run; what vanishes meanwhile is left out.
func PackChanges(ctx context.Context, upper string, changes []layers.Change, w io.Writer) error {
	p := newPacker(ctx, w)
	if len(changes) == 0 {
		return p.close()
	}
	dir, err := os.OpenFile(upper, unix.O_PATH|unix.O_DIRECTORY|unix.O_CLOEXEC, 0)
	if err != nil {
		return fmt.Errorf("open the writable layer: %w", err)
	}
	defer dir.Close()
	p.flat = true
	root := &Root{dir}
	for _, c := range changes {
		if err := p.change(root, c); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("archive %s: %w", c.Path, err)
		}
	}
	return p.close()
}

// whiteout is the beginning of the name that stands for a deleted file in a layer.
const whiteout = ".wh."

func (p *packer) change(root *Root, c layers.Change) error {
	name := strings.TrimPrefix(c.Path, "/")
	if c.Kind == layers.Deleted {
		now := time.Now().Truncate(time.Second)
		return p.tw.WriteHeader(&tar.Header{Typeflag: tar.TypeReg, Name: path.Join(path.Dir(name), whiteout+path.Base(name)), ModTime: now})
	}
	at, err := root.open(c.Path, unix.O_PATH|unix.O_NOFOLLOW)
	if err != nil {
		return err
	}
	defer at.Close()
	st, err := fstat(at)
	if err != nil {
		return err
	}
	return p.add(at, st, name)
}
