package container

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/mount"
	"go.podman.io/image/v5/pkg/compression"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/container/files"
	"github.com/nacre-sh/nacre/core/container/layers"
	"github.com/nacre-sh/nacre/core/container/spec"
)

// Archive gives one path of a container as a tar. open is called once the
// path is known, with what it is; the archive goes into the writer it returns.
func (m *Module) Archive(ctx context.Context, name, p string, open func(container.PathStat) (io.Writer, error)) error {
	l, root, err := m.openToRead(ctx, name)
	if err != nil {
		return err
	}
	defer root.Close()
	stat, err := root.Stat(p)
	if err != nil {
		return pathError(err, p, name)
	}
	w, err := open(stat)
	if err != nil || w == nil {
		return err
	}
	if err := root.Pack(ctx, p, w); err != nil {
		return pathError(err, p, name)
	}
	if err := m.notRemoved(ctx, l.record); err != nil {
		return err
	}
	return m.emit(l.record, events.ActionArchivePath, nil)
}

// StatPath says what is at a path of a container.
func (m *Module) StatPath(ctx context.Context, name, p string) (container.PathStat, error) {
	_, root, err := m.openToRead(ctx, name)
	if err != nil {
		return container.PathStat{}, err
	}
	defer root.Close()
	stat, err := root.Stat(p)
	return stat, pathError(err, p, name)
}

// Extract unpacks a tar, compressed or not, into a folder of a container.
func (m *Module) Extract(ctx context.Context, name, p string, archive io.Reader, opts backend.Extract) error {
	id, err := m.resolve(ctx, name)
	if err != nil {
		return err
	}
	// Decompression is done before and outside of everything that the container could touch.
	plain, _, err := compression.AutoDecompress(archive)
	if err != nil {
		return invalid("read the archive: %v", err)
	}
	defer plain.Close()
	l, root, release, err := m.openToWrite(ctx, id)
	if err != nil {
		return err
	}
	defer release()
	defer root.Close()
	if err := extractable(l, root, p); err != nil {
		return pathError(err, p, name)
	}
	unpack := files.UnpackOptions{KeepKind: opts.NoOverwriteDirNonDir}
	if opts.CopyUIDGID && l.Config.User != "" {
		user, err := spec.ResolveUser(func(file string) (io.ReadCloser, error) { return root.Open(file) }, l.Config.User, nil)
		if err != nil {
			return err
		}
		unpack.Owner = &files.Owner{UID: int(user.UID), GID: int(user.GID)}
	}
	if err := root.Unpack(ctx, p, plain, unpack); err != nil {
		return fmt.Errorf("copy into container %s: %w", l.Name, readOnlyError(err))
	}
	return m.emit(l.record, events.ActionExtractToDir, nil)
}

// extractable refuses, in docker's words, what is no folder or must not change.
func extractable(l live, root *files.Root, p string) error {
	stat, err := root.Stat(path.Join("/", p) + "/") // follows a link at the end
	if errors.Is(err, unix.ENOTDIR) || err == nil && !stat.Mode.IsDir() {
		return invalid("extraction point is not a directory")
	}
	if err != nil {
		return err
	}
	resolved, err := root.Resolve(p)
	if err != nil {
		return err
	}
	var in *mountPoint // the innermost mount that the path lies in
	for i := range l.Mounts {
		at := &l.Mounts[i]
		if (at.Destination == resolved || strings.HasPrefix(resolved, at.Destination+"/")) && (in == nil || len(at.Destination) > len(in.Destination)) {
			in = at
		}
	}
	switch {
	case in != nil && !in.RW:
		return invalid("mounted volume is marked read-only")
	case in == nil && l.HostConfig.ReadonlyRootfs:
		return invalid("container rootfs is marked read-only")
	}
	return nil
}

func readOnlyError(err error) error {
	if errors.Is(err, unix.EROFS) {
		return fmt.Errorf("%w: %w", err, errdefs.ErrInvalidArgument)
	}
	return err
}

// pathError words what is wrong with a path as docker does.
func pathError(err error, p, name string) error {
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, unix.ENOTDIR) {
		return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("Could not find the file %s in container %s", p, name))
	}
	if errors.Is(err, unix.ELOOP) { // a loop of links, or a magic link of /proc
		return fmt.Errorf("%w: %w", err, errdefs.ErrInvalidArgument)
	}
	return err
}

// Export gives a container's whole root as a tar, without what is mounted on it.
func (m *Module) Export(ctx context.Context, name string, open func() (io.Writer, error)) error {
	l, err := m.lookUp(ctx, name)
	if err != nil {
		return err
	}
	root, err := m.openRoot(ctx, l, files.LiveBare, nil)
	if err != nil {
		return fmt.Errorf("export container %s: %w", l.Name, err)
	}
	defer root.Close()
	w, err := open()
	if err != nil {
		return err
	}
	if err := root.Export(ctx, w); err != nil {
		return fmt.Errorf("export container %s: %w", l.Name, err)
	}
	if err := m.notRemoved(ctx, l.record); err != nil {
		return err
	}
	return m.emit(l.record, events.ActionExport, nil)
}

// notRemoved fails when a container was removed while its files were read:
// those that had gone before they were reached are missing in the archive.
func (m *Module) notRemoved(ctx context.Context, r *record) error {
	if m.exists(ctx, r.ID) {
		return nil
	}
	return errdefs.ErrConflict.WithMessage("container " + r.ID + " was removed while its files were read")
}

// Changes lists what differs from the image.
func (m *Module) Changes(ctx context.Context, name string) ([]container.FilesystemChange, error) {
	l, err := m.lookUp(ctx, name)
	if err != nil {
		return nil, err
	}
	changes, err := m.changes(l.record)
	if err != nil {
		return nil, fmt.Errorf("list the changes of container %s: %w", l.Name, err)
	}
	kinds := map[layers.Kind]container.ChangeType{layers.Modified: container.ChangeModify, layers.Added: container.ChangeAdd, layers.Deleted: container.ChangeDelete}
	list := make([]container.FilesystemChange, len(changes))
	for i, c := range changes {
		list[i] = container.FilesystemChange{Path: c.Path, Kind: kinds[c.Kind]}
	}
	return list, nil
}

func (m *Module) changes(r *record) ([]layers.Change, error) {
	return layers.Changes(filepath.Join(m.paths.Container(r.ID), upperDir), m.lowerDirs(r), spec.IsOwnPlace)
}

// openToRead opens a container's files, volumes included.
func (m *Module) openToRead(ctx context.Context, name string) (live, *files.Root, error) {
	l, err := m.lookUp(ctx, name)
	if err != nil {
		return live{}, nil, err
	}
	root, err := m.openRoot(ctx, l, files.Live, m.fileMounts(l.Mounts))
	if err != nil {
		return live{}, nil, fmt.Errorf("open the files of container %s: %w", l.Name, err)
	}
	return l, root, nil
}

// openRoot opens a running container by its init and another one apart, to read.
func (m *Module) openRoot(ctx context.Context, l live, running func(pid int) (*files.Root, error), mounts []files.Mount) (*files.Root, error) {
	root, err := m.openRunning(ctx, l, running)
	if root != nil || err != nil {
		return root, err
	}
	return files.ApartToRead(m.fileLayers(l.record), mounts)
}

// openRunning gives nothing for a container that does not run, or that ends in this moment.
func (m *Module) openRunning(ctx context.Context, l live, open func(pid int) (*files.Root, error)) (*files.Root, error) {
	if l.state == nil || l.state.Pid == 0 {
		return nil, nil
	}
	root, err := open(l.state.Pid)
	// The number may have become another process's before it was opened, not
	// after: if the container still runs with it now, the root is the container's.
	now, lookErr := m.lookUp(ctx, l.ID)
	switch {
	case lookErr != nil:
		err = lookErr
	case now.state != nil && now.state.Pid == l.state.Pid && now.state.StartedAt.Equal(l.state.StartedAt):
		return root, err
	default:
		err = nil
	}
	if root != nil {
		root.Close()
	}
	return nil, err
}

// openWaiting opens a container that waits for its restart, by the root that
// its shim keeps; nothing where it has just gone on.
func (m *Module) openWaiting(ctx context.Context, l live) (*files.Root, error) {
	root, err := m.fileLayers(l.record).Waiting(l.state.ShimPid, filepath.Join(m.paths.Container(l.ID), rootfsDir), m.fileMounts(l.Mounts))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	// The number may have become another process's before it was opened.
	now, err := m.lookUp(ctx, l.ID)
	if err == nil && now.state != nil && now.state.ShimPid == l.state.ShimPid {
		return root, nil
	}
	root.Close()
	return nil, err
}

const (
	// betweenPatience is how long a container may be between two states, in
	// which its files are nobody's: it starts or ends.
	betweenPatience = 10 * time.Second
	betweenPause    = 20 * time.Millisecond
)

// errBetween is for a container that is between two states.
var errBetween = errdefs.ErrUnavailable.WithMessage("it is starting or ending; try again")

// openToWrite opens a container's files to change them. One that does not run
// is held until release: it must not start meanwhile. One that is between two
// states is waited for.
func (m *Module) openToWrite(ctx context.Context, id string) (l live, root *files.Root, release func(), err error) {
	for deadline := time.Now().Add(betweenPatience); ; {
		l, root, release, err = m.tryToWrite(ctx, id)
		if !errors.Is(err, errBetween) || time.Now().After(deadline) {
			return l, root, release, err
		}
		select {
		case <-ctx.Done():
			return l, nil, nil, ctx.Err()
		case <-time.After(betweenPause):
		}
	}
}

func (m *Module) tryToWrite(ctx context.Context, id string) (l live, root *files.Root, release func(), err error) {
	unlock, err := m.lock(ctx, id)
	if err != nil {
		return live{}, nil, nil, err
	}
	if l, err = m.lookLocked(ctx, id); err == nil {
		root, err = m.openRunning(ctx, l, files.Live)
	}
	if err == nil && root == nil && l.now == restarting {
		root, err = m.openWaiting(ctx, l)
	}
	if root != nil { // it may end meanwhile; its root stays with us
		unlock()
		return l, root, func() {}, nil
	}
	if err == nil && (l.state != nil || l.Status == running) {
		err = errBetween
	}
	if err == nil {
		root, err = files.Apart(m.fileLayers(l.record), m.fileMounts(l.Mounts))
	}
	if err != nil {
		unlock()
		return live{}, nil, nil, fmt.Errorf("open the files of container %s: %w", id, err)
	}
	return l, root, unlock, nil
}

func (m *Module) fileLayers(r *record) files.Layers {
	dir := m.paths.Container(r.ID)
	return files.Layers{
		Lower: m.lowerDirs(r), Upper: filepath.Join(dir, upperDir), Work: filepath.Join(dir, workDir), Scratch: m.paths.Temp(),
	}
}

// fileMounts are the mounts that a container has also while it does not run.
func (m *Module) fileMounts(points []mountPoint) []files.Mount {
	var mounts []files.Mount
	for _, p := range points { // sorted: outer ones first
		switch p.Type {
		case mount.TypeImage:
			mounts = append(mounts, files.Mount{Image: m.absolute(p.Lowers), Subpath: p.Subpath, Destination: p.Destination, ReadOnly: true})
		case mount.TypeBind, mount.TypeVolume:
			mounts = append(mounts, files.Mount{Source: p.Source, Subpath: p.Subpath, Destination: p.Destination, ReadOnly: !p.RW})
		}
	}
	return mounts
}
