package image

import (
	"fmt"
	"io"
	"runtime"

	"go.podman.io/storage/pkg/archive"
	"golang.org/x/sys/unix"
)

// unpack extracts a layer's tar into dest, which it sees as the root of the
// file system: no path and no link in the archive leads out of it. The layer
// store's own way starts this whole program again for every layer.
func unpack(tar io.Reader, dest string, options *archive.TarOptions) error {
	var err error
	onThreadOfItsOwn(func() {
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

// onThreadOfItsOwn runs fn on a thread that ends with it, whatever fn has done
// to the thread. Never on the main one: it cannot end, and /proc/self is about it.
func onThreadOfItsOwn(fn func()) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread()
		if unix.Gettid() == unix.Getpid() {
			onThreadOfItsOwn(fn) // on another one, as this is taken
			runtime.UnlockOSThread()
			return
		}
		fn()
	}()
	<-done
}
