package system

import (
	"fmt"

	"golang.org/x/sys/unix"
)

// fileSystems names the backing file systems that docker has words for.
var fileSystems = map[int64]string{
	unix.EXT4_SUPER_MAGIC:      "extfs",
	unix.XFS_SUPER_MAGIC:       "xfs",
	unix.BTRFS_SUPER_MAGIC:     "btrfs",
	unix.TMPFS_MAGIC:           "tmpfs",
	unix.OVERLAYFS_SUPER_MAGIC: "overlayfs",
	0x2fc12fc1:                 "zfs",
	unix.F2FS_SUPER_MAGIC:      "f2fs",
}

// driverStatus tells what lies under the layers.
func (s *System) driverStatus() [][2]string {
	name := "<unknown>"
	var st unix.Statfs_t
	if unix.Statfs(s.cfg.Store.Paths.Data, &st) == nil {
		name = fmt.Sprintf("%#x", st.Type)
		if known, ok := fileSystems[int64(st.Type)]; ok {
			name = known
		}
	}
	return [][2]string{
		{"Backing Filesystem", name},
		{"Supports d_type", "true"},
		{"Using metacopy", "false"},
		{"Native Overlay Diff", "true"},
		{"userxattr", "false"},
	}
}
