// Package spec turns docker's description of a container (image config,
// Config, HostConfig) into an OCI runtime specification: what the process is,
// which namespaces it gets, what is mounted, and what it may do. It decides
// everything that docker's daemon decides here and touches nothing: it reads
// the container's own /etc/passwd through an opener that the caller confines,
// and the host's facts from Host.
//
// Anything of HostConfig that is not served is refused by Validate when the
// container is created, so that no option is ignored in silence.
package spec

import (
	"fmt"
	"io"

	"github.com/moby/moby/api/types/container"
	"github.com/opencontainers/runtime-spec/specs-go"
)

// Opener opens a file of the container's root; a missing one gives an error
// that is fs.ErrNotExist. Links must not lead out of the root.
type Opener func(path string) (io.ReadCloser, error)

// Mount is a mount that the user or the image asked for, resolved on the host.
type Mount struct {
	Type        string   // bind or tmpfs
	Source      string   // host path of a bind
	Destination string   // absolute, clean path in the container
	ReadOnly    bool     //
	Options     []string // further mount options: propagation, size=…, mode=…
	Recursive   bool     // bind submounts too

	FlatReadOnly  bool // read-only does not extend to submounts
	ForceReadOnly bool // it must, or the start fails
}

// Input is everything that decides how a container runs.
type Input struct {
	ID         string
	Config     *container.Config // merged with the image's
	HostConfig *container.HostConfig
	Mounts     []Mount

	// Files that the engine keeps for the container; an empty path is not mounted.
	HostsFile, ResolvConfFile, HostnameFile string

	Open Opener
	Host Host

	NetworkNamespace string // path to join; empty: the one that the shim made (private and none), unused with host
	PidNamespace     string // path to join with --pid container:…
	IPCNamespace     string // path to join with --ipc container:…
	ShmPath          string // host path where that container's /dev/shm will be
	ProcessLabel     string // SELinux's, of the processes; empty: none
	MountLabel       string // and of the files that they see
	InitPath         string // host path of a docker-init program, for --init
}

// Build returns the specification; Warnings said before what it cannot contain.
// Errors are errdefs.ErrInvalidArgument where the user can mend them.
func Build(in Input) (*specs.Spec, error) {
	b := &builder{in: in, spec: &specs.Spec{
		Version: specs.Version,
		Root:    &specs.Root{Path: "rootfs", Readonly: in.HostConfig.ReadonlyRootfs},
		Process: &specs.Process{},
		Linux:   &specs.Linux{},
	}}
	for _, step := range []func() error{
		b.namespaces, b.process, b.user, b.capabilities,
		b.mounts, b.devices, b.resources, b.sysctls, b.security,
	} {
		if err := step(); err != nil {
			return nil, err
		}
	}
	b.rlimits()
	return b.spec, nil
}

type builder struct {
	in       Input
	spec     *specs.Spec
	warnings []string
}

func (b *builder) warn(format string, args ...any) {
	b.warnings = append(b.warnings, fmt.Sprintf(format, args...))
}
