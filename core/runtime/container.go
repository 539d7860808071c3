//go:build cgo

// Package runtime runs one container through runc's libcontainer and is the
// only package that imports it: its Go API is covered by no promise, so all
// that depends on it is in this folder.
//
// libcontainer re-executes the binary it lives in as the container's init.
// That is why it lives in nacre-shim and nowhere else, and why main calls Init
// before anything else.
//
// Every method that changes the container is to be called on one locked OS
// thread (see core/shim): the thread's mount namespace is where the root is
// mounted, and where processes are forked from.
package runtime

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/opencontainers/cgroups"
	_ "github.com/opencontainers/cgroups/devices" // device rules are left out without it
	"github.com/opencontainers/runc/libcontainer"
	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/specconv"
	"github.com/opencontainers/runtime-spec/specs-go"
	"golang.org/x/sys/unix"
)

// Init is the container's init, for a process that was started with the
// argument "init". It does not return.
func Init() { libcontainer.Init() }

// Warm does once what the first start would do: JSON learns the configuration's
// type, and the os package whether the kernel has pidfds.
func Warm() {
	_, _ = json.Marshal(configs.Config{})
	if self, err := os.FindProcess(os.Getpid()); err == nil {
		_ = self.Release()
	}
}

// Warn receives what did not go as asked and does not stop the container.
type Warn func(format string, args ...any)

// Container is one container, not yet or no longer running after Create and
// Destroy.
type Container struct{ driver }

// driver is what runs containers: libcontainer, or an external runtime.
type driver interface {
	// Run starts the container's init. When all is made ready for the command,
	// it waits for ready; after an error of that the command does not run.
	Run(stdio Stdio, ready func() error) (*Process, error)
	// Exec starts a further process in the running container.
	Exec(p *specs.Process, stdio Stdio) (*Process, error)
	// Signal sends a signal to the init. SIGKILL takes all processes along where
	// the container has no process id namespace of its own. An init that has ended
	// gives os.ErrProcessDone, whether or not its end was waited for yet.
	Signal(sig unix.Signal) error
	// Processes lists the process ids in the container's cgroup.
	Processes() ([]int, error)
	// Pause freezes all processes.
	Pause() error
	// Resume lets them go on; it is no error if they do already, as after a SIGKILL.
	Resume() error
	// Update puts other limits on the running container, and into the
	// specification for the next start.
	Update(resources *specs.LinuxResources) error
	// Destroy ends what still runs and removes the cgroups and the runtime's state.
	Destroy() error
	// OOMKills counts the processes that the kernel killed for want of memory
	// within the container's limit. Call it before Destroy.
	OOMKills() (uint64, error)
}

// native runs a container with libcontainer.
type native struct {
	lc   *libcontainer.Container
	spec *specs.Spec
	id   string
	warn Warn
}

// Create prepares a container: it makes a folder for libcontainer's state
// below stateRoot, and nothing else. Spec.Root.Path is the mounted root. Spec
// is changed where this host cannot do what it asks (limits above the hard
// limit) and kept.
func Create(id, stateRoot string, spec *specs.Spec, warn Warn) (*Container, error) {
	if err := validate(spec); err != nil {
		return nil, err
	}
	clampToHost(spec.Process, warn)
	config, err := specconv.CreateLibcontainerConfig(&specconv.CreateOpts{CgroupName: id, Spec: spec})
	if err != nil {
		return nil, err
	}
	shorten(config.Seccomp)
	lc, err := libcontainer.Create(stateRoot, id, config)
	if errors.Is(err, libcontainer.ErrExist) { // a shim that was killed left it; the lock is ours
		if err = os.RemoveAll(filepath.Join(stateRoot, id)); err == nil {
			lc, err = libcontainer.Create(stateRoot, id, config)
		}
	}
	if err != nil {
		return nil, err
	}
	return &Container{&native{lc: lc, spec: spec, id: id, warn: warn}}, nil
}

func validate(spec *specs.Spec) error {
	switch {
	case spec.Process == nil:
		return errors.New("process property must not be empty")
	case len(spec.Process.Args) == 0:
		return errors.New("args must not be empty")
	case !filepath.IsAbs(spec.Process.Cwd):
		return errors.New("the working directory must be an absolute path")
	case spec.Linux == nil:
		return errors.New("linux property must not be empty")
	}
	return nil
}

func (c *native) Run(stdio Stdio, ready func() error) (*Process, error) {
	return c.run(c.spec.Process, stdio, func(lp *libcontainer.Process) error {
		lp.Init = true
		if err := c.lc.Start(lp); err != nil {
			return err
		}
		err := ready()
		if err == nil {
			err = c.lc.Exec()
		}
		if err != nil {
			kill(lp)
		}
		return err
	})
}

func (c *native) Exec(p *specs.Process, stdio Stdio) (*Process, error) {
	clampToHost(p, c.warn)
	return c.run(p, stdio, c.lc.Run)
}

func (c *native) Signal(sig unix.Signal) error {
	err := c.lc.Signal(sig)
	if errors.Is(err, libcontainer.ErrNotRunning) {
		return os.ErrProcessDone
	}
	return err
}

func (c *native) Processes() ([]int, error) { return c.lc.Processes() }

func (c *native) Pause() error { return c.lc.Pause() }

func (c *native) Resume() error {
	if err := c.lc.Resume(); !errors.Is(err, libcontainer.ErrNotPaused) {
		return err
	}
	return nil
}

func (c *native) Update(resources *specs.LinuxResources) error {
	c.spec.Linux.Resources = resources
	want, err := specconv.CreateCgroupConfig(&specconv.CreateOpts{CgroupName: c.id, Spec: c.spec}, nil)
	if err != nil {
		return err
	}
	config := c.lc.Config()
	group := *config.Cgroups
	group.Resources = want.Resources
	group.Resources.SkipDevices = true // the rules stay as they are; nothing here can change them
	config.Cgroups = &group
	err = c.lc.Set(config)
	group.Resources.SkipDevices = false // or no further process could be started
	return err
}

func (c *native) Destroy() error { return c.lc.Destroy() }

func (c *native) OOMKills() (uint64, error) {
	state, err := c.lc.State()
	if err != nil {
		return 0, err
	}
	if cgroups.IsCgroup2UnifiedMode() {
		return oomKills(state.CgroupPaths[""], "memory.events")
	}
	return oomKills(state.CgroupPaths["memory"], "memory.oom_control")
}

// oomKills reads the counter that both versions of cgroups call oom_kill.
func oomKills(dir, file string) (uint64, error) {
	if dir == "" {
		return 0, nil // no memory controller
	}
	data, err := cgroups.ReadFile(dir, file)
	if err != nil {
		return 0, err
	}
	return parseCounter(data, "oom_kill")
}

func newProcess(p *specs.Process) (*libcontainer.Process, error) {
	lp := &libcontainer.Process{
		Args:            p.Args,
		Env:             p.Env,
		UID:             int(p.User.UID),
		GID:             int(p.User.GID),
		Cwd:             p.Cwd,
		Label:           p.SelinuxLabel,
		NoNewPrivileges: &p.NoNewPrivileges,
		AppArmorProfile: p.ApparmorProfile,
		Scheduler:       p.Scheduler,
		IOPriority:      p.IOPriority,
		LogLevel:        "3", // warnings and worse
	}
	for _, gid := range p.User.AdditionalGids {
		lp.AdditionalGroups = append(lp.AdditionalGroups, int(gid))
	}
	if p.ConsoleSize != nil {
		lp.ConsoleWidth, lp.ConsoleHeight = uint16(p.ConsoleSize.Width), uint16(p.ConsoleSize.Height)
	}
	if caps := p.Capabilities; caps != nil {
		lp.Capabilities = &configs.Capabilities{
			Bounding: caps.Bounding, Effective: caps.Effective, Inheritable: caps.Inheritable,
			Permitted: caps.Permitted, Ambient: caps.Ambient,
		}
	}
	for _, rl := range p.Rlimits {
		resource, ok := rlimits[rl.Type]
		if !ok {
			return nil, fmt.Errorf("wrong rlimit value: %s", rl.Type)
		}
		lp.Rlimits = append(lp.Rlimits, configs.Rlimit{Type: resource, Hard: rl.Hard, Soft: rl.Soft})
	}
	affinity, err := configs.ConvertCPUAffinity(p.ExecCPUAffinity)
	if err != nil {
		return nil, err
	}
	lp.CPUAffinity = affinity
	return lp, nil
}
