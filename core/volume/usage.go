package volume

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"syscall"

	"github.com/moby/moby/api/types/volume"
)

// VolumeUsage lists all volumes with their size in bytes and the number of
// containers that use them. It reads every volume's folders. As in docker,
// volumes with driver options are left out: their files lie elsewhere.
func (v *Volumes) VolumeUsage(ctx context.Context) ([]volume.Volume, error) {
	all, err := query(ctx, v.store.DB, "")
	if err != nil {
		return nil, err
	}
	list := make([]volume.Volume, 0, len(all))
	for _, r := range all {
		if len(r.options) > 0 {
			continue
		}
		size, err := treeSize(ctx, v.mountpoint(r.name))
		if err != nil {
			return nil, fmt.Errorf("size of volume %s: %w", r.name, err)
		}
		vol := v.describe(r)
		vol.UsageData = &volume.UsageData{Size: size, RefCount: int64(len(r.users))}
		list = append(list, vol)
	}
	return list, nil
}

// treeSize adds up the files below dir, hard links once, without ever leaving
// it. What vanishes meanwhile does not count.
func treeSize(ctx context.Context, dir string) (int64, error) {
	root, err := os.OpenRoot(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return 0, nil
	}
	if err != nil {
		return 0, err
	}
	defer root.Close()
	var size int64
	seen := map[uint64]bool{}
	err = fs.WalkDir(root.FS(), ".", func(_ string, entry fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil || info.IsDir() {
			return ctx.Err()
		}
		if st, ok := info.Sys().(*syscall.Stat_t); ok && st.Nlink > 1 {
			if seen[st.Ino] {
				return nil
			}
			seen[st.Ino] = true
		}
		size += info.Size()
		return ctx.Err()
	})
	return size, err
}
