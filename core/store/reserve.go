package store

import (
	"os"

	"golang.org/x/sys/unix"
)

// reserveSize is what the reserve takes, in bytes; less on a small disk.
const reserveSize = 8 << 20

// keepReserve looks after a file that only takes room. A full disk would keep
// even the database from being opened, and so the user from removing what fills
// it: then the file goes and its room is there for the next commands. It comes
// back when there is plenty. That it cannot be made or removed is no failure of
// the command, which will say itself what is wrong with the disk.
func keepReserve(paths Paths) {
	var st unix.Statfs_t
	if err := unix.Statfs(paths.Data, &st); err != nil {
		return
	}
	free, total := int64(st.Bavail)*st.Bsize, int64(st.Blocks)*st.Bsize
	size := min(reserveSize, total/16)
	switch {
	case free < size/4:
		_ = os.Remove(paths.reserve())
	case free > 4*size:
		makeReserve(paths.reserve(), size)
	}
}

func makeReserve(path string, size int64) {
	if _, err := os.Lstat(path); err == nil {
		return
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
	if err != nil {
		return
	}
	defer f.Close()
	if err := unix.Fallocate(int(f.Fd()), 0, 0, size); err != nil {
		_ = os.Remove(path)
	}
}
