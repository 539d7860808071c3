package complete

import (
	"runtime"
	"strings"
	"sync"

	"github.com/moby/sys/capability"

	"github.com/nacre-sh/nacre/plugins"
)

// This file holds docker's words that its own completion does not know, or
// knows without saying what they mean.

// filterKey is one key of --filter with what its value can be.
type filterKey struct {
	name, about string
	values      []string
	object      what
}

var yesNo = []string{"true", "false"}

// filters are the keys by command.
var filters = map[string][]filterKey{
	"ps": {
		{name: "ancestor", about: "made of this image or one below it", object: imageName},
		{name: "before", about: "made before this container", object: anyContainer},
		{name: "since", about: "made after this container", object: anyContainer},
		{name: "exited", about: "ended with this status", values: []string{"0", "1", "125", "126", "127", "137", "143"}},
		{name: "expose", about: "exposes this port"}, {name: "publish", about: "publishes this port"},
		{name: "health", about: "state of its health check", values: []string{"starting", "healthy", "unhealthy", "none"}},
		{name: "id", about: "its id"}, {name: "name", about: "a part of its name", object: anyContainer},
		{name: "is-task", about: "belongs to a service", values: yesNo}, {name: "isolation", about: "Windows only"},
		{name: "label", about: "has this label: key or key=value"},
		{name: "network", about: "is in this network", object: networkName}, {name: "volume", about: "has this volume or mount", object: volumeName},
		{name: "status", about: "its state", values: []string{"created", "restarting", "running", "removing", "paused", "exited", "dead"}},
	},
	"images": {
		{name: "before", about: "made before this image", object: imageName}, {name: "since", about: "made after this image", object: imageName},
		{name: "dangling", about: "without a name", values: yesNo}, {name: "label", about: "has this label: key or key=value"},
		{name: "reference", about: "its name matches this pattern", object: imageName},
		{name: "until", about: "older than a time or duration"},
	},
	"volume ls": {
		{name: "dangling", about: "used by no container", values: yesNo}, {name: "driver", about: "its driver", values: []string{"local"}},
		{name: "label", about: "has this label"}, {name: "name", about: "a part of its name", object: volumeName},
	},
	"network ls": {
		{name: "dangling", about: "used by no container", values: yesNo}, {name: "driver", about: "its driver", values: []string{"bridge", "host", "null", "ipvlan", "macvlan", "overlay"}},
		{name: "id", about: "its id"}, {name: "label", about: "has this label"}, {name: "name", about: "a part of its name", object: networkName},
		{name: "scope", about: "where it reaches", values: []string{"local", "swarm", "global"}}, {name: "type", about: "made by the user or built in", values: []string{"custom", "builtin"}},
	},
	"search": {
		{name: "is-official", about: "official images", values: yesNo}, {name: "is-automated", about: "deprecated", values: yesNo},
		{name: "stars", about: "at least so many stars", values: []string{"10", "100", "1000"}},
	},
	"events": {
		{name: "type", about: "kind of object", values: []string{"container", "image", "volume", "network", "daemon", "plugin", "builder"}},
		{name: "event", about: "what happens", values: []string{"create", "start", "die", "stop", "kill", "destroy", "pause", "unpause", "rename", "restart", "oom", "exec_start", "health_status", "pull", "push", "tag", "untag", "delete", "load", "import", "save", "connect", "disconnect", "mount", "unmount", "prune"}},
		{name: "container", about: "this container", object: anyContainer}, {name: "image", about: "this image", object: imageName},
		{name: "volume", about: "this volume", object: volumeName}, {name: "network", about: "this network", object: networkName},
		{name: "label", about: "has this label"}, {name: "scope", about: "where it reaches", values: []string{"local", "swarm"}},
	},
	"container prune": pruneKeys, "image prune": append([]filterKey{{name: "dangling", about: "without a name only", values: yesNo}}, pruneKeys...),
	"network prune": pruneKeys, "system prune": pruneKeys,
	"volume prune": {{name: "all", about: "named volumes too", values: yesNo}, {name: "label", about: "has this label"}, {name: "label!", about: "has not this label"}},
}

var pruneKeys = []filterKey{
	{name: "until", about: "older than a time or duration", values: []string{"1h", "24h", "168h", "720h"}},
	{name: "label", about: "has this label"}, {name: "label!", about: "has not this label"},
}

// fields are what templates of --format can show.
var fields = map[string][]string{
	"ps":         {"ID", "Image", "Command", "CreatedAt", "RunningFor", "Ports", "State", "Status", "Size", "Names", "Labels", "Label", "Mounts", "Networks", "LocalVolumes", "Platform"},
	"images":     {"ID", "Repository", "Tag", "Digest", "CreatedSince", "CreatedAt", "Size", "Containers", "SharedSize", "UniqueSize", "VirtualSize"},
	"volume ls":  {"Name", "Driver", "Scope", "Mountpoint", "Labels", "Label", "Links", "Size", "Status", "Availability", "Group"},
	"network ls": {"ID", "Name", "Driver", "Scope", "IPv6", "IPv4", "Internal", "Labels", "Label", "CreatedAt"},
	"stats":      {"Container", "Name", "ID", "CPUPerc", "MemUsage", "NetIO", "BlockIO", "MemPerc", "PIDs"},
	"history":    {"ID", "CreatedSince", "CreatedAt", "CreatedBy", "Size", "Comment"},
	"search":     {"Name", "Description", "StarCount", "IsOfficial", "IsAutomated"},
	"system df":  {"Type", "TotalCount", "Active", "Size", "Reclaimable"},
	"events":     {"Type", "Action", "Actor.ID", "Actor.Attributes", "Scope", "Time", "TimeNano"},
	"version":    {"Client.Version", "Client.APIVersion", "Client.GoVersion", "Client.Os", "Client.Arch", "Server.Version", "Server.APIVersion", "Server.Os", "Server.Arch"},
	"info":       {"ID", "Containers", "ContainersRunning", "ContainersPaused", "ContainersStopped", "Images", "Driver", "CgroupVersion", "CgroupDriver", "KernelVersion", "OperatingSystem", "Architecture", "NCPU", "MemTotal", "DockerRootDir", "Name", "ServerVersion", "SecurityOptions", "RegistryConfig.Mirrors"},
	"inspect":    {"Id", "Name", "Created", "State.Status", "State.Pid", "State.ExitCode", "State.Running", "State.Health.Status", "Image", "Config.Image", "Config.Env", "Config.Cmd", "Config.Entrypoint", "Config.Labels", "Config.WorkingDir", "Config.User", "HostConfig.RestartPolicy.Name", "HostConfig.Binds", "Mounts", "NetworkSettings.IPAddress", "NetworkSettings.Ports", "NetworkSettings.Networks", "LogPath", "RepoTags", "RepoDigests", "Size", "Architecture", "Os", "RootFS.Layers"},
	"context ls": {"Name", "Description", "DockerEndpoint", "Current", "Error"},
}

// fixed are values by the name of the option.
var fixed = map[string][]plugins.Candidate{
	"restart": {
		{Text: "no", Description: "never"}, {Text: "on-failure", Description: "when it ends with an error; on-failure:5 at most five times"},
		{Text: "always", Description: "also at boot, unless removed"}, {Text: "unless-stopped", Description: "like always, but not once it was stopped"},
	},
	"platform": platforms(),
	"pull": {
		{Text: "missing", Description: "when it is not local (the default)"}, {Text: "always", Description: "each time"}, {Text: "never", Description: "fail when it is not local"},
	},
	"userns": {{Text: "host", Description: "no user namespace"}}, "uts": {{Text: "host", Description: "the host's name"}},
	"cgroupns": {{Text: "private", Description: "its own"}, {Text: "host", Description: "the host's"}},
	"log-driver": {
		{Text: "json-file", Description: "a file of JSON lines (the default)"}, {Text: "local", Description: "a file in a form of its own"},
		{Text: "none", Description: "no logs"}, {Text: "journald", Description: "systemd's journal"}, {Text: "syslog", Description: "the syslog"},
	},
	"gpus": {{Text: "all", Description: "every GPU"}}, "isolation": {{Text: "default"}},
	"memory": sizes, "memory-swap": sizes, "memory-reservation": sizes, "shm-size": sizes,
	"cpus":        {{Text: "0.5"}, {Text: "1"}, {Text: "2"}, {Text: "4"}},
	"stop-signal": signals, "signal": signals,
	"attach": {{Text: "STDIN"}, {Text: "STDOUT"}, {Text: "STDERR"}},
	"user":   {{Text: "root"}, {Text: "nobody"}, {Text: "1000:1000"}},
}

var sizes = []plugins.Candidate{{Text: "64m"}, {Text: "128m"}, {Text: "256m"}, {Text: "512m"}, {Text: "1g"}, {Text: "2g"}, {Text: "4g"}}

var signals = []plugins.Candidate{
	{Text: "SIGTERM", Description: "end, please (15)"}, {Text: "SIGKILL", Description: "end at once (9)"}, {Text: "SIGINT", Description: "Ctrl-C (2)"},
	{Text: "SIGHUP", Description: "read the configuration again, often (1)"}, {Text: "SIGQUIT", Description: "end, with a core dump (3)"},
	{Text: "SIGUSR1", Description: "the program's own (10)"}, {Text: "SIGUSR2", Description: "the program's own (12)"},
	{Text: "SIGSTOP", Description: "halt (19)"}, {Text: "SIGCONT", Description: "go on (18)"}, {Text: "SIGWINCH", Description: "the window changed; nginx and httpd: end gracefully (28)"},
	{Text: "SIGABRT", Description: "6"}, {Text: "SIGALRM", Description: "14"}, {Text: "SIGCHLD", Description: "17"}, {Text: "SIGPIPE", Description: "13"},
	{Text: "SIGSEGV", Description: "11"}, {Text: "SIGTSTP", Description: "20"}, {Text: "SIGTTIN", Description: "21"}, {Text: "SIGTTOU", Description: "22"},
}

// modes are the namespaces that can be shared.
var modes = map[string][]plugins.Candidate{
	"pid": {{Text: "host", Description: "the host's processes"}, {Text: "container:", Description: "another container's"}},
	"ipc": {{Text: "private", Description: "its own"}, {Text: "shareable", Description: "its own, others may join"}, {Text: "host", Description: "the host's"},
		{Text: "none", Description: "without /dev/shm"}, {Text: "container:", Description: "another container's"}},
}

var mountOptions = []plugins.Candidate{
	{Text: "ro", Description: "read-only"}, {Text: "rw", Description: "read and write (the default)"}, {Text: "z", Description: "SELinux: shared label"},
	{Text: "Z", Description: "SELinux: private label"}, {Text: "nocopy", Description: "do not fill a new volume from the image"},
	{Text: "rshared"}, {Text: "rslave"}, {Text: "rprivate"}, {Text: "cached"}, {Text: "delegated"}, {Text: "consistent"},
}

var mountTypes = []plugins.Candidate{
	{Text: "bind", Description: "a path of the host"}, {Text: "volume", Description: "a volume"}, {Text: "tmpfs", Description: "memory"}, {Text: "image", Description: "the files of an image"},
}

var mountKeys = []plugins.Candidate{
	{Text: "type=", Description: "bind, volume, tmpfs, image"}, {Text: "source=", Description: "volume, or path of the host"}, {Text: "target=", Description: "path in the container"},
	{Text: "readonly", Description: "read-only"}, {Text: "volume-nocopy", Description: "do not fill a new volume"}, {Text: "volume-driver="}, {Text: "volume-opt="},
	{Text: "volume-subpath="}, {Text: "bind-propagation="}, {Text: "bind-create-src"}, {Text: "tmpfs-size="}, {Text: "tmpfs-mode="},
}

func platforms() []plugins.Candidate {
	list := []plugins.Candidate{{Text: "linux/" + runtime.GOARCH, Description: "this machine"}}
	for _, p := range []string{"linux/amd64", "linux/arm64", "linux/arm/v7", "linux/arm/v6", "linux/386", "linux/ppc64le", "linux/s390x", "linux/riscv64", "linux/mips64le"} {
		list = add(list, p, "")
	}
	list[0].Description = "this machine"
	return list
}

// capabilities are those that the kernel's headers know, as docker writes them.
var capabilities = sync.OnceValue(func() []plugins.Candidate {
	list := []plugins.Candidate{{Text: "ALL", Description: "every one"}}
	for _, c := range capability.ListKnown() {
		name := strings.ToUpper(c.String())
		list = append(list, plugins.Candidate{Text: name, Description: capabilityUse[name]})
	}
	return list
})

var capabilityUse = map[string]string{
	"NET_ADMIN": "interfaces, routes, packet filters", "NET_RAW": "raw sockets (ping)", "NET_BIND_SERVICE": "ports below 1024", "SYS_ADMIN": "mount and much else: nearly root",
	"SYS_PTRACE": "debug other processes", "SYS_TIME": "set the clock", "SYS_MODULE": "load kernel modules", "SYS_NICE": "priorities", "SYS_RESOURCE": "raise limits",
	"CHOWN": "change owners", "DAC_OVERRIDE": "ignore file permissions", "FOWNER": "act as a file's owner", "SETUID": "change the user", "SETGID": "change the group",
	"SETPCAP": "change capabilities", "KILL": "signal any process", "MKNOD": "make device files", "SYS_CHROOT": "chroot", "AUDIT_WRITE": "write the audit log",
	"SETFCAP": "set capabilities of files", "IPC_LOCK": "lock memory", "BPF": "load BPF programs", "PERFMON": "performance monitoring", "SYSLOG": "read the kernel log",
}
