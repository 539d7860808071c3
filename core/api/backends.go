// Package api serves the Docker Engine API over HTTP: routes, versions, stream
// framing, and the mapping of error classes to statuses. It knows no engine
// module; it declares the small interfaces that it needs of them. The handler
// is the same for the connection in memory and for a socket.
package api

import (
	"context"
	"io"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/registry"
	"github.com/moby/moby/api/types/system"
	"github.com/moby/moby/api/types/volume"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/filter"
)

// Backends are the modules behind the routes. A nil one makes its routes
// answer 501 with one clear line.
type Backends struct {
	System     System
	Events     Events
	Images     Images
	Containers Containers
	Files      Files
	Execs      Execs
	Networks   Networks
	Members    Members
	Volumes    Volumes
	Mirrors    Mirrors
	Config     Config
	Registries Registries
	Reset      Reset
	Trash      Trash

	VolumeArchives VolumeArchives
	Boot           Boot
}

// System answers for the engine as a whole.
type System interface {
	Info(ctx context.Context) (system.Info, error)
	Version(ctx context.Context) (system.VersionResponse, error)
	// Doctor examines the machine and the engine's files; it changes nothing.
	Doctor(ctx context.Context) ([]backend.Check, error)
}

// Events replays what happened since a time and follows what happens until
// another (zero times: from now on, for ever). The handler is called in order
// and ends the replay with an error.
type Events interface {
	Subscribe(ctx context.Context, since, until time.Time, match filter.Args, handle func(events.Message) error) error
}

// Images is the image store. Names are references in any form, short ids and full ids.
type Images interface {
	List(ctx context.Context, opts backend.ImageList) ([]image.Summary, error)
	Inspect(ctx context.Context, name string, platform *ocispec.Platform) (image.InspectResponse, error)
	History(ctx context.Context, name string) ([]image.HistoryResponseItem, error)
	Pull(ctx context.Context, opts backend.Pull) error
	Push(ctx context.Context, opts backend.Push) error
	Load(ctx context.Context, archive io.Reader, opts backend.ImageLoad) error
	// Save calls open when nothing can be refused any more.
	Save(ctx context.Context, opts backend.ImageSave, open func() (io.Writer, error)) error
	Import(ctx context.Context, body io.Reader, opts backend.ImageImport) error
	// Distribution asks a registry about an image without pulling it.
	Distribution(ctx context.Context, ref reference.Named, auth *registry.AuthConfig) (registry.DistributionInspect, error)
	Tag(ctx context.Context, source, repo, tag string) error
	Remove(ctx context.Context, name string, opts backend.ImageRemove) ([]image.DeleteResponse, error)
	// RemoveMany is Remove for one name after the other; refusals are in the answer.
	RemoveMany(ctx context.Context, names []string, opts backend.ImageRemove) ([]backend.ImageRemoved, error)
	Prune(ctx context.Context, filters filter.Args) ([]image.DeleteResponse, uint64, error)
	// LayersSize is the bytes in all images' layers, shared ones counted once.
	LayersSize(ctx context.Context) (int64, error)
}

// Containers is the life of containers. Names are names, short ids and full ids.
type Containers interface {
	Create(ctx context.Context, name string, req container.CreateRequest, platform *ocispec.Platform) (container.CreateResponse, error)
	Start(ctx context.Context, name, detachKeys string) error
	Stop(ctx context.Context, name string, opts backend.ContainerStop) error
	Restart(ctx context.Context, name string, opts backend.ContainerStop) error
	Kill(ctx context.Context, name, signal string) error
	Pause(ctx context.Context, name string) error
	Unpause(ctx context.Context, name string) error
	Rename(ctx context.Context, name, newName string) error
	Remove(ctx context.Context, name string, opts backend.ContainerRemove) error
	// RemoveMany is Remove for many; what became of each name comes from the channel in its place.
	RemoveMany(ctx context.Context, names []string, opts backend.ContainerRemove) []<-chan error
	Prune(ctx context.Context, filters filter.Args) (deleted []string, freed uint64, err error)

	List(ctx context.Context, opts backend.ContainerList) ([]container.Summary, error)
	Inspect(ctx context.Context, name string, size bool) (container.InspectResponse, error)
	// Update changes limits and the restart policy.
	Update(ctx context.Context, name string, req container.UpdateConfig) (warnings []string, err error)
	// Stats calls handle once, or every second until the context ends.
	Stats(ctx context.Context, name string, opts backend.ContainerStats, handle func(container.StatsResponse) error) error
	Top(ctx context.Context, name string, psArgs []string) (container.TopResponse, error)
	// Logs calls hijack-free: it writes to the writer that open returns once
	// the container is known, raw with a tty and in stdcopy frames without.
	Logs(ctx context.Context, name string, opts backend.ContainerLogs, open func(tty bool) (io.Writer, error)) error
	Attach(ctx context.Context, name string, opts backend.Attach, hijack backend.Hijack) error
	// Wait registers at once (errors: no such container) and delivers one result.
	Wait(ctx context.Context, name string, condition container.WaitCondition) (<-chan backend.WaitResult, error)
	Resize(ctx context.Context, name string, rows, columns uint) error
}

// Files is what lies in containers, running or not.
type Files interface {
	StatPath(ctx context.Context, name, path string) (container.PathStat, error)
	// Archive writes a tar of a path to the writer that open returns once the
	// path is known; no writer ends it there.
	Archive(ctx context.Context, name, path string, open func(container.PathStat) (io.Writer, error)) error
	Extract(ctx context.Context, name, path string, archive io.Reader, opts backend.Extract) error
	Export(ctx context.Context, name string, open func() (io.Writer, error)) error
	Changes(ctx context.Context, name string) ([]container.FilesystemChange, error)
	// Folder lists a folder, for completion.
	Folder(ctx context.Context, name, folder string) ([]backend.File, error)
	// ImageFolder does so for an image, without mounting it.
	ImageFolder(ctx context.Context, image, folder string) ([]backend.File, error)
	Commit(ctx context.Context, name string, opts backend.ContainerCommit) (imageID string, err error)
}

// Execs runs further processes in running containers.
type Execs interface {
	ExecCreate(ctx context.Context, container string, req container.ExecCreateRequest) (id string, err error)
	ExecStart(ctx context.Context, id string, opts backend.ExecStart, hijack backend.Hijack) error
	ExecInspect(ctx context.Context, id string) (container.ExecInspectResponse, error)
	ExecResize(ctx context.Context, id string, rows, columns uint) error
}

// Networks is the store of networks. Names are names, ids and beginnings of ids.
type Networks interface {
	NetworkList(ctx context.Context, filters filter.Args) ([]network.Summary, error)
	NetworkInspect(ctx context.Context, name string) (network.Inspect, error)
	NetworkCreate(ctx context.Context, req network.CreateRequest) (network.CreateResponse, error)
	NetworkRemove(ctx context.Context, name string) error
	NetworkPrune(ctx context.Context, filters filter.Args) (deleted []string, err error)
}

// Members changes the networks of containers, running or not. The ports are nacre's own addition.
type Members interface {
	NetworkConnect(ctx context.Context, network, container string, settings *network.EndpointSettings) error
	NetworkDisconnect(ctx context.Context, network, container string, force bool) error
	PortAdd(ctx context.Context, container string, ports network.PortMap) (bound network.PortMap, err error)
	PortRemove(ctx context.Context, container string, ports network.PortMap) (gone network.PortMap, err error)
}

// Volumes is the store of named volumes.
type Volumes interface {
	VolumeList(ctx context.Context, filters filter.Args) ([]volume.Volume, error)
	VolumeInspect(ctx context.Context, name string) (volume.Volume, error)
	VolumeCreate(ctx context.Context, req volume.CreateRequest) (volume.Volume, error)
	VolumeRemove(ctx context.Context, name string, force bool) error
	VolumePrune(ctx context.Context, filters filter.Args) (deleted []string, freed uint64, err error)
	// VolumeUsage lists all volumes with their usage data.
	VolumeUsage(ctx context.Context) ([]volume.Volume, error)
}

// Mirrors is nacre's own addition, served under /nacre/mirrors.
type Mirrors interface {
	Mirrors(ctx context.Context) ([]backend.Mirror, error)
	MirrorAdd(ctx context.Context, m backend.Mirror) error
	MirrorRemove(ctx context.Context, registry, urlOrName string) error
	MirrorUse(ctx context.Context, registry, urlOrName string) error
	MirrorTest(ctx context.Context, registry string) ([]backend.MirrorTest, error)
}

// Reset takes all of an engine's containers, images, volumes and networks away; POST /nacre/reset.
type Reset interface {
	Reset(ctx context.Context) error
}

// Config is the engine's configuration file.
type Config interface {
	Show() (backend.ConfigReport, error)
	Import(name string, text []byte) (backend.ConfigImport, error)
	Set(change backend.ConfigChange) error
}

// Boot starts what should run after a reboot, and stops it before one.
type Boot interface {
	Boot(ctx context.Context) (backend.BootReport, error)
	Halt(ctx context.Context) (backend.BootReport, error)
}

// Registries asks registries on a user's behalf. A nil auth means none was given.
type Registries interface {
	Auth(ctx context.Context, auth registry.AuthConfig) (registry.AuthResponse, error)
	Search(ctx context.Context, term string, limit int, filters filter.Args, auth *registry.AuthConfig) ([]registry.SearchResult, error)
	Repositories(ctx context.Context, address string, auth *registry.AuthConfig) ([]string, error)
	Tags(ctx context.Context, repo string, auth *registry.AuthConfig) ([]string, error)
	Inspect(ctx context.Context, ref string, auth *registry.AuthConfig) (backend.RemoteImage, error)
	RemoveRemote(ctx context.Context, ref string, auth *registry.AuthConfig) (removed string, err error)
	Copy(ctx context.Context, opts backend.RegistryCopy) error
}

// Trash is nacre's own, under /nacre: what removing commands would do, what
// they did lately, and how it is undone. Collect erases what has waited long
// enough, until nothing waits.
type Trash interface {
	RemovalPlan(ctx context.Context, req backend.Removal) (backend.RemovalPlan, error)
	TrashLook(ctx context.Context) (backend.Trash, error)
	TrashEmpty(ctx context.Context, operation string) error
	TrashSet(ctx context.Context, keep *time.Duration, size *string) error
	Undo(ctx context.Context, names []string) ([]backend.Restored, error)
	Collect(ctx context.Context) error
}

// VolumeArchives is nacre's own, under /nacre/volumes: a volume's files as an
// uncompressed tar archive, and back, and a copy of a volume. An import makes
// the volume where it is missing; into one with files it wants force.
type VolumeArchives interface {
	VolumeExport(ctx context.Context, name string, open func() io.Writer) error
	VolumeImport(ctx context.Context, name string, archive io.Reader, force bool) error
	VolumeClone(ctx context.Context, from, to string) error
}
