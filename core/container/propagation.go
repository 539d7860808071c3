package container

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/moby/moby/api/types/mount"
	"github.com/moby/sys/mountinfo"
)

// shares tells whether what is mounted below is to be seen on both sides. The
// shim's own mount namespace lets nothing out, so such a mount is brought there
// from the host's.
func (p *mountPoint) shares() bool {
	return p.Propagation == mount.PropagationShared || p.Propagation == mount.PropagationRShared
}

// mustBeShared: a container can share mounts only where the host does.
func mustBeShared(source string) error {
	real, err := filepath.EvalSymlinks(source)
	if err != nil {
		return fmt.Errorf("find the mount of %s: %w", source, err)
	}
	mounts, err := mountinfo.GetMounts(mountinfo.ParentsFilter(real))
	if err != nil {
		return fmt.Errorf("find the mount of %s: %w", source, err)
	}
	var on *mountinfo.Info
	for _, m := range mounts {
		if on == nil || len(m.Mountpoint) >= len(on.Mountpoint) { // a later one covers an earlier one
			on = m
		}
	}
	if on == nil {
		return invalid("path %s is on no mount that is seen here", source)
	}
	if !slices.ContainsFunc(strings.Fields(on.Optional), func(o string) bool { return strings.HasPrefix(o, "shared:") }) {
		return invalid("path %s is mounted on %s but it is not a shared mount", source, on.Mountpoint)
	}
	return nil
}
