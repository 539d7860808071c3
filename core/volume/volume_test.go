package volume

import (
	"context"
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/volume"

	"github.com/nacre-sh/nacre/core/filter"
	"github.com/nacre-sh/nacre/core/store"
)

func newVolumes(t *testing.T) *Volumes {
	t.Helper()
	root := t.TempDir()
	st, err := store.Open(context.Background(), store.Paths{Data: filepath.Join(root, "data"), Exec: filepath.Join(root, "run")})
	check(t, err)
	t.Cleanup(func() { st.Close() })
	v, err := New(t.Context(), Options{Store: st})
	check(t, err)
	return v
}

func TestCreateInspectRemove(t *testing.T) {
	v := newVolumes(t)
	made, err := v.VolumeCreate(t.Context(), volume.CreateRequest{Name: "db", Labels: map[string]string{"team": "a"}})
	check(t, err)
	check(t, os.WriteFile(filepath.Join(made.Mountpoint, "row"), []byte("1"), 0o600))

	again, err := v.VolumeCreate(t.Context(), volume.CreateRequest{Name: "db", Driver: "local"})
	check(t, err)
	if again.Labels["team"] != "a" || again.CreatedAt != made.CreatedAt {
		t.Errorf("creating it again gave %+v, want the first one %+v", again, made)
	}
	seen, err := v.VolumeInspect(t.Context(), "db")
	check(t, err)
	if seen.Driver != "local" || seen.Scope != "local" || seen.Mountpoint != filepath.Join(v.store.Paths.Volumes(), "db", "_data") {
		t.Errorf("inspect gave %+v", seen)
	}

	check(t, v.VolumeRemove(t.Context(), "db", false))
	if left, err := os.ReadDir(v.store.Paths.Volumes()); err != nil || len(left) > 0 {
		t.Errorf("the removal left %v (%v)", left, err)
	}
	if _, err := v.VolumeInspect(t.Context(), "db"); !errdefs.IsNotFound(err) || err.Error() != "get db: no such volume" {
		t.Errorf("inspect after removal: %v", err)
	}
	if err := v.VolumeRemove(t.Context(), "db", false); !errdefs.IsNotFound(err) {
		t.Errorf("second removal: %v, want not found", err)
	}
	check(t, v.VolumeRemove(t.Context(), "db", true))
}

func TestRemovalDoesNotFollowLinks(t *testing.T) {
	v := newVolumes(t)
	outside := filepath.Join(t.TempDir(), "precious")
	check(t, os.WriteFile(outside, nil, 0o600))
	made, err := v.VolumeCreate(t.Context(), volume.CreateRequest{Name: "trap"})
	check(t, err)
	check(t, os.Symlink(filepath.Dir(outside), filepath.Join(made.Mountpoint, "link")))
	// Even a volume folder that somebody replaced by a link loses only the link.
	check(t, os.Rename(made.Mountpoint, made.Mountpoint+".aside"))
	check(t, os.Symlink(filepath.Dir(outside), made.Mountpoint))
	check(t, v.VolumeRemove(t.Context(), "trap", false))
	if _, err := os.Stat(outside); err != nil {
		t.Errorf("the removal reached out of the volume: %v", err)
	}
}

func TestRefusedRequests(t *testing.T) {
	v := newVolumes(t)
	for _, c := range []struct {
		req   volume.CreateRequest
		class func(error) bool
		says  string
	}{
		{volume.CreateRequest{Name: "../x"}, errdefs.IsInvalidArgument, `create ../x: "../x" includes invalid characters for a local volume name`},
		{volume.CreateRequest{Name: ".x"}, errdefs.IsInvalidArgument, "includes invalid characters"},
		{volume.CreateRequest{Name: "a b"}, errdefs.IsInvalidArgument, "includes invalid characters"},
		{volume.CreateRequest{Name: "x"}, errdefs.IsInvalidArgument, "volume name is too short"},
		{volume.CreateRequest{Name: "ok", Driver: "nfs"}, errdefs.IsNotFound, `plugin "nfs" not found`},
		{volume.CreateRequest{Name: "ok", DriverOpts: map[string]string{"colour": "red"}}, errdefs.IsInvalidArgument, `create ok: invalid option: "colour"`},
		{volume.CreateRequest{Name: "ok", DriverOpts: map[string]string{"type": "nfs"}}, errdefs.IsInvalidArgument, `create ok: missing required option: "device"`},
		{volume.CreateRequest{Name: "ok", DriverOpts: map[string]string{"size": "1g"}}, errdefs.IsInvalidArgument, "quota size requested but no quota support"},
	} {
		_, err := v.VolumeCreate(t.Context(), c.req)
		if err == nil || !c.class(err) || !strings.Contains(err.Error(), c.says) {
			t.Errorf("create %+v: %v, want %q", c.req, err, c.says)
		}
	}
	all, err := v.VolumeList(t.Context(), filter.Args{})
	check(t, err)
	if len(all) > 0 {
		t.Errorf("refused requests left %v", all)
	}
}

func TestVolumesInUse(t *testing.T) {
	v := newVolumes(t)
	_, created, err := v.Acquire(t.Context(), "c1", "shared", "", nil, nil)
	check(t, err)
	if !created {
		t.Error("a missing volume was not created")
	}
	_, created, err = v.Acquire(t.Context(), "c2", "shared", "", nil, nil)
	check(t, err)
	if created {
		t.Error("an existing volume was created again")
	}
	err = v.VolumeRemove(t.Context(), "shared", true)
	if !errdefs.IsConflict(err) || err.Error() != "remove shared: volume is in use - [c1, c2]" {
		t.Errorf("removal of a volume in use: %v", err)
	}
	check(t, v.Release(t.Context(), "c1", true))
	check(t, v.Release(t.Context(), "c2", true))
	check(t, v.Release(t.Context(), "c2", true)) // nothing left to release
	check(t, v.VolumeRemove(t.Context(), "shared", false))
}

func TestAnonymousVolumesGoWithTheirContainer(t *testing.T) {
	v := newVolumes(t)
	own, _, err := v.Acquire(t.Context(), "c1", "", "", nil, map[string]string{"k": "v"})
	check(t, err)
	shared, _, err := v.Acquire(t.Context(), "c1", "", "", nil, nil)
	check(t, err)
	_, _, err = v.Acquire(t.Context(), "c2", shared.Name, "", nil, nil)
	check(t, err)
	_, _, err = v.Acquire(t.Context(), "c1", "named", "", nil, nil)
	check(t, err)
	if len(own.Name) != 64 || own.Labels["k"] != "v" {
		t.Errorf("anonymous volume %+v", own)
	}

	check(t, v.Release(t.Context(), "c1", true))
	if got, want := names(t, v, filter.Args{}), []string{shared.Name, "named"}; !sameElements(got, want) {
		t.Errorf("after the container: %v, want %v", got, want)
	}
	if _, err := os.Stat(own.Mountpoint); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("files of the anonymous volume: %v, want gone", err)
	}
	check(t, v.Release(t.Context(), "c2", false))
	if got, want := names(t, v, filter.Args{}), []string{shared.Name, "named"}; !sameElements(got, want) {
		t.Errorf("released without removal: %v, want %v", got, want)
	}
}

func TestListFilters(t *testing.T) {
	v := newVolumes(t)
	for name, labels := range map[string]map[string]string{"alpha": {"team": "a"}, "beta": {"team": "b"}, "gamma": nil} {
		_, err := v.VolumeCreate(t.Context(), volume.CreateRequest{Name: name, Labels: labels})
		check(t, err)
	}
	_, _, err := v.Acquire(t.Context(), "c1", "beta", "", nil, nil)
	check(t, err)
	for _, c := range []struct {
		filter filter.Args
		want   []string
	}{
		{nil, []string{"alpha", "beta", "gamma"}},
		{filter.Args{"dangling": {"true"}}, []string{"alpha", "gamma"}},
		{filter.Args{"dangling": {"false"}}, []string{"beta"}},
		{filter.Args{"name": {"lph", "gam"}}, []string{"alpha", "gamma"}},
		{filter.Args{"label": {"team"}}, []string{"alpha", "beta"}},
		{filter.Args{"label": {"team=b"}}, []string{"beta"}},
		{filter.Args{"driver": {"nfs"}}, nil},
	} {
		if got := names(t, v, c.filter); !slices.Equal(got, c.want) {
			t.Errorf("filter %v: %v, want %v", c.filter, got, c.want)
		}
	}
	if _, err := v.VolumeList(t.Context(), filter.Args{"colour": {"red"}}); !errdefs.IsInvalidArgument(err) {
		t.Errorf("unknown filter: %v", err)
	}
}

func names(t *testing.T, v *Volumes, f filter.Args) (all []string) {
	t.Helper()
	list, err := v.VolumeList(t.Context(), f)
	check(t, err)
	for _, vol := range list {
		all = append(all, vol.Name)
	}
	return all
}

func sameElements(a, b []string) bool {
	return slices.Equal(slices.Sorted(slices.Values(a)), slices.Sorted(slices.Values(b)))
}

func check(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}
