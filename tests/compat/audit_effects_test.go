package compat

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// What a container tells of itself, by topic. Every line is compared.
var topics = map[string]string{
	"user":  `id; id -G; echo "$HOME"; grep -E '^(Uid|Gid|Groups):' /proc/self/status`,
	"place": `pwd; ls -ld . | cut -c1-10; ls -ldn . | awk '{print $3, $4}'; env | grep -v ^HOSTNAME | sort`,
	"rights": `grep -E '^(Cap...|NoNewPrivs|Seccomp):' /proc/self/status; cat /proc/self/oom_score_adj
		umask; for f in /proc/kcore /proc/keys /proc/sys/kernel/hostname /proc/sysrq-trigger /sys/firmware; do ls -ld $f | cut -c1-10; test -w $f && echo writable; done`,
	"limits":  `grep -vE 'processes|signals' /proc/self/limits; ulimit -c; df -k /dev/shm | tail -1 | awk '{print $2}'; cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax /proc/sys/net/ipv4/ip_unprivileged_port_start`,
	"cgroup":  "cd /sys/fs/cgroup; for f in " + cgroupFiles + "; do test -e $f && echo $f && grep -v ^oom_kill.[0-9] $f; done; true",
	"names":   `hostname; cat /etc/hostname /etc/hosts /etc/resolv.conf; cat /proc/sys/kernel/domainname`,
	"devices": `cd /dev; ls -ln | awk '{print $1, $3, $4, $5, $NF}' | grep -v ^total; ls -ln pts | wc -l; for l in fd stdin ptmx core; do readlink $l; done; true`,
	"mounts":  `awk '{s=""; for (i=7; i<=NF; i++) s=s" "$i; print $5, $6, s}' /proc/self/mountinfo`,
	"tree":    `awk '{print "child of", $4}' /proc/$$/stat; tr '\0' ' ' </proc/1/cmdline | grep -o -e '-- /bin/sh' -e '^/bin/sh'`,
	"tty":     `tty; echo "$TERM"; ls -l /dev/console 2>&1 | cut -c1-10; stty size`,
	"spaces":  `for n in pid ipc uts net mnt; do test "$(readlink /proc/self/ns/$n)" = "$(cat /host-ns/$n)" && echo $n of the host; done; true`,
	"files":   `ls -la /data /vol /host /t /t2 2>&1 | awk '{print $1, $3, $4, $NF}'; cat /data/seed; for d in / /data /vol /host /t /t2; do (: > $d/x) 2>/dev/null && echo can write $d; done; true`,
}

// cgroupFiles are the limits, of both kinds of control groups.
const cgroupFiles = "memory/memory.limit_in_bytes memory/memory.memsw.limit_in_bytes memory/memory.soft_limit_in_bytes memory/memory.swappiness " +
	"memory/memory.oom_control cpu/cpu.shares cpu/cpu.cfs_quota_us cpu/cpu.cfs_period_us cpuset/cpuset.cpus cpuset/cpuset.mems pids/pids.max devices/devices.list " +
	"blkio/blkio.throttle.read_bps_device memory.max memory.swap.max memory.low cpu.max cpu.weight cpuset.cpus pids.max"

type effectCase struct {
	flags  string
	topics string
}

var effects = []effectCase{
	{"BUSYBOX", "user place rights limits cgroup devices mounts tree tty"},
	{"FULL", "user place mounts files"},
	{"-u 1001 FULL", "user"},
	{"-u 1001:29 FULL", "user"},
	{"-u ann:audio FULL", "user"},
	{"-u bob --group-add staff --group-add 77 FULL", "user"},
	{"-u :29 FULL", "user"},
	{"-u 4242 -w /new/deep/dir FULL", "user place"},
	{"-u root -e COLOUR=blue -e HOME=/elsewhere -e ADDED=1 -w /home/ann FULL", "user place"},
	{"--cap-add net_admin --cap-add SYS_TIME --cap-drop chown --security-opt no-new-privileges", "rights"},
	{"-u nobody --cap-add net_admin", "rights"},
	{"--cap-drop ALL --security-opt seccomp=unconfined --security-opt systempaths=unconfined --oom-score-adj 500", "rights mounts"},
	{"--pid host --ipc host --uts host -v NS:/host-ns", "spaces"},
	{"--ipc none", "mounts"},
	{"--ulimit nofile=100:200 --ulimit core=0 --ulimit stack=1000000 --sysctl net.ipv4.ip_forward=1 --sysctl kernel.msgmax=100 --shm-size 1m", "limits"},
	{"-m 64m --memory-swap 128m --memory-reservation 32m --cpus .5 -c 512 --cpuset-cpus 0 --cpuset-mems 0 --pids-limit 100 --memory-swappiness 10 --oom-kill-disable", "cgroup"},
	{"-m 64m --memory-swap -1 --cpu-period 50000 --cpu-quota 25000", "cgroup"},
	{"--device /dev/null:/dev/nothing:r --device /dev/zero:/dev/sub/zero --device-cgroup-rule c␣10:200␣rw", "devices cgroup"},
	{"-h box --domainname example.org", "names"},
	{"-h box.example.org --dns 8.8.8.8 --dns-search example.org --dns-option ndots:2 --add-host a:1.2.3.4 --add-host b:::1", "names"},
	{"-u root -v DIR:/host:ro -v /vol --tmpfs /t:size=1m,mode=750 --mount type=tmpfs,dst=/t2,tmpfs-size=64k,tmpfs-mode=1770 FULL", "mounts files"},
	{"--read-only -v DIR:/host --tmpfs /t:exec,uid=5,ro", "mounts files"},
	{"--init", "tree"},
	{"-t", "tty devices"},
	{"--stop-signal USR1 --cgroupns private", "cgroup"},
}

// TestEffects looks at what flags do, from within.
func TestEffects(t *testing.T) {
	dockers, ours := peers(t)
	names := []*strings.Replacer{dockers.others(), ours.others()}
	spaces := t.TempDir()
	for _, kind := range []string{"pid", "ipc", "uts", "net", "mnt"} {
		link, err := os.Readlink("/proc/self/ns/" + kind)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(spaces, kind), []byte(link+"\n"), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	for _, e := range effects {
		t.Run(strings.ReplaceAll(e.flags, "/", "_"), func(t *testing.T) {
			t.Parallel()
			var found [2]map[string]string
			onBoth(t, dockers, ours, func(i int, p peer) {
				args := flagCase{flags: strings.ReplaceAll(e.flags, "NS:", spaces+":")}.args(names[i])
				args = slices.Insert(args, 1, "--rm", "--network", "none", "--entrypoint", "/bin/sh")
				args[0] = "run"
				r := p.docker(append(args, "-c", script(e.topics))...)
				if r.code != 0 {
					t.Fatalf("%s: %+v", p.name, r)
				}
				found[i] = told(r.out)
			})
			for _, d := range differences(found[0], found[1]) {
				if !newerEffects.MatchString(d) {
					t.Error(d)
				}
			}
		})
	}
}

func script(names string) string {
	var text strings.Builder
	for _, name := range strings.Fields(names) {
		text.WriteString("echo '## " + name + "'; (" + topics[name] + "; true) 2>&1\n")
	}
	return text.String()
}

// told gives every line a name that stays the same when others come or go.
func told(out string) map[string]string {
	lines, topic, seen := map[string]string{}, "", map[string]int{}
	for line := range strings.SplitSeq(strings.ReplaceAll(out, "\r", ""), "\n") {
		if name, ok := strings.CutPrefix(line, "## "); ok {
			topic = name
			continue
		}
		line = normalised(line)
		for _, vary := range effectVarying {
			line = vary.what.ReplaceAllString(line, vary.by)
		}
		key := topic + " " + line
		seen[key]++
		lines[key] = strings.Repeat("x", seen[key])
	}
	return maps.Clone(lines)
}

var effectVarying = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`\b[0-9a-f]{12}\b`), "<id12>"},
	{regexp.MustCompile(` (master|shared):\d+`), ""},
	{regexp.MustCompile(`- overlay .*`), "- overlay"},
}

// newerEffects are lines that newer docker has otherwise: what it masks, how runc
// mounts the masks, how Go writes addresses. And one that we have otherwise:
// docker lets a container that makes the node use the machine's console.
var newerEffects = regexp.MustCompile(`^mounts /(proc/(acpi|asound|interrupts|scsi)|sys/(firmware|devices/virtual/powercap)) |^names f[ef]00::|^cgroup c 5:1 rwm`)
