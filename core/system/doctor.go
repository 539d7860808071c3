package system

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"os"
	"strings"

	units "github.com/docker/go-units"
	"github.com/google/nftables"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/apparmor"
	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/config"
	"github.com/nacre-sh/nacre/core/selinux"
)

// examination collects what Doctor finds.
type examination struct{ checks []backend.Check }

func (e *examination) good(topic, format string, args ...any) {
	e.checks = append(e.checks, backend.Check{Topic: topic, Grade: backend.CheckGood, Text: fmt.Sprintf(format, args...)})
}

func (e *examination) warn(topic, advice, format string, args ...any) {
	e.checks = append(e.checks, backend.Check{Topic: topic, Grade: backend.CheckWarning, Text: fmt.Sprintf(format, args...), Advice: advice})
}

func (e *examination) bad(topic, advice, format string, args ...any) {
	e.checks = append(e.checks, backend.Check{Topic: topic, Grade: backend.CheckBad, Text: fmt.Sprintf(format, args...), Advice: advice})
}

// Doctor looks at everything containers need of this machine and of the
// engine's own files. It changes nothing. A check that cannot be made is one of
// the findings, so the error is only the context's.
func (s *System) Doctor(ctx context.Context) ([]backend.Check, error) {
	e := &examination{}
	h := readHost()
	e.rights()
	e.kernel(h)
	e.cgroups(h)
	e.security(s.cfg.Config)
	s.state(ctx, e)
	s.space(e)
	s.program(e)
	e.forwarding()
	e.packetRules()
	s.sources(ctx, e)
	return e.checks, ctx.Err()
}

func (e *examination) rights() {
	if os.Geteuid() == 0 {
		e.good("rights", "runs as root")
		return
	}
	e.bad("rights", "run nacre as root: sudo nacre", "runs as user %d, and this engine needs root", os.Geteuid())
}

// oldestKernel is where everything that the engine calls exists: openat2 (5.6)
// is the newest of it.
var oldestKernel = [2]int{5, 6}

func (e *examination) kernel(h host) {
	release := unix.ByteSliceToString(h.uname.Release[:])
	var major, minor int
	if _, err := fmt.Sscanf(release, "%d.%d", &major, &minor); err != nil {
		e.warn("kernel", "", "its version %q cannot be read", release)
	} else if major < oldestKernel[0] || major == oldestKernel[0] && minor < oldestKernel[1] {
		e.bad("kernel", fmt.Sprintf("upgrade to Linux %d.%d or newer", oldestKernel[0], oldestKernel[1]), "Linux %s is too old", release)
	} else {
		e.good("kernel", "Linux %s", release)
	}
	if !lists("/proc/filesystems", "overlay") {
		e.bad("kernel", "load it: modprobe overlay", "no overlay file system")
	}
	for _, ns := range []string{"mnt", "pid", "net", "ipc", "uts"} {
		if !exists("/proc/self/ns/" + ns) {
			e.bad("kernel", "use a kernel with all namespaces", "no %s namespaces", ns)
		}
	}
}

func (e *examination) cgroups(h host) {
	version := "version 1"
	if h.cgroup2 {
		version = "version 2"
	}
	if len(h.controllers) == 0 {
		e.bad("cgroups", "mount them: on most systems systemd does; else mount -t cgroup2 none /sys/fs/cgroup", "none are mounted at /sys/fs/cgroup")
		return
	}
	var missing []string
	for _, c := range []string{"cpu", "cpuset", "memory", "pids"} {
		if !h.has(c) {
			missing = append(missing, c)
		}
	}
	if missing != nil {
		e.warn("cgroups", "limits of these kinds have no effect; the kernel's command line may switch them off (cgroup_disable=)", "%s, without %s", version, strings.Join(missing, ", "))
		return
	}
	e.good("cgroups", "%s, with %s", version, strings.Join(h.controllers, ", "))
}

func (e *examination) security(file config.File) {
	if !exists("/proc/sys/kernel/seccomp/actions_avail") {
		e.warn("security", "use a kernel with CONFIG_SECCOMP_FILTER", "the kernel does not filter system calls: containers may call everything")
	} else {
		e.good("security", "system calls are filtered")
	}
	conf, err := file.Load()
	switch {
	case err != nil || !selinux.Enabled(): // what is wrong with the configuration is a finding of its own
	case !conf.SELinux:
		e.warn("security", "nacre config set selinux-enabled true labels those that are created from then on", "SELinux is on, but containers are not labelled")
	case selinux.Confines():
		e.good("security", "SELinux confines containers")
	default:
		e.warn("security", "use a policy with the types that its lxc_contexts file names", "SELinux is on, but its policy knows no containers: they run without labels")
	}
	switch {
	case apparmor.HasDefault():
		e.good("security", "AppArmor confines containers by profile %s", apparmor.Profile)
	case apparmor.Enabled():
		e.warn("security", "install it: apt-get install apparmor", "AppArmor is on, but apparmor_parser is missing: containers run without a profile")
	}
}

// state checks the database and the folders.
func (s *System) state(ctx context.Context, e *examination) {
	var verdict string
	err := s.cfg.Store.DB.QueryRowContext(ctx, `PRAGMA quick_check(1)`).Scan(&verdict)
	switch {
	case err != nil:
		e.bad("store", "move "+s.cfg.Store.Paths.StateDB()+" away; images and containers are then gone from the lists", "the state file cannot be checked: %v", err)
	case verdict != "ok":
		e.bad("store", "move "+s.cfg.Store.Paths.StateDB()+" away; images and containers are then gone from the lists", "the state file is damaged: %s", verdict)
	default:
		e.good("store", "the state file is sound")
	}
	for _, dir := range []string{s.cfg.Store.Paths.Data, s.cfg.Store.Paths.Exec} {
		if err := unix.Access(dir, unix.W_OK|unix.X_OK); err != nil {
			e.bad("store", "choose another with --data-root and --exec-root", "%s cannot be written: %v", dir, err)
		}
	}
}

// Below this much free space a pull is likely to fail.
const littleSpace = 1 << 30

func (s *System) space(e *examination) {
	dir := s.cfg.Store.Paths.Data
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		e.bad("space", "", "look at the file system of %s: %v", dir, err)
		return
	}
	free := int64(st.Bavail) * st.Bsize
	kind := s.driverStatus()[0][1]
	if st.Type == unix.OVERLAYFS_SUPER_MAGIC {
		e.bad("store", "give it a folder on a disk: --data-root, or a volume where nacre runs in a container", "%s lies on an overlay, which cannot hold another one", dir)
	}
	text := fmt.Sprintf("%s free below %s (%s)", units.HumanSize(float64(free)), dir, kind)
	switch {
	case st.Files > 0 && st.Ffree < st.Files/100:
		e.warn("space", "remove what is not needed: system prune -a", "%s, but fewer than 1%% of the file system's inodes", text)
	case free < littleSpace:
		e.warn("space", "remove what is not needed: system prune -a, trash empty", "only %s", text)
	default:
		e.good("space", "%s", text)
	}
}

func (s *System) program(e *examination) {
	if s.cfg.Shim == nil {
		return
	}
	path, err := s.cfg.Shim()
	if err != nil {
		e.bad("programs", "install nacre-shim beside nacre: make install", "%v", err)
		return
	}
	e.good("programs", "containers are run by %s", path)
}

func (e *examination) forwarding() {
	const file = "/proc/sys/net/ipv4/ip_forward"
	if fileIs(file, "1") {
		e.good("network", "IPv4 packets are forwarded")
		return
	}
	e.warn("network", "nothing to do, unless something switches it off again: the first container switches it on", "IPv4 packets are not forwarded yet")
}

// packetRules asks for the kernel's nftables and for a firewall that would
// swallow the containers' packets.
func (e *examination) packetRules() {
	conn, err := nftables.New()
	if err == nil {
		_, err = conn.ListTables()
	}
	if err != nil {
		if errors.Is(err, unix.EPERM) {
			return // told under rights
		}
		e.bad("network", "use a kernel with nftables (modprobe nf_tables), or run with --network host", "published ports and the way out are impossible: %v", err)
		return
	}
	chains, err := conn.ListChains()
	if err != nil {
		e.warn("network", "", "the host's packet rules cannot be read: %v", err)
		return
	}
	var dropping []string
	for _, c := range chains {
		if c.Hooknum != nil && *c.Hooknum == *nftables.ChainHookForward && c.Policy != nil && *c.Policy == nftables.ChainPolicyDrop {
			dropping = append(dropping, c.Table.Name+" "+c.Name)
		}
	}
	if dropping != nil {
		e.warn("network", "docs/networks-and-volumes.md tells which rules let containers through", "a firewall of this host drops forwarded packets: %s", strings.Join(dropping, ", "))
		return
	}
	e.good("network", "packet rules work, and no firewall drops forwarded packets")
}

func (s *System) sources(ctx context.Context, e *examination) {
	if s.cfg.Mirrors != nil {
		mirrors, err := s.cfg.Mirrors(ctx)
		switch {
		case err != nil:
			e.bad("registries", "mend or remove the file", "the list of mirrors cannot be read: %v", err)
		case len(mirrors) > 0:
			e.good("registries", "mirrors for %d (`mirror test` asks them)", len(mirrors))
		}
	}
	_, warnings, err := s.cfg.Config.Check()
	if err != nil {
		e.bad("configuration", "", "%v", err)
	}
	for _, w := range warnings {
		e.warn("configuration", "", "%s", w)
	}
}

// lists tells whether a word is the last of a line of a file, as in /proc/filesystems.
func lists(path, word string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	for sc := bufio.NewScanner(f); sc.Scan(); {
		if fields := strings.Fields(sc.Text()); len(fields) > 0 && fields[len(fields)-1] == word {
			return true
		}
	}
	return false
}
