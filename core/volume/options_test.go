package volume

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/volume"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/filter"
)

func mounted(t *testing.T, v *Volumes, name string) bool {
	t.Helper()
	yes, err := isMountpoint(v.mountpoint(name))
	check(t, err)
	return yes
}

// What the options mount is there as long as one container wants it, whatever
// happened to the mount behind nacre's back.
func TestOptionsAreMountedWhileContainersWantThem(t *testing.T) {
	v := newVolumes(t)
	options := map[string]string{"type": "tmpfs", "device": "tmpfs", "o": "size=1m"}
	made, err := v.VolumeCreate(t.Context(), volume.CreateRequest{Name: "memory", DriverOpts: options})
	check(t, err)
	t.Cleanup(func() { unix.Unmount(made.Mountpoint, unix.MNT_DETACH) })
	for _, c := range []string{"c1", "c2"} {
		_, _, err = v.Acquire(t.Context(), c, "memory", "", nil, nil)
		check(t, err)
		if names, err := v.Attach(t.Context(), c); err != nil || !slices.Equal(names, []string{"memory"}) {
			t.Fatalf("attach %s: %v, %v", c, names, err)
		}
	}
	check(t, os.WriteFile(filepath.Join(made.Mountpoint, "file"), nil, 0o600))
	check(t, v.Detach(t.Context(), "c1"))
	if !mounted(t, v, "memory") {
		t.Error("the mount went with the first container")
	}
	check(t, unix.Unmount(made.Mountpoint, unix.MNT_DETACH)) // as a reboot does
	if _, err := v.Attach(t.Context(), "c1"); err != nil || !mounted(t, v, "memory") {
		t.Errorf("after a reboot nothing was mounted: %v", err)
	}
	if ids, err := v.Attached(t.Context()); err != nil || !slices.Equal(ids, []string{"c1", "c2"}) {
		t.Errorf("attached: %v, %v", ids, err)
	}
	check(t, v.Detach(t.Context(), "c1"))
	check(t, v.Detach(t.Context(), "c2"))
	check(t, v.Detach(t.Context(), "c2"))
	if mounted(t, v, "memory") {
		t.Error("the mount is left after the last container")
	}
	if err := v.VolumeRemove(t.Context(), "memory", false); !errdefs.IsConflict(err) {
		t.Errorf("removal of a volume in use: %v", err)
	}
}

func TestAMountThatFailsLeavesNothing(t *testing.T) {
	v := newVolumes(t)
	_, _, err := v.Acquire(t.Context(), "c1", "lost", "", map[string]string{"type": "none", "device": "/not/there", "o": "bind"}, nil)
	check(t, err)
	if _, err := v.Attach(t.Context(), "c1"); !errors.Is(err, os.ErrNotExist) {
		t.Errorf("mount of what is not there: %v", err)
	}
	if ids, err := v.Attached(t.Context()); err != nil || len(ids) > 0 {
		t.Errorf("attached: %v, %v", ids, err)
	}
}

func TestPruneTakesWhatNobodyUsesOrNamed(t *testing.T) {
	v := newVolumes(t)
	for _, c := range []volume.CreateRequest{
		{Name: "named"}, {Name: "kept", Labels: map[string]string{"keep": ""}}, {Name: "used"},
		{Name: "elsewhere", DriverOpts: map[string]string{"type": "tmpfs", "device": "tmpfs"}},
	} {
		_, err := v.VolumeCreate(t.Context(), c)
		check(t, err)
	}
	_, _, err := v.Acquire(t.Context(), "c1", "used", "", nil, nil)
	check(t, err)
	anonymous, err := v.VolumeCreate(t.Context(), volume.CreateRequest{})
	check(t, err)
	check(t, os.WriteFile(filepath.Join(anonymous.Mountpoint, "five"), []byte("bytes"), 0o600))

	deleted, freed, err := v.VolumePrune(t.Context(), filter.Args{})
	if err != nil || !slices.Equal(deleted, []string{anonymous.Name}) || freed != 5 {
		t.Errorf("prune: %v, %d bytes, %v", deleted, freed, err)
	}
	deleted, _, err = v.VolumePrune(t.Context(), filter.Args{"all": {"true"}, "label!": {"keep"}})
	if err != nil || !slices.Equal(deleted, []string{"named"}) {
		t.Errorf("prune -a: %v, %v", deleted, err)
	}
	if got := names(t, v, filter.Args{}); !slices.Equal(got, []string{"elsewhere", "kept", "used"}) {
		t.Errorf("left: %v", got)
	}
	if _, _, err := v.VolumePrune(t.Context(), filter.Args{"until": {"1h"}}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("unknown filter: %v", err)
	}
}
