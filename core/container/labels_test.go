package container

import (
	"slices"
	"testing"

	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/selinux"
)

func TestLabelOptions(t *testing.T) {
	asked := labelsAsked([]string{"label=type:a_t", "seccomp=unconfined", "label:level:s0", "no-new-privileges", "label", "labels=x"})
	if want := []string{"type:a_t", "level:s0"}; !slices.Equal(asked, want) {
		t.Errorf("asked for %q, want %q", asked, want)
	}
	m := &Module{}
	for name, c := range map[string]struct {
		hc   container.HostConfig
		want []string
	}{
		"nothing":       {container.HostConfig{}, nil},
		"privileged":    {container.HostConfig{Privileged: true}, []string{"disable"}},
		"host's IPC":    {container.HostConfig{IpcMode: "host"}, []string{"disable"}},
		"host's pids":   {container.HostConfig{PidMode: "host"}, []string{"disable"}},
		"its own words": {container.HostConfig{Privileged: true, SecurityOpt: []string{"label=level:s0:c1"}}, []string{"level:s0:c1"}},
	} {
		got, err := m.labelOptions(t.Context(), &record{HostConfig: &c.hc})
		if err != nil || !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, %v; want %q", name, got, err, c.want)
		}
	}
}

func TestRelabelMode(t *testing.T) {
	for mode, want := range map[string]selinux.Mode{
		"": selinux.Keep, "ro": selinux.Keep, "z": selinux.Shared, "ro,Z": selinux.Private, "Z,z": selinux.Shared, "nocopy": selinux.Keep,
	} {
		if got := (&mountPoint{MountPoint: container.MountPoint{Mode: mode}}).relabel(); got != want {
			t.Errorf("mode %q: %d, want %d", mode, got, want)
		}
	}
	if (&mountPoint{Anonymous: true}).relabel() != selinux.Shared {
		t.Error("a volume of a container's own is not labelled")
	}
}
