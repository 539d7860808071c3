package image

import (
	"fmt"
	"io"

	"go.podman.io/storage/pkg/archive"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/thread"
)

// unpack extracts a layer's tar into dest, which it sees as the root of the
// file system: no path and no link in the archive leads out of it. The layer
// store's own way starts this whole program again for every layer.
func unpack(tar io.Reader, dest string, options *archive.TarOptions) error {
	var err error
	thread.Own(func() {
		if err = unix.Unshare(unix.CLONE_FS); err != nil { // root and working directory of this thread alone
			err = fmt.Errorf("unshare the root folder: %w", err)
			return
		}
		if err = unix.Chroot(dest); err != nil {
			err = fmt.Errorf("make %s the root folder: %w", dest, err)
			return
		}
		if err = unix.Chdir("/"); err != nil {
			return
		}
		err = archive.Unpack(tar, "/", options)
	})
	return err
}
