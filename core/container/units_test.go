package container

import (
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/go-units"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/config"
	"github.com/nacre-sh/nacre/core/container/spec"
	"github.com/nacre-sh/nacre/core/filter"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// TestLifeTable says for every verb in which states it is possible, and what
// the user reads elsewhere.
func TestLifeTable(t *testing.T) {
	const id = "4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339c4c01db0b339c0000"
	r := &record{ID: id, Name: "web"}
	not := "container " + id + " is not running"
	restartingText := "Container " + id + " is restarting, wait until the container is running"
	for v, texts := range map[verb]map[status]string{
		verbStart: {running: "already", restarting: "already", paused: "cannot start a paused container, try unpause instead",
			removing: "marked for removal", dead: "marked for removal"},
		verbStop:    {created: "already", exited: "already", removing: "already", dead: "already"},
		verbRestart: {removing: "marked for removal", dead: "marked for removal"},
		verbKill:    {created: not, exited: not, removing: not, dead: not},
		verbPause: {created: not, exited: not, removing: not, dead: not,
			paused: "Container " + id + " is already paused", restarting: restartingText},
		verbUnpause: {created: "is not paused", exited: "is not paused", removing: "is not paused", dead: "is not paused",
			running: "Container " + id + " is not paused", restarting: "is not paused"},
		verbRemove: {running: `container is running: stop the container before removing or force remove`,
			restarting: "container is restarting", paused: "container is paused and must be unpaused first"},
		verbAttach: {paused: "container web is paused, unpause the container before attach",
			restarting: restartingText, removing: "marked for removal", dead: "marked for removal"},
		verbExec: {created: not, exited: not, removing: not, dead: not,
			paused: "Container web is paused, unpause the container before exec", restarting: restartingText},
		verbTop:    {created: not, exited: not, removing: not, dead: not, restarting: restartingText},
		verbResize: {created: not, exited: not, removing: not, dead: not, restarting: not},
		verbRename: {removing: "marked for removal", dead: "marked for removal"},
	} {
		for _, s := range []status{created, running, paused, restarting, removing, exited, dead} {
			err := allow(v, r, s)
			want, refused := texts[s]
			switch {
			case !refused && err != nil:
				t.Errorf("%s when %s: %v", v, s, err)
			case refused && (err == nil || !strings.Contains(err.Error(), want)):
				t.Errorf("%s when %s: %v, want %q", v, s, err, want)
			case refused && want == "already" && !errdefs.IsNotModified(err), refused && want != "already" && !errdefs.IsConflict(err):
				t.Errorf("%s when %s: class of %v", v, s, err)
			}
		}
	}
}

func TestNames(t *testing.T) {
	pattern := regexp.MustCompile(`^[a-z]+_[a-z]+[0-9]?$`)
	for try := range 50 {
		if name := randomName(try % 2); !pattern.MatchString(name) {
			t.Fatalf("random name %q", name)
		}
	}
	for _, list := range [][]string{adjectives, surnames} {
		if sorted := slices.Compact(slices.Sorted(slices.Values(list))); len(sorted) != len(list) {
			t.Error("a word is there twice")
		}
	}
	if name, err := checkName("/web.1-a_b"); err != nil || name != "web.1-a_b" {
		t.Errorf("%q, %v", name, err)
	}
	for _, bad := range []string{"", "a", "-a", "a b", "ä1", "a/b", "../x", "a\n"} {
		if _, err := checkName(bad); !errdefs.IsInvalidArgument(err) {
			t.Errorf("name %q: %v", bad, err)
		}
	}
}

func TestMergeConfig(t *testing.T) {
	image := dockerspec.DockerOCIImageConfig{
		ImageConfig: ocispec.ImageConfig{
			User: "web", Env: []string{"PATH=/image", "A=image"}, Entrypoint: []string{"/entry"}, Cmd: []string{"serve"},
			WorkingDir: "/srv", Labels: map[string]string{"a": "image", "b": "image"}, StopSignal: "SIGQUIT",
			ExposedPorts: map[string]struct{}{"80/tcp": {}}, Volumes: map[string]struct{}{"/data": {}},
		},
	}
	c, err := mergeConfig(container.Config{Env: []string{"A=user"}, Labels: map[string]string{"a": "user"},
		ExposedPorts: network.PortSet{network.MustParsePort("81/udp"): {}}}, image)
	if err != nil {
		t.Fatal(err)
	}
	if c.User != "web" || c.WorkingDir != "/srv" || c.StopSignal != "SIGQUIT" || len(c.ExposedPorts) != 2 || len(c.Volumes) != 1 ||
		c.Labels["a"] != "user" || c.Labels["b"] != "image" || !slices.Equal(c.Env, []string{"A=user", "PATH=/image"}) {
		t.Errorf("%+v", c)
	}
	for _, k := range []struct {
		entrypoint, cmd []string
		want            string
	}{
		{nil, nil, "/entry serve"},
		{nil, []string{"x"}, "/entry x"},
		{[]string{"/mine"}, nil, "/mine"},
		{[]string{"/mine"}, []string{"x"}, "/mine x"},
		{[]string{""}, []string{"x"}, "x"},
	} {
		c, err := mergeConfig(container.Config{Entrypoint: k.entrypoint, Cmd: k.cmd}, image)
		if err != nil || commandLine(c) != k.want {
			t.Errorf("%v %v: %q, %v", k.entrypoint, k.cmd, commandLine(c), err)
		}
	}
	for want, c := range map[string]container.Config{
		"no command specified":                             {Entrypoint: []string{""}},
		"needs to be an absolute path":                     {WorkingDir: "here"},
		"invalid environment variable: =x":                 {Env: []string{"=x"}},
		"invalid signal: SIGNOT":                           {StopSignal: "SIGNOT"},
		"the working directory 'a' is invalid, it needs t": {WorkingDir: "a"},
	} {
		if _, err := mergeConfig(c, image); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestParseBind(t *testing.T) {
	bind := func(source, dest, mode string, rw bool, p mount.Propagation) container.MountPoint {
		return container.MountPoint{Type: mount.TypeBind, Source: source, Destination: dest, Mode: mode, RW: rw, Propagation: p}
	}
	for text, want := range map[string]container.MountPoint{
		"/a:/b":           bind("/a", "/b", "", true, "rprivate"),
		"/a/../c:/b/:ro":  bind("/c", "/b", "ro", false, "rprivate"),
		"/a:/b:ro,rslave": bind("/a", "/b", "ro,rslave", false, "rslave"),
		"/a:/b:rshared":   bind("/a", "/b", "rshared", true, "rshared"),
		"data:/b":         {Type: mount.TypeVolume, Name: "data", Destination: "/b", Driver: "local", Mode: "z", RW: true},
		"data:/b:ro":      {Type: mount.TypeVolume, Name: "data", Destination: "/b", Driver: "local", Mode: "ro"},
	} {
		if p, err := parseBind(text); err != nil || p.MountPoint != want {
			t.Errorf("%s: %+v, %v", text, p.MountPoint, err)
		}
	}
	if p, err := parseBind("/b"); err != nil || !p.Anonymous || len(p.Name) != 64 {
		t.Errorf("an anonymous volume: %+v, %v", p, err)
	}
	for text, want := range map[string]string{
		"a:b:c:d":    "invalid volume specification: 'a:b:c:d'",
		":/b":        "invalid volume specification",
		"/a:b":       "mount path must be absolute",
		"/a:/":       "destination can't be '/'",
		"/a:/b:wild": "invalid mode: wild",
		"./a:/b":     "If you intended to pass a host directory, use absolute path",
	} {
		if _, err := parseBind(text); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
	}
}

func TestParseMount(t *testing.T) {
	dir := t.TempDir()
	p, err := parseMount(mount.Mount{Type: mount.TypeBind, Source: dir, Target: "/x/", ReadOnly: true})
	if err != nil || p.Source != dir || p.Destination != "/x" || p.RW || p.CreateSrc {
		t.Errorf("bind: %+v, %v", p, err)
	}
	p, err = parseMount(mount.Mount{Type: mount.TypeTmpfs, Target: "/t", TmpfsOptions: &mount.TmpfsOptions{SizeBytes: 4096, Mode: 0o700}})
	if err != nil || !slices.Equal(p.Options, []string{"noexec", "nosuid", "nodev", "size=4096", "mode=700"}) {
		t.Errorf("tmpfs: %+v, %v", p, err)
	}
	for want, m := range map[string]mount.Mount{
		"bind source path does not exist: /not/there": {Type: mount.TypeBind, Source: "/not/there", Target: "/x"},
		"field Target must not be empty":              {Type: mount.TypeVolume},
		"field Source must not be specified":          {Type: mount.TypeTmpfs, Source: "/x", Target: "/y"},
		"mount type unknown":                          {Type: "cloud", Target: "/y"},
		"--mount type=cluster is not supported":       {Type: mount.TypeCluster, Source: "i", Target: "/y"},
		"subpath must be a relative path within the image": {Type: mount.TypeImage, Source: "i", Target: "/y",
			ImageOptions: &mount.ImageOptions{Subpath: "/etc"}},
		"subpath must be a relative path within the volume": {Type: mount.TypeVolume, Source: "vol", Target: "/y",
			VolumeOptions: &mount.VolumeOptions{Subpath: "a/../../b"}},
	} {
		if _, err := parseMount(m); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestStatusTexts(t *testing.T) {
	now := time.Date(2024, 1, 1, 12, 0, 0, 0, time.UTC)
	r := &record{StartedAt: now.Add(-3 * time.Second), FinishedAt: now.Add(-2 * time.Minute), ExitCode: 137}
	for s, want := range map[status]string{
		created: "Created", running: "Up 3 seconds", paused: "Up 3 seconds (Paused)", exited: "Exited (137) 2 minutes ago",
		restarting: "Restarting (7) 5 seconds ago", removing: "Removal In Progress", dead: "Dead",
	} {
		state := &shimapi.State{ExitCode: 7, FinishedAt: now.Add(-5 * time.Second)}
		if got := statusText(live{record: r, now: s, state: state}, now); got != want {
			t.Errorf("%s: %q", s, got)
		}
	}
	for h, want := range map[shimapi.HealthStatus]string{
		shimapi.HealthStarting: "Up 3 seconds (health: starting)", shimapi.HealthHealthy: "Up 3 seconds (healthy)",
	} {
		if got := statusText(live{record: r, now: running, state: &shimapi.State{Health: &shimapi.HealthState{Status: h}}}, now); got != want {
			t.Errorf("%s: %q", h, got)
		}
	}
}

func TestListFilters(t *testing.T) {
	hc, err := hostDefaults(&container.HostConfig{PortBindings: network.PortMap{network.MustParsePort("80/tcp"): {{HostPort: "8080"}}}}, spec.Host{}, config.Config{})
	if err != nil {
		t.Fatal(err)
	}
	l := live{now: running, state: &shimapi.State{}, record: &record{
		ID: strings.Repeat("ab", 32), Name: "web", Image: "busybox", ImageID: "sha256:1", StartedAt: time.Now(),
		Config:     &container.Config{Labels: map[string]string{"tier": "front"}, ExposedPorts: network.PortSet{network.MustParsePort("53/udp"): {}}},
		HostConfig: hc, Mounts: []mountPoint{volumePoint("data", "/srv", "z", true)},
	}}
	for _, c := range []struct {
		key, value string
		want       bool
	}{
		{"name", "web", true}, {"name", "^/we", true}, {"name", "eb$", true}, {"name", "^eb", false}, {"name", "(", false},
		{"status", "running", true}, {"status", "exited", false},
		{"label", "tier", true}, {"label", "tier=front", true}, {"label", "tier=back", false},
		{"volume", "data", true}, {"volume", "/srv", true}, {"volume", "/x", false},
		{"network", "bridge", true}, {"network", "host", false}, {"network", "1f", true}, {"network", "f", false},
		{"publish", "8080", true}, {"publish", "8000-8090/tcp", true}, {"publish", "8080/udp", false}, {"publish", "80", false},
		{"expose", "53/udp", true}, {"expose", "53", false},
		{"health", "none", true}, {"health", "healthy", false}, {"exited", "0", false}, {"is-task", "true", false},
	} {
		m := &Module{networks: noNetworks{}}
		f, err := m.listFilter(t.Context(), backend.ContainerList{All: true, Filters: filter.Args{c.key: {c.value}}})
		if err != nil {
			t.Fatalf("%s=%s: %v", c.key, c.value, err)
		}
		f.ports = func(live) []container.PortSummary {
			return []container.PortSummary{{PrivatePort: 80, PublicPort: 8080, Type: "tcp"}, {PrivatePort: 53, Type: "udp"}}
		}
		if got := f.matches(l); got != c.want {
			t.Errorf("%s=%s: %v", c.key, c.value, got)
		}
	}
	for want, args := range map[string]filter.Args{
		"invalid filter 'colour'":                                      {"colour": {"red"}},
		"invalid value for state (lost)":                               {"status": {"lost"}},
		"invalid filter 'exited=x'":                                    {"exited": {"x"}},
		"invalid filter 'label!'":                                      {"label!": {"x"}},
		"invalid filter 'is-task=[1 0]'":                               {"is-task": {"1", "0"}},
		"error while looking up for publish x: invalid start port 'x'": {"publish": {"x"}},
		"filter for 'expose' should not contain ':': 1:2":              {"expose": {"1:2"}},
	} {
		if _, err := (&Module{}).listFilter(t.Context(), backend.ContainerList{Filters: args}); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestParsePs(t *testing.T) {
	out := "UID   PID  PPID CMD\nroot    1     0 init\nroot   42     7 sleep 10 and more\nroot   43     7 other\n"
	top, err := parsePs([]byte(out), map[int]bool{42: true})
	if err != nil || len(top.Processes) != 1 || !slices.Equal(top.Processes[0], []string{"root", "42", "7", "sleep 10 and more"}) {
		t.Errorf("%+v, %v", top, err)
	}
	if _, err := parsePs([]byte("UID CMD\nroot x\n"), nil); err == nil {
		t.Error("without a column of ids")
	}
}

func TestConfigurationFillsWhatIsLeftOpen(t *testing.T) {
	conf := config.Config{
		DefaultIPCMode: "shareable", DefaultShmSize: 1 << 20, Init: true, NoNewPrivileges: true, SeccompProfile: "unconfined", CgroupParent: "/p",
		DefaultRuntime: "other", DefaultUlimits: map[string]*units.Ulimit{"nofile": {Name: "nofile", Soft: 10, Hard: 20}},
	}
	hc, err := hostDefaults(nil, spec.Host{}, conf)
	if err != nil {
		t.Fatal(err)
	}
	if hc.IpcMode != "shareable" || hc.ShmSize != 1<<20 || hc.Init == nil || !*hc.Init || hc.CgroupParent != "/p" || hc.Runtime != "other" || len(hc.Ulimits) != 1 ||
		!slices.Equal(hc.SecurityOpt, []string{"no-new-privileges", "seccomp=unconfined"}) {
		t.Errorf("left open: %+v", hc)
	}
	own := container.HostConfig{IpcMode: "private", ShmSize: 5, Init: new(bool), Runtime: "mine", SecurityOpt: []string{"no-new-privileges=false", "seccomp=builtin"},
		Resources: container.Resources{CgroupParent: "/q", Ulimits: []*units.Ulimit{{Name: "nofile", Soft: 1, Hard: 2}}}}
	if hc, err = hostDefaults(&own, spec.Host{}, conf); err != nil {
		t.Fatal(err)
	}
	if hc.IpcMode != "private" || hc.ShmSize != 5 || *hc.Init || hc.CgroupParent != "/q" || hc.Runtime != "mine" || hc.Ulimits[0].Hard != 2 || len(hc.SecurityOpt) != 2 {
		t.Errorf("said by the user: %+v", hc)
	}
}

func TestRuntimesByNameAndPath(t *testing.T) {
	program := filepath.Join(t.TempDir(), "runs")
	if err := os.WriteFile(program, []byte("#!/bin/sh\n"), 0o755); err != nil {
		t.Fatal(err)
	}
	conf := config.Config{Runtimes: map[string]config.Runtime{"mine": {Path: program, Args: []string{"--debug"}}, "lost": {Path: "/nosuch"}}}
	for name, want := range map[string]*shimapi.Runtime{
		"": nil, "runc": nil, program: {Path: program}, "mine": {Path: program, Args: []string{"--debug"}},
	} {
		if got, err := externalRuntime(name, conf); err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("%q: %+v, %v", name, got, err)
		}
	}
	for _, name := range []string{"lost", "nosuchprogram", "/nosuch", "./runs"} {
		if _, err := externalRuntime(name, conf); !errdefs.IsInvalidArgument(err) {
			t.Errorf("%q: %v", name, err)
		}
	}
}
