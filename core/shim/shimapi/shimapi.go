// Package shimapi is the contract between the engine and nacre-shim, the small
// process that is the parent of one container's init. The shim keeps the
// container's streams, log and exit status when the nacre that started it is
// gone. The engine reaches it over a unix socket in the container's run folder.
//
// Life of a shim:
//
//	Spawn  → idle:    a process with a fresh network namespace (lo up), listening on
//	                  nothing, kept warm or used at once; it ends with the nacre that spawned it
//	Bind   → bound:   it belongs to a container: locks <run>/lock, listens on <run>/shim.sock;
//	                  clients may attach and wait already
//	Start  → running: mounts the root in a mount namespace of its own, copied from the host's at
//	                  this moment, runs the init through libcontainer, writes <run>/state.json;
//	                  a held start makes the init and runs its command after Release
//	init ends → exited: writes <data>/containers/<id>/exit.json, answers the waiters, cleans up, ends
//
// A shim that is bound and never started ends when its last client leaves.
// The lock tells life from death without a race on process ids: who gets it
// has found a dead shim. It is let go of as the shim's very last deed, so a
// Bind for the same container waits for the shim of its previous run.
//
// The socket speaks one JSON request line per connection, answered by one JSON
// line; Attach and Exec then turn the connection into a byte stream, and Wait
// answers twice: an empty line at once (it is registered), the Exit later.
package shimapi

import (
	"time"

	"github.com/opencontainers/runtime-spec/specs-go"
)

// Version is the contract's version; a running shim of another version is
// still listed, waited for and killed.
const Version = 1

// DefaultCgroupParent is where containers' cgroups lie in every hierarchy.
const DefaultCgroupParent = "nacre"

// Files in the run folder, and in the lasting folder (ExitFile).
const (
	SocketFile = "shim.sock"
	LockFile   = "lock"
	StateFile  = "state.json"
	ExitFile   = "exit.json"
	HealthFile = "health.json" // HealthLog, in the lasting folder: the last results outlive the run
)

// ExecsDir is the folder in the run folder where execs wait that were created
// and not started, a file named by its id for each. The engine writes them for
// its other processes. The shim removes an exec's file when it takes the exec, so that it runs
// once whoever starts it, and all of them when the container ends.
const ExecsDir = "execs"

// ShmDir is the folder in the run folder on which a shim mounts another
// container's /dev/shm, for Spec to bind: where Spec joins an IPC namespace by path.
const ShmDir = "shm"

// Bind makes an idle shim a container's shim.
type Bind struct {
	ID       string
	RunDir   string // <exec-root>/containers/<id>, exists
	StateDir string // <data-root>/containers/<id>, exists
}

// Start is everything that it takes to run the container once.
type Start struct {
	// Spec is the OCI runtime specification. Root.Path is ignored: Rootfs says
	// it. Linux.Namespaces' network entry with an empty path means the
	// namespace that the shim made while it was idle.
	// An empty Linux.CgroupsPath becomes /<CgroupParent>/<id>.
	Spec   *specs.Spec
	Rootfs Rootfs
	// Sources are folders that are put together for Spec's binds before anything
	// runs. FreshMounts: what the host has mounted since the Bind matters.
	Sources     []Source
	FreshMounts bool
	Files       []File // written by the engine for this container and bind-mounted by Spec (hosts, resolv.conf, hostname)
	// Held: everything is made ready, but the container's command does not run
	// before Release, nor at all when this request's connection ends before.
	Held bool `json:",omitempty"`

	Runtime      *Runtime // an external OCI runtime; nil: libcontainer
	CgroupParent string   // docker's --cgroup-parent; empty: nacre
	Terminal     bool
	OpenStdin    bool    // keep stdin open without a client
	StdinOnce    bool    // close stdin when the first client that had it leaves
	ConsoleSize  [2]uint // rows, columns

	Log         Log
	Restart     Restart
	Health      *Health `json:",omitempty"` // nil: no health check
	Again       *Again  `json:",omitempty"` // nil: a user starts it
	AutoRemove  bool    // the writable layer is deleted by the shim after the end
	EventLog    string  // events.jsonl that start (each, so that none comes after its die), die, oom and detach are appended to; empty: none
	Name, Image string  // for events
	Labels      map[string]string
}

// Source is a folder that is mounted on Target, an empty folder in the run
// folder: several Lower as a read-only overlay, topmost first, one as it is, or
// the Subpath within, which cannot lead out of it. Shared is a folder or file of
// the host that shares its mounts both ways.
type Source struct {
	Lower   []string
	Subpath string `json:",omitempty"`
	Target  string
	Shared  bool `json:",omitempty"`
}

// Runtime is a program with the command line of the OCI runtimes.
type Runtime struct {
	Path string   // absolute
	Args []string `json:",omitempty"` // before its command
}

// Rootfs is the container's root, mounted in the shim's own mount namespace,
// so that nothing is left behind when the shim dies.
type Rootfs struct {
	Lower    []string // topmost first
	Upper    string
	Work     string
	Target   string // the folder to mount on
	ReadOnly bool
	Volatile bool   // no fsync: for containers that are removed at their end
	Label    string `json:",omitempty"` // SELinux's, of all that is seen in it; empty: none
}

// File is a small file below StateDir that the shim writes before the start.
type File struct {
	Path    string
	Content []byte
	Mode    uint32
	Label   string `json:",omitempty"` // SELinux's
}

// Restart is docker's restart policy.
type Restart struct {
	Name       string // no, on-failure, always, unless-stopped
	MaxRetries int
}

// Release lets a held start go on.
type Release struct {
	Files []File // Start's, with what was not known then: written into the same files
	// Cancel is why the container is not to run after all; the start fails with it.
	Cancel string `json:",omitempty"`
}

// Again makes a start a restart by policy after an end that no shim was there
// to see: it begins with the policy's pause, and Start answers before that.
type Again struct {
	RestartCount          int // before this one
	ExitCode              int
	StartedAt, FinishedAt time.Time
}

// State is what runs now: <run>/state.json, replaced atomically.
type State struct {
	Version      int
	ID           string
	Status       string // bound, running, paused, restarting, exited
	Pid          int    // of the container's init, in the host's pid namespace
	ShimPid      int
	NetNS        string // path of the network namespace that the shim made, for whoever starts it
	StartedAt    time.Time
	RestartCount int
	Execs        []ExecState  `json:",omitempty"`
	Health       *HealthState `json:",omitempty"` // nil: no health check

	// Of the run before, while a restart is waited for.
	ExitCode   int       `json:",omitempty"`
	FinishedAt time.Time `json:",omitzero"`

	// What a sweep needs to clean up behind a shim that was killed.
	StateDir   string
	CgroupPath string // below every hierarchy's root: /nacre/<id>
	AutoRemove bool
	Stopped    bool
}

// Statuses of State.
const (
	StatusBound      = "bound"
	StatusRunning    = "running"
	StatusPaused     = "paused"
	StatusRestarting = "restarting"
	StatusExited     = "exited"
)

// Exit is how the container ended: <data>/containers/<id>/exit.json, written
// before the waiters hear of it. The engine folds it into its own state.
type Exit struct {
	Version      int
	ID           string
	ExitCode     int // 128+n for signal n
	StartedAt    time.Time
	FinishedAt   time.Time
	OOMKilled    bool
	Error        string // why it could not start or run
	RestartCount int
	Stopped      bool        // by a user's stop or kill: no restart policy applies at boot
	AutoRemoved  bool        // the record and the rest may be deleted
	ShimKilled   bool        `json:",omitempty"` // a sweep says so: the container ended because its shim did
	Execs        []ExecState `json:",omitempty"`
}

// ExecState is a further process in the container.
type ExecState struct {
	ID       string
	Pid      int
	Running  bool
	ExitCode *int

	// What was asked for, for whoever did not ask.
	Args       []string `json:",omitempty"`
	User       string   `json:",omitempty"`
	Terminal   bool     `json:",omitempty"`
	Privileged bool     `json:",omitempty"`
	Streams    Attach   `json:",omitzero"`
}

// Request is the line a client sends; exactly one field is set.
type Request struct {
	Start      *Start      `json:",omitempty"`
	Release    *Release    `json:",omitempty"`
	State      *struct{}   `json:",omitempty"` // answers State
	Bind       *Bind       `json:",omitempty"` // only on the control connection of an idle shim
	Wait       *struct{}   `json:",omitempty"` // answers Exit when the container ends (not at a restart by policy)
	WaitNext   *struct{}   `json:",omitempty"` // answers Exit at the next end of the init
	Attach     *Attach     `json:",omitempty"`
	Kill       *Kill       `json:",omitempty"`
	Pause      *bool       `json:",omitempty"` // true pauses, false goes on
	Hold       *struct{}   `json:",omitempty"` // pauses for as long as the client keeps its half of the connection open; a second answer says that it goes on
	Resize     *Resize     `json:",omitempty"`
	Exec       *Exec       `json:",omitempty"` // runs it; with streams, the connection carries them afterwards
	ExecResize *ExecResize `json:",omitempty"`
	ExecKill   *ExecKill   `json:",omitempty"`
	Update     *Update     `json:",omitempty"`
	Rename     *string     `json:",omitempty"` // the container's new name, for its events
}

// Reply is the line a shim answers. Class is an errdefs class name
// (not_found, conflict, …) and Code docker's 126 or 127 where a command could
// not be run.
type Reply struct {
	Error string `json:",omitempty"`
	Class string `json:",omitempty"`
	Code  int    `json:",omitempty"`
	State *State `json:",omitempty"`
	Exit  *Exit  `json:",omitempty"`
	Pid   int    `json:",omitempty"`
}

// Attach joins the container's streams. After the reply the connection
// carries stdin towards the shim (half-close is end of file) and output from
// it: raw with a terminal, in stdcopy frames without.
type Attach struct {
	Stdin, Stdout, Stderr bool
	DetachKeys            []byte // empty: never detach
}

// Kill sends a signal to the init, or to all processes. Stop marks the end as
// asked for, so that no restart policy brings the container back. The shim
// writes the event.
type Kill struct {
	Signal int
	All    bool
	Stop   bool
}

// Resize sets the terminal's size.
type Resize struct{ Rows, Columns uint }

// ExecResize sets an exec's terminal size.
type ExecResize struct {
	ID string
	Resize
}

// ExecKill sends a signal to an exec's process.
type ExecKill struct {
	ID     string
	Signal int
}

// Exec runs a further process.
type Exec struct {
	ID         string
	Process    *specs.Process
	User       string // as the client named it
	Privileged bool   // as the client asked; Process has the capabilities already
	Streams    Attach
	Detach     bool // reply at once, streams go nowhere
	Prepared   bool `json:",omitempty"` // it waits in ExecsDir, unless somebody else has started it
}

// Update changes limits of a running container.
type Update struct {
	Resources *specs.LinuxResources
	Restart   *Restart
}
