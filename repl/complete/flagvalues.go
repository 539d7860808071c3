package complete

import (
	"context"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/nacre-sh/nacre/plugins"
)

// pairs makes candidates of texts and, after a tab, what they mean.
func pairs(lines ...string) []plugins.Candidate { return candidates(lines) }

var (
	durations = pairs("5s", "30s", "1m", "5m", "1h")
	moments   = pairs("10m\tago", "1h\tago", "24h\tago", "168h\ta week ago", "now")
	rates     = pairs("1mb", "10mb", "100mb")
)

// examples are values of options that are not names of anything: what is most
// often meant, or the form of it.
var examples = map[string][]plugins.Candidate{
	"publish": pairs("8080:80\tthe host's port, the container's", "80:80", "443:443", "127.0.0.1:8080:80\tthis machine only", "8080:80/udp", "53:53/udp"),
	"expose":  pairs("80", "443", "8080", "53/udp"),
	"security-opt": pairs("no-new-privileges\tset-user-ID programs gain nothing", "seccomp=unconfined\tevery system call", "seccomp=\ta profile: a file of JSON", "apparmor=unconfined",
		"apparmor=\ta profile that is loaded", "label=disable\tSELinux: no confinement", "systempaths=unconfined\t/proc and /sys without masks"),
	"log-opt": pairs("max-size=10m\ta new file from this size on", "max-file=3\tso many files", "compress=true", "mode=non-blocking\tdrop lines rather than wait", "max-buffer-size=4m",
		"labels=", "env=", "tag="),
	"ulimit":   pairs("nofile=1024:4096\topen files, soft and hard", "nproc=1024\tprocesses", "core=0\tcore dumps", "memlock=-1\tlocked memory", "stack=8388608", "rtprio=99"),
	"sysctl":   pairs("net.ipv4.ip_forward=1", "net.core.somaxconn=1024", "net.ipv4.ip_unprivileged_port_start=0", "net.ipv6.conf.all.disable_ipv6=1", "kernel.shm_rmid_forced=1"),
	"tmpfs":    pairs("/tmp", "/run", "/tmp:rw,size=64m,mode=1777\tpath and options"),
	"dns":      pairs("1.1.1.1", "8.8.8.8", "9.9.9.9", "223.5.5.5\tAliDNS", "119.29.29.29\tDNSPod"),
	"add-host": pairs("host.docker.internal:host-gateway\tthe host"), "host-add": pairs("host.docker.internal:host-gateway"),
	"dns-option": pairs("ndots:1", "timeout:2", "attempts:2", "rotate", "use-vc"), "dns-search": pairs(".\tno search list"),
	"detach-keys":        pairs("ctrl-p,ctrl-q\tdocker's", "ctrl-x", "ctrl-]", "ctrl-@"),
	"group-add":          pairs("audio", "video", "render", "dialout", "docker", "disk"),
	"device-cgroup-rule": pairs("c *:* rwm\tall character devices", "c 188:* rmw\tserial adapters"),
	"device-read-bps":    rates, "device-write-bps": rates,
	"tail": pairs("10", "100", "1000", "all"), "last": pairs("1", "5", "10"), "limit": pairs("5", "10", "25", "100"),
	"since": moments, "until": moments,
	"health-interval": durations, "health-timeout": durations, "health-start-period": durations, "health-start-interval": durations,
	"health-retries": pairs("1", "3", "5"), "health-cmd": pairs("curl -fsS http://localhost/ || exit 1", "pg_isready", "redis-cli ping"),
	"time": pairs("0\tat once", "1", "10\tthe default", "30", "60"), "timeout": pairs("0\tat once", "1", "10\tthe default", "30", "60", "-1\twait"),
	"stop-timeout": pairs("1", "10\tthe default", "30", "60"),
	"change":       pairs("CMD ", "ENTRYPOINT ", "ENV ", "EXPOSE ", "LABEL ", "USER ", "VOLUME ", "WORKDIR ", "STOPSIGNAL ", "HEALTHCHECK "),
	"cpu-shares":   pairs("256", "512", "1024\tthe default", "2048"), "cpuset-cpus": pairs("0", "0-1", "0,2"), "cpuset-mems": pairs("0"),
	"pids-limit": pairs("64", "256", "1024", "-1\twithout limit"), "oom-score-adj": pairs("-500", "0", "500", "1000"), "blkio-weight": pairs("100", "500", "1000"),
	"memory-swappiness": pairs("0", "60", "100"), "umask": pairs("0022", "0027", "0077"),
	"docker": pairs("host=ssh://\tuser@machine", "host=tcp://", "host=unix:///var/run/docker.sock"),
	"arch":   pairs("amd64", "arm64", "arm", "386", "ppc64le", "s390x", "riscv64"), "os": pairs("linux", "windows"), "variant": pairs("v6", "v7", "v8"),
	"ipam-driver": pairs("default"), "driver-opt": pairs("com.docker.network.endpoint.sysctls="),
	"keep": pairs("1h", "24h", "168h\ta week", "0\tnothing waits"), "subnet": pairs("172.30.0.0/16", "10.10.0.0/24", "fd00:1::/64"),
}

// byCommand are examples that hold for one command only.
var byCommand = map[string][]plugins.Candidate{
	"network create driver": pairs("bridge\ta network of this host (the default)", "macvlan\tcontainers with addresses of the host's network", "ipvlan\tso, with the host's MAC address"),
	"volume create driver":  pairs("local"),
	"network create opt": pairs("com.docker.network.bridge.name=", "com.docker.network.driver.mtu=", "com.docker.network.bridge.enable_icc=false", "com.docker.network.bridge.enable_ip_masquerade=false",
		"parent=\tmacvlan, ipvlan: the host's interface", "macvlan_mode=bridge", "ipvlan_mode=l2"),
	"volume create opt":    pairs("type=tmpfs", "type=nfs", "type=none", "device=tmpfs", "device=\twhat is mounted", "o=size=100m", "o=bind", "o=addr="),
	"network create scope": pairs("local", "swarm"), "boot install dir": nil,
}

// hostFiles are options whose value is a file or a folder of the host.
var hostFiles = []string{
	"env-file", "label-file", "cidfile", "iidfile", "file", "input", "output", "compose-file", "data", "dir", "htpasswd", "tls-cert", "tls-key", "tlscert", "tlskey", "tlscacert",
	"credential-spec", "checkpoint-dir", "script", "config",
}

// example completes an option's value by the tables. Options that take free
// text get no files of the host: those are never meant.
func (c *Completer) example(ctx context.Context, t *typing) (answer, bool) {
	path, name := short(t.path), t.flag.Name
	none := plugins.Directive{NoFiles: true, KeepOrder: true}
	list, known := byCommand[path+" "+name]
	if !known {
		list, known = examples[name]
	}
	switch {
	case known:
		none.NoSpace = slices.ContainsFunc(Choose(list, t.word), func(c plugins.Candidate) bool {
			return strings.HasSuffix(c.Text, "=") || strings.HasSuffix(c.Text, " ")
		})
		return answer{list: list, d: none}, true
	case name == "sort":
		return answer{list: columns(path), d: none}, true
	case name == "runtime":
		return answer{list: c.engine(t.globals).runtimes(ctx), d: none}, true
	case name == "device":
		return devices(t.word), true
	case name == "link":
		list = c.objects(ctx, c.engine(t.globals), anyContainer, t.word)
		return answer{list: list, d: plugins.Directive{NoFiles: true, NoSpace: true}}, true
	case name == "tag" && path == "build", name == "cache-from":
		return answer{list: c.objects(ctx, c.engine(t.globals), imageName, t.word), d: plugins.Directive{NoFiles: true}}, true
	case t.asksCommand() || slices.Contains(hostFiles, name):
		return answer{}, false
	}
	return answer{d: plugins.Directive{NoFiles: true}}, true
}

// asksCommand tells whether the command itself, or a plugin behind it, says
// what the option's value can be.
func (t *typing) asksCommand() bool {
	_, registered := t.cmd.GetFlagCompletionFunc(t.flag.Name)
	return registered || len(t.flag.Annotations) > 0 || !builtIn[firstWord(t.path)]
}

func firstWord(path string) string {
	word, _, _ := strings.Cut(path, " ")
	return word
}

// builtIn are the commands whose options are all known here.
var builtIn = func() map[string]bool {
	m := map[string]bool{}
	for _, name := range strings.Fields(`attach build builder checkpoint commit container context cp create diff events exec export history image images import info inspect kill
		load login logout logs manifest network node pause port ps pull push rename restart rm rmi run save search secret service stack start stats stop system tag top unpause
		update version volume wait mirror registry boot trash undo serve`) {
		m[name] = true
	}
	return m
}()

// sortColumns are the tables' columns by command; -NAME is the other way round.
var sortColumns = map[string]string{
	"ps": "created names image status command ports container-id size", "images": "size created repository tag image-id", "volume ls": "volume-name driver size",
	"network ls": "name driver scope network-id", "context ls": "name description docker-endpoint error", "search": "stars name description official",
	"history": "size created created-by image comment",
}

func columns(path string) (list []plugins.Candidate) {
	for _, name := range strings.Fields(sortColumns[path]) {
		list = append(list, plugins.Candidate{Text: name})
	}
	for _, name := range strings.Fields(sortColumns[path]) {
		list = append(list, plugins.Candidate{Text: "-" + name, Description: "the other way round"})
	}
	return list
}

// runtimes are those that the engine knows.
func (e *engine) runtimes(ctx context.Context) (list []plugins.Candidate) {
	ctx, cancel := context.WithTimeout(ctx, insideTime)
	defer cancel()
	var info struct {
		Runtimes       map[string]struct{ Path string }
		DefaultRuntime string
	}
	if e.get(ctx, "/info", nil, &info) != nil {
		return nil
	}
	for name, r := range info.Runtimes {
		about := r.Path
		if name == info.DefaultRuntime {
			about = "the default"
		}
		list = append(list, plugins.Candidate{Text: name, Description: about})
	}
	slices.SortFunc(list, func(a, b plugins.Candidate) int { return strings.Compare(a.Text, b.Text) })
	return list
}

// devices completes --device: what is often passed through, or any path.
func devices(word string) answer {
	var list []plugins.Candidate
	for _, pattern := range []string{"/dev/dri", "/dev/kvm", "/dev/fuse", "/dev/net/tun", "/dev/snd", "/dev/ttyUSB*", "/dev/ttyACM*", "/dev/video*", "/dev/nvidia*", "/dev/null", "/dev/loop-control"} {
		found, _ := filepath.Glob(pattern) // the patterns are sound
		for _, f := range found {
			list = append(list, plugins.Candidate{Text: f})
		}
	}
	if len(Choose(list, word)) > 0 && word != "/dev/" || !strings.HasPrefix(word, "/") {
		return answer{list: list, d: plugins.Directive{NoFiles: true, KeepOrder: true}}
	}
	if _, err := os.Stat(filepath.Dir(word)); err != nil {
		return answer{d: plugins.Directive{NoFiles: true}}
	}
	return answer{d: plugins.Directive{Files: true}}
}

// removed lists what `undo` can bring back.
func (e *engine) removed(ctx context.Context) (list []plugins.Candidate) {
	ctx, cancel := context.WithTimeout(ctx, insideTime)
	defer cancel()
	var trash struct {
		Items []struct {
			Kind, ID, Operation string
			Names               []string
		}
	}
	if e.get(ctx, "/nacre/trash", url.Values{}, &trash) != nil {
		return nil
	}
	for _, i := range trash.Items {
		about := i.Kind + ", " + i.Operation
		named := false
		for _, n := range i.Names {
			if !strings.Contains(n, "@") {
				named = true
				list = append(list, plugins.Candidate{Text: strings.TrimSuffix(n, ":latest"), Description: about})
			}
		}
		if id := strings.TrimPrefix(i.ID, "sha256:"); !named && len(id) >= shortID {
			list = append(list, plugins.Candidate{Text: id[:shortID], Description: about})
		}
	}
	return list
}

// settingNames are the keys of the engine's configuration; docs/configuration.md explains them.
var settingNames = candidates(strings.Fields(`bip bip6 cdi-spec-dirs cgroup-parent data-root debug default-address-pools default-cgroupns-mode default-ipc-mode default-runtime default-shm-size
	default-ulimits dns dns-opts dns-search exec-root host-gateway-ips hosts init insecure-registries ip ipv6 labels log-driver log-opts max-concurrent-downloads
	max-concurrent-uploads max-download-attempts mtu no-new-privileges proxies registry-mirrors runtimes seccomp-profile`))
