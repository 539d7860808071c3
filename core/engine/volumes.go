package engine

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"

	"github.com/containerd/errdefs"
	apivolume "github.com/moby/moby/api/types/volume"
	"go.podman.io/storage/pkg/archive"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/container/files"
	"github.com/nacre-sh/nacre/core/volume"
)

// volumeArchives packs and unpacks volumes as `cp` does containers: whatever
// an archive or a container at work in the volume holds, nothing is read or
// written outside of it. It implements api.VolumeArchives.
type volumeArchives struct{ volumes *volume.Volumes }

func (a volumeArchives) VolumeExport(ctx context.Context, name string, open func() io.Writer) error {
	dir, err := a.open(ctx, name)
	if err != nil {
		return fmt.Errorf("export volume %s: %w", name, err)
	}
	root := files.Folder(dir)
	defer root.Close()
	out := bufio.NewWriterSize(open(), 256<<10)
	if err := root.Export(ctx, out); err != nil {
		return fmt.Errorf("export volume %s: %w", name, err)
	}
	return out.Flush()
}

// open opens what a volume holds now. What its options would mount is there
// only while a container uses it.
func (a volumeArchives) open(ctx context.Context, name string) (*os.File, error) {
	v, err := a.volumes.VolumeInspect(ctx, name)
	if err != nil {
		return nil, err
	}
	mounted, err := a.volumes.Mounted(name)
	if err != nil {
		return nil, err
	}
	if len(v.Options) > 0 && !mounted {
		return nil, errdefs.ErrFailedPrecondition.WithMessage("what its options mount is not there now\nhint: do this while a container uses the volume")
	}
	return a.volumes.OpenData(name)
}

func (a volumeArchives) VolumeImport(ctx context.Context, name string, content io.Reader, force bool) error {
	return a.into(ctx, name, nil, force, func(dir *os.File) error {
		plain, err := archive.DecompressStream(content)
		if err != nil {
			return errdefs.ErrInvalidArgument.WithMessage("read the archive: " + err.Error())
		}
		defer plain.Close()
		return files.Folder(dir).Unpack(ctx, "/", plain, files.UnpackOptions{})
	})
}

func (a volumeArchives) VolumeClone(ctx context.Context, from, to string) error {
	if to == "" {
		return errdefs.ErrInvalidArgument.WithMessage("clone volume " + from + ": the new volume has no name")
	}
	source, err := a.open(ctx, from)
	if err != nil {
		return fmt.Errorf("clone volume %s: %w", from, err)
	}
	defer source.Close()
	if _, err := a.volumes.VolumeInspect(ctx, to); !errdefs.IsNotFound(err) {
		return errors.Join(err, errdefs.ErrConflict.WithMessage(fmt.Sprintf("clone volume %s: there is a volume %s already", from, to)))
	}
	v, err := a.volumes.VolumeInspect(ctx, from)
	if err != nil {
		return err
	}
	delete(v.Labels, "com.docker.volume.anonymous") // it has a name
	return a.into(ctx, to, v.Labels, false, func(dir *os.File) error { return volume.CopyTree(ctx, source, dir) })
}

// into fills a volume, which is made where it is missing and taken away again
// when filling it fails.
func (a volumeArchives) into(ctx context.Context, name string, labels map[string]string, force bool, fill func(*os.File) error) error {
	_, err := a.volumes.VolumeInspect(ctx, name)
	made := errdefs.IsNotFound(err)
	if made {
		_, err = a.volumes.VolumeCreate(ctx, apivolume.CreateRequest{Name: name, Labels: labels})
	}
	if err != nil {
		return err
	}
	err = a.fill(ctx, name, force, fill)
	if err != nil && made {
		gone := a.volumes.VolumeRemove(backend.WithoutTrash(context.WithoutCancel(ctx)), name, true)
		err = errors.Join(err, gone)
	}
	if err != nil {
		return fmt.Errorf("fill volume %s: %w", name, err)
	}
	return nil
}

func (a volumeArchives) fill(ctx context.Context, name string, force bool, fill func(*os.File) error) error {
	dir, err := a.open(ctx, name)
	if err != nil {
		return err
	}
	defer dir.Close()
	if _, err := dir.Readdirnames(1); !force && err == nil {
		return errdefs.ErrConflict.WithMessage("it is not empty\nhint: --force unpacks over what is there")
	}
	return fill(dir)
}
