// Package store knows where nacre's files lie and opens what is in them:
// nacre's own state (one SQLite database) and the image layers
// (containers/storage). No other package builds a path below the data root or
// the exec root.
//
// The data root survives a reboot; the exec root does not need to. Two engines
// with different roots share nothing.
package store

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"
)

// Default roots, and the environment variables that replace them.
const (
	DefaultDataRoot = "/var/lib/nacre"
	DefaultExecRoot = "/run/nacre"
	EnvDataRoot     = "NACRE_DATA_ROOT"
	EnvExecRoot     = "NACRE_EXEC_ROOT"
)

// Paths is the map of one engine's files.
type Paths struct {
	Data string // what must survive a reboot: layers, state, volumes, logs
	Exec string // what describes running things: sockets, pids, locks
}

// NewPaths resolves the roots: the argument, else the environment, else the
// default. Both come back absolute.
func NewPaths(dataRoot, execRoot string) (Paths, error) {
	data, err := filepath.Abs(firstOf(dataRoot, os.Getenv(EnvDataRoot), DefaultDataRoot))
	if err != nil {
		return Paths{}, fmt.Errorf("resolve data root: %w", err)
	}
	exec, err := filepath.Abs(firstOf(execRoot, os.Getenv(EnvExecRoot), DefaultExecRoot))
	if err != nil {
		return Paths{}, fmt.Errorf("resolve exec root: %w", err)
	}
	return Paths{Data: data, Exec: exec}, nil
}

// unmountable are the characters that end a value in the options of an overlay
// mount, or escape there. Containers are mounted by open folders, whatever their
// names are, but containers/storage mounts layers by their paths.
const unmountable = ",:\\"

// check refuses a data root before anything is written to it, for an error of
// the kernel's long afterwards would not say what is wrong.
func (p Paths) check() error {
	if i := strings.IndexAny(p.Data, unmountable); i >= 0 {
		return fmt.Errorf("use %q as the data root: its path has a %q, which overlay mounts cannot have: %w\nchoose a folder without commas, colons and backslashes (--data-root, %s)",
			p.Data, p.Data[i:i+1], errdefs.ErrInvalidArgument, EnvDataRoot)
	}
	return nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// StateDB is the SQLite file that holds containers, networks, volumes and the image index.
func (p Paths) StateDB() string { return filepath.Join(p.Data, "state.db") }

// Layers is the graph root of containers/storage; LayersRun its run root.
func (p Paths) Layers() string    { return filepath.Join(p.Data, "layers") }
func (p Paths) LayersRun() string { return filepath.Join(p.Exec, "layers") }

// LayersLock is the file whose bytes are locked while layers are made or freed.
func (p Paths) LayersLock() string { return filepath.Join(p.Data, "layers.lock") }

// Volumes holds one folder per named volume, its files under _data.
func (p Paths) Volumes() string { return filepath.Join(p.Data, "volumes") }

// Container is a container's lasting folder: writable layer, log, last state.
func (p Paths) Container(id string) string { return filepath.Join(p.Data, "containers", id) }

// Containers and ContainersRun are the parents of all Container and ContainerRun folders.
func (p Paths) Containers() string    { return filepath.Join(p.Data, "containers") }
func (p Paths) ContainersRun() string { return filepath.Join(p.Exec, "containers") }

// ContainerRun is a container's passing folder: the shim's socket, lock and live state.
func (p Paths) ContainerRun(id string) string { return filepath.Join(p.Exec, "containers", id) }

// Marks is the layer that lies below every container's image.
func (p Paths) Marks() string { return filepath.Join(p.Data, "marks") }

// reserve is a file that takes room which is given away when the disk is full.
func (p Paths) reserve() string { return filepath.Join(p.Data, "reserve") }

// Events is the event log, lines of JSON; it is in the exec root because docker's events do not survive a restart either.
func (p Paths) Events() string { return filepath.Join(p.Exec, "events.jsonl") }

// Mirrors is the list of mirrors, one TOML file that every pull reads afresh.
func (p Paths) Mirrors() string { return filepath.Join(p.Data, "mirrors.toml") }

// TrashSettings says how long removed things wait, and how much may wait.
func (p Paths) TrashSettings() string { return filepath.Join(p.Data, "trash.json") }

// CollectLock is held by the process that erases what was removed.
func (p Paths) CollectLock() string { return filepath.Join(p.Data, "collect.lock") }

// Temp is scratch space on the data root's file system, so that a rename into place is atomic.
func (p Paths) Temp() string { return filepath.Join(p.Data, "tmp") }

// Downloads keeps partly fetched blobs, so that an interrupted pull resumes.
func (p Paths) Downloads() string { return filepath.Join(p.Data, "downloads") }

// Resolver is the folder of the process that answers for names in networks: its socket, lock and registrations.
func (p Paths) Resolver() string { return filepath.Join(p.Exec, "resolver") }
