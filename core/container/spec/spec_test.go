package spec

import (
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/network"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// files is a container root of a few files.
func files(content map[string]string) Opener {
	return func(path string) (io.ReadCloser, error) {
		if c, ok := content[path]; ok {
			return io.NopCloser(strings.NewReader(c)), nil
		}
		return nil, &fs.PathError{Op: "open", Path: path, Err: fs.ErrNotExist}
	}
}

var accounts = files(map[string]string{
	"/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nweb:x:33:34:web:/srv:/bin/sh\n",
	"/etc/group":  "root:x:0:\nwheel:x:10:root,web\nvideo:x:44:\n",
})

var testHost = Host{AppArmor: true, Capabilities: []string{"CAP_CHOWN", "CAP_NET_ADMIN", "CAP_SYS_ADMIN"}, Sysctls: map[string]bool{sysctlPortStart: true}, RecursiveReadOnly: true}

func build(t *testing.T, change func(*Input)) *specs.Spec {
	t.Helper()
	in := Input{
		ID:         strings.Repeat("a", 64),
		Config:     &container.Config{Hostname: "box", Cmd: []string{"sh"}},
		HostConfig: &container.HostConfig{NetworkMode: "bridge"},
		HostsFile:  "/data/hosts", ResolvConfFile: "/data/resolv.conf", HostnameFile: "/data/hostname",
		Open: accounts, Host: testHost,
	}
	if change != nil {
		change(&in)
	}
	s, err := Build(in)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func mountAt(s *specs.Spec, dest string) *specs.Mount {
	for i := range s.Mounts {
		if s.Mounts[i].Destination == dest {
			return &s.Mounts[i]
		}
	}
	return nil
}

func namespace(s *specs.Spec, kind specs.LinuxNamespaceType) (path string, own bool) {
	for _, n := range s.Linux.Namespaces {
		if n.Type == kind {
			return n.Path, true
		}
	}
	return "", false
}

func TestDefaultsAreDockers(t *testing.T) {
	s := build(t, nil)
	if !slices.Equal(s.Process.Capabilities.Bounding, DefaultCapabilities()) || len(s.Process.Capabilities.Inheritable)+len(s.Process.Capabilities.Ambient) != 0 {
		t.Errorf("capabilities: %+v", s.Process.Capabilities)
	}
	if s.Linux.Seccomp == nil || s.Linux.Seccomp.DefaultAction != specs.ActErrno {
		t.Error("no seccomp profile")
	}
	if !slices.Contains(s.Linux.MaskedPaths, "/proc/kcore") || !slices.Contains(s.Linux.ReadonlyPaths, "/proc/sys") {
		t.Errorf("masked %v, read-only %v", s.Linux.MaskedPaths, s.Linux.ReadonlyPaths)
	}
	if r := s.Linux.Resources.Devices; len(r) != 1 || r[0].Allow || r[0].Access != "rwm" {
		t.Errorf("device rules: %+v", r)
	}
	for _, kind := range []specs.LinuxNamespaceType{specs.MountNamespace, specs.NetworkNamespace, specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace} {
		if path, own := namespace(s, kind); !own || path != "" {
			t.Errorf("namespace %s: own %v, path %q", kind, own, path)
		}
	}
	if _, own := namespace(s, specs.UserNamespace); own {
		t.Error("a user namespace that nobody asked for")
	}
	if m := mountAt(s, "/sys"); m == nil || !slices.Contains(m.Options, "ro") {
		t.Errorf("/sys: %+v", m)
	}
	if m := mountAt(s, "/dev/shm"); m == nil || !slices.Contains(m.Options, "size=67108864") {
		t.Errorf("/dev/shm: %+v", m)
	}
	if m := mountAt(s, "/etc/hosts"); m == nil || m.Source != "/data/hosts" {
		t.Errorf("/etc/hosts: %+v", m)
	}
	if s.Linux.Sysctl[sysctlPortStart] != "0" {
		t.Errorf("sysctls: %v", s.Linux.Sysctl)
	}
	if s.Process.Cwd != "/" || s.Hostname != "box" || s.Process.NoNewPrivileges {
		t.Errorf("cwd %q, hostname %q, no new privileges %v", s.Process.Cwd, s.Hostname, s.Process.NoNewPrivileges)
	}
}

func TestPrivileged(t *testing.T) {
	s := build(t, func(in *Input) { in.HostConfig.Privileged = true })
	if s.Linux.Seccomp != nil || s.Linux.MaskedPaths != nil || s.Linux.ReadonlyPaths != nil {
		t.Error("a privileged container is confined")
	}
	if !slices.Equal(s.Process.Capabilities.Effective, testHost.Capabilities) {
		t.Errorf("capabilities: %v", s.Process.Capabilities.Effective)
	}
	if r := s.Linux.Resources.Devices; len(r) != 1 || !r[0].Allow {
		t.Errorf("device rules: %+v", r)
	}
	if m := mountAt(s, "/sys/fs/cgroup"); !slices.Contains(m.Options, "rw") {
		t.Errorf("cgroup mount: %v", m.Options)
	}
	if !slices.ContainsFunc(s.Linux.Devices, func(d specs.LinuxDevice) bool { return d.Path == "/dev/null" }) {
		t.Error("the host's devices are missing")
	}
}

func TestHostNamespaces(t *testing.T) {
	s := build(t, func(in *Input) {
		in.HostConfig = &container.HostConfig{NetworkMode: "host", PidMode: "host", IpcMode: "host", UTSMode: "host"}
	})
	for _, kind := range []specs.LinuxNamespaceType{specs.NetworkNamespace, specs.PIDNamespace, specs.IPCNamespace, specs.UTSNamespace} {
		if _, own := namespace(s, kind); own {
			t.Errorf("namespace %s is not the host's", kind)
		}
	}
	if s.Hostname != "" || len(s.Linux.Sysctl) != 0 {
		t.Errorf("the host would be changed: hostname %q, sysctls %v", s.Hostname, s.Linux.Sysctl)
	}
	joined := build(t, func(in *Input) {
		in.HostConfig.NetworkMode, in.NetworkNamespace = "container:x", "/proc/7/ns/net"
		in.HostConfig.PidMode, in.PidNamespace = "container:x", "/proc/7/ns/pid"
	})
	if path, _ := namespace(joined, specs.NetworkNamespace); path != "/proc/7/ns/net" {
		t.Errorf("network namespace %q", path)
	}
	if path, _ := namespace(joined, specs.PIDNamespace); path != "/proc/7/ns/pid" {
		t.Errorf("pid namespace %q", path)
	}
}

func TestCgroupNamespaceFollowsTheHierarchy(t *testing.T) {
	for _, c := range []struct {
		mode container.CgroupnsMode
		v2   bool
		want bool
	}{{"", false, false}, {"", true, true}, {"private", false, true}, {"host", true, false}} {
		s := build(t, func(in *Input) { in.HostConfig.CgroupnsMode, in.Host.CgroupV2 = c.mode, c.v2 })
		if _, own := namespace(s, specs.CgroupNamespace); own != c.want {
			t.Errorf("mode %q, v2 %v: private %v", c.mode, c.v2, own)
		}
	}
}

func TestCapabilities(t *testing.T) {
	for _, c := range []struct {
		add, drop []string
		want      string
	}{
		{[]string{"net_admin"}, []string{"ALL"}, "CAP_NET_ADMIN"},
		{[]string{"ALL"}, []string{"SYS_ADMIN"}, "CAP_CHOWN CAP_NET_ADMIN"},
		{nil, []string{"ALL"}, ""},
		{nil, append(DefaultCapabilities()[1:], "CAP_SYS_TIME"), "CAP_CHOWN"},
		{[]string{"CAP_CHOWN"}, DefaultCapabilities()[1:], "CAP_CHOWN"},
	} {
		got, err := Capabilities(c.add, c.drop, false, testHost)
		if err != nil || strings.Join(got, " ") != c.want {
			t.Errorf("add %v drop %v: %v, %v", c.add, c.drop, got, err)
		}
	}
	if _, err := Capabilities([]string{"FLY"}, nil, false, testHost); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), `invalid CapAdd: unknown capability: "CAP_FLY"`) {
		t.Errorf("an unknown one: %v", err)
	}
}

func TestUsersComeFromTheContainersFiles(t *testing.T) {
	for _, c := range []struct {
		spec   string
		groups []string
		uid    uint32
		gid    uint32
		want   []uint32
	}{
		{"", nil, 0, 0, []uint32{0, 10}},
		{"web", nil, 33, 34, []uint32{34, 10}},
		{"33", nil, 33, 34, []uint32{34, 10}},
		{"web:video", nil, 33, 44, []uint32{44}},
		{"1234", []string{"video", "99"}, 1234, 0, []uint32{0, 44, 99}},
		{"1234:5678", nil, 1234, 5678, []uint32{5678}},
	} {
		u, err := ResolveUser(accounts, c.spec, c.groups)
		if err != nil || u.UID != c.uid || u.GID != c.gid || !sameSet(u.AdditionalGids, c.want) {
			t.Errorf("%q + %v: %+v, %v", c.spec, c.groups, u, err)
		}
	}
	for spec, want := range map[string]string{
		"nobody":     "unable to find user nobody: no matching entries in passwd file",
		"web:nobody": "unable to find group nobody: no matching entries in group file",
	} {
		if _, err := ResolveUser(accounts, spec, nil); !errdefs.IsInvalidArgument(err) || err.Error() != want {
			t.Errorf("%q: %v", spec, err)
		}
	}
	if u, err := ResolveUser(files(nil), "", nil); err != nil || u.UID != 0 {
		t.Errorf("an image without accounts: %+v, %v", u, err)
	}
}

func sameSet(a, b []uint32) bool {
	a, b = slices.Clone(a), slices.Clone(b)
	slices.Sort(a)
	slices.Sort(b)
	return slices.Equal(a, b)
}

func TestEnvironment(t *testing.T) {
	for _, c := range []struct {
		tty  bool
		env  []string
		want string
	}{
		{false, nil, "PATH=" + DefaultPath + " HOSTNAME=box"},
		{true, []string{"A=1", "A=2"}, "PATH=" + DefaultPath + " HOSTNAME=box TERM=xterm A=2"},
		{true, []string{"PATH=/x", "TERM"}, "PATH=/x HOSTNAME=box"},
		{false, []string{"EMPTY=", "NEVER"}, "PATH=" + DefaultPath + " HOSTNAME=box EMPTY="},
	} {
		if got := strings.Join(Environment("box", c.tty, c.env), " "); got != c.want {
			t.Errorf("tty %v, %v: %s", c.tty, c.env, got)
		}
	}
}

func TestUserMountsReplaceOursAndParentsComeFirst(t *testing.T) {
	s := build(t, func(in *Input) {
		in.Mounts = []Mount{
			{Type: "bind", Source: "/host/deep", Destination: "/a/b/c", ReadOnly: true, Recursive: true, Options: []string{"rprivate"}},
			{Type: "bind", Source: "/host/a", Destination: "/a"},
			{Type: "bind", Source: "/host/f", Destination: "/flat", ReadOnly: true, Recursive: true, FlatReadOnly: true},
			{Type: "tmpfs", Destination: "/dev/shm", Options: []string{"size=1m"}},
			{Type: "bind", Source: "/host/hosts", Destination: "/etc/hosts"},
		}
	})
	if m := mountAt(s, "/etc/hosts"); m.Source != "/host/hosts" {
		t.Errorf("/etc/hosts comes from %s", m.Source)
	}
	if m := mountAt(s, "/dev/shm"); !slices.Equal(m.Options, []string{"size=1m"}) {
		t.Errorf("/dev/shm: %v", m.Options)
	}
	if m := mountAt(s, "/a/b/c"); !slices.Equal(m.Options, []string{"rbind", "rro", "rprivate"}) {
		t.Errorf("/a/b/c: %v", m.Options)
	}
	if m := mountAt(s, "/flat"); !slices.Equal(m.Options, []string{"rbind", "ro"}) {
		t.Errorf("/flat: %v", m.Options)
	}
	at := func(dest string) int {
		return slices.IndexFunc(s.Mounts, func(m specs.Mount) bool { return m.Destination == dest })
	}
	if at("/a") > at("/a/b/c") || at("/dev") > at("/dev/shm") || at("/sys") > at("/sys/fs/cgroup") {
		t.Errorf("order: %v", s.Mounts)
	}
}

func TestResources(t *testing.T) {
	r, err := Resources(container.Resources{Memory: 64 << 20, NanoCPUs: 1_500_000_000, PidsLimit: new(int64(50))})
	if err != nil {
		t.Fatal(err)
	}
	if *r.Memory.Limit != 64<<20 || *r.Memory.Swap != 128<<20 || *r.CPU.Quota != 150_000 || *r.CPU.Period != 100_000 || *r.Pids.Limit != 50 {
		t.Errorf("memory %+v, cpu %+v, pids %+v", r.Memory, r.CPU, r.Pids)
	}
	empty, err := Resources(container.Resources{})
	if err != nil || empty.Memory.Limit != nil || empty.CPU.Quota != nil || empty.Pids != nil {
		t.Errorf("no limits asked for: %+v, %v", empty, err)
	}
}

func TestLimitAboveOursIsLoweredWithAWarning(t *testing.T) {
	own, ok := ownHardLimit("nofile")
	if !ok {
		t.Fatal("no limit on open files")
	}
	in := Input{
		Config: &container.Config{Cmd: []string{"sh"}}, Open: accounts, Host: testHost,
		HostConfig: &container.HostConfig{Resources: container.Resources{Ulimits: []*units.Ulimit{{Name: "nofile", Soft: int64(own) + 1, Hard: int64(own) + 2}}}},
	}
	s, err := Build(in)
	if err != nil {
		t.Fatal(err)
	}
	warnings := Warnings(in.HostConfig, in.Host)
	if r := s.Process.Rlimits[0]; r.Type != "RLIMIT_NOFILE" || r.Hard != own || r.Soft != own || len(warnings) != 1 {
		t.Errorf("limit %+v, warnings %q", r, warnings)
	}
}

func TestDevices(t *testing.T) {
	s := build(t, func(in *Input) {
		in.HostConfig.Devices = []container.DeviceMapping{{PathOnHost: "/dev/null", PathInContainer: "/dev/hole", CgroupPermissions: "r"}}
		in.HostConfig.DeviceCgroupRules = []string{"b 8:* rw"}
	})
	if d := s.Linux.Devices; len(d) != 1 || d[0].Path != "/dev/hole" || d[0].Major != 1 || d[0].Minor != 3 || d[0].Type != "c" {
		t.Errorf("devices: %+v", d)
	}
	rules := s.Linux.Resources.Devices
	if len(rules) != 3 || rules[1].Access != "r" || *rules[1].Minor != 3 || rules[2].Minor != nil || *rules[2].Major != 8 {
		t.Errorf("rules: %+v", rules)
	}
	for _, bad := range []string{"", "x 1:3 r", "c 13 r", "c 1:3 q", "c 1:a r", "c 1:3"} {
		if _, err := parseDeviceRule(bad); !errdefs.IsInvalidArgument(err) {
			t.Errorf("rule %q: %v", bad, err)
		}
	}
}

func TestSecurityOptions(t *testing.T) {
	s := build(t, func(in *Input) {
		in.HostConfig.SecurityOpt = []string{"seccomp=unconfined", "no-new-privileges", "apparmor=mine"}
	})
	if s.Linux.Seccomp != nil || !s.Process.NoNewPrivileges || s.Process.ApparmorProfile != "mine" {
		t.Errorf("seccomp %v, no new privileges %v, apparmor %q", s.Linux.Seccomp, s.Process.NoNewPrivileges, s.Process.ApparmorProfile)
	}
	own := build(t, func(in *Input) {
		in.HostConfig.SecurityOpt = []string{`seccomp={"defaultAction":"SCMP_ACT_ALLOW","syscalls":[{"names":["chmod"],"action":"SCMP_ACT_ERRNO"}]}`}
	})
	if own.Linux.Seccomp == nil || own.Linux.Seccomp.DefaultAction != specs.ActAllow {
		t.Errorf("own profile: %+v", own.Linux.Seccomp)
	}
	in := Input{Config: &container.Config{Cmd: []string{"sh"}}, HostConfig: &container.HostConfig{SecurityOpt: []string{"seccomp={"}}, Open: accounts}
	if _, err := Build(in); !errdefs.IsInvalidArgument(err) {
		t.Errorf("a broken profile: %v", err)
	}
}

func TestTheAppArmorProfile(t *testing.T) {
	with := Host{AppArmor: true, DefaultProfile: "docker-default"}
	for _, c := range []struct {
		host       Host
		privileged bool
		options    []string
		want       string
	}{
		{host: with, want: "docker-default"},
		{host: with, privileged: true, want: "unconfined"},
		{host: with, options: []string{"apparmor=unconfined"}, want: "unconfined"},
		{host: with, privileged: true, options: []string{"apparmor:mine"}, want: "mine"},
		{host: with, options: []string{"apparmor="}, want: "docker-default"},
		{host: Host{AppArmor: true}, want: ""}, // without the parser
		{host: Host{AppArmor: true}, options: []string{"apparmor=mine"}, want: "mine"},
		{host: Host{DefaultProfile: "docker-default"}, options: []string{"apparmor=mine"}, want: ""},
	} {
		hc := &container.HostConfig{Privileged: c.privileged, SecurityOpt: c.options}
		if got := AppArmorProfile(hc, c.host); got != c.want {
			t.Errorf("%+v: %q", c, got)
		}
	}
}

func TestValidateRefuses(t *testing.T) {
	if err := Validate(&container.HostConfig{NetworkMode: network.NetworkBridge, RestartPolicy: container.RestartPolicy{Name: "no"}}, testHost); err != nil {
		t.Fatalf("the plain case: %v", err)
	}
	for want, hc := range map[string]container.HostConfig{
		"--storage-opt is supported only for":       {StorageOpt: map[string]string{"size": "1G"}},
		"Range of CPUs is from 0.01 to":             {Resources: container.Resources{NanoCPUs: 1 << 50}},
		"invalid format: 1-x":                       {Resources: container.Resources{CpusetCpus: "1-x"}},
		"invalid PID mode: x":                       {PidMode: "x"},
		"Minimum memory limit allowed is 6MB":       {Resources: container.Resources{Memory: 1 << 20}},
		"Minimum memoryswap limit should be larger": {Resources: container.Resources{Memory: 10 << 20, MemorySwap: 8 << 20}},
		"Conflicting options: Nano CPUs":            {Resources: container.Resources{NanoCPUs: 1e9, CPUQuota: 5000}},
		`invalid --security-opt 2: "magic=yes"`:     {SecurityOpt: []string{"magic=yes"}},
		"can't create 'AutoRemove' container with":  {AutoRemove: true, RestartPolicy: container.RestartPolicy{Name: "always"}},
		"invalid restart policy: unknown policy":    {RestartPolicy: container.RestartPolicy{Name: "sometimes"}},
		"unknown capability":                        {CapAdd: []string{"FLY"}},
	} {
		err := Validate(&hc, testHost)
		if err == nil || !strings.Contains(err.Error(), want) || !errdefs.IsInvalidArgument(err) && !errdefs.IsNotImplemented(err) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestHomeIsThatOfTheUsersEntry(t *testing.T) {
	home := func(change func(*Input)) (found []string) {
		for _, entry := range build(t, change).Process.Env {
			if strings.HasPrefix(entry, "HOME=") {
				found = append(found, entry)
			}
		}
		return found
	}
	for name, c := range map[string]struct {
		change func(*Input)
		want   []string
	}{
		"root":        {nil, []string{"HOME=/root"}},
		"no entry":    {func(in *Input) { in.Config.User = "4242" }, []string{"HOME=/"}},
		"set":         {func(in *Input) { in.Config.Env = []string{"HOME=/mine"} }, []string{"HOME=/mine"}},
		"a mount has": {func(in *Input) { in.Mounts = []Mount{{Type: "bind", Source: "/x", Destination: "/etc/passwd"}} }, nil},
	} {
		if got := home(c.change); !slices.Equal(got, c.want) {
			t.Errorf("%s: %q, want %q", name, got, c.want)
		}
	}
}

func TestProcessorsHeatIsMasked(t *testing.T) {
	sys := t.TempDir()
	if got := throttlePaths(sys); got != nil {
		t.Errorf("none is there: %q", got)
	}
	var want []string
	for _, cpu := range []string{"cpu0", "cpu1", "cpufreq"} {
		dir := filepath.Join(sys, "devices/system/cpu", cpu, "thermal_throttle")
		if err := os.MkdirAll(dir, 0o755); err != nil {
			t.Fatal(err)
		}
		if cpu != "cpufreq" {
			want = append(want, dir)
		}
	}
	if got := throttlePaths(sys); !slices.Equal(got, want) {
		t.Errorf("%q, want %q", got, want)
	}
}
