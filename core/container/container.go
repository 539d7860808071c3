// Package container is the life of containers: it creates, starts, stops,
// lists and removes them, reads their logs and joins clients to their streams.
//
// Nothing lives here but decisions. A container's process belongs to its shim
// (core/shim/shimapi), which outlives this program; what is remembered is one
// row of nacre's database; what runs now is told by the shim's files in the
// run folder. Many nacre processes work on the same containers at once, so no
// answer comes from this process's memory alone: a row that says running is
// checked against the shim's lock, and whoever finds that a container has
// ended writes its end down (live.go).
//
// A crash at any step leaves something that the next one understands: a row
// comes before its folder and goes after it, a removal is a mark before it is
// a deed (remove.go, sweep.go).
package container

import (
	"context"
	"database/sql"
	"io"
	"sync"
	"sync/atomic"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/volume"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/config"
	"github.com/nacre-sh/nacre/core/container/spec"
	"github.com/nacre-sh/nacre/core/store"
	"github.com/nacre-sh/nacre/core/trash"
)

// Images tells what a container needs of an image. An image that is not there
// gives docker's "No such image" with errdefs.ErrNotFound.
// A lease keeps all layers in place until the container is recorded. Commit
// makes an image of a layer's tar and returns its id.
type Images interface {
	Rootfs(ctx context.Context, nameOrID string, platform *ocispec.Platform) (backend.Rootfs, error)
	// ID gives the id of an image; it costs less than Rootfs.
	ID(ctx context.Context, nameOrID string) (string, error)
	// Descendants gives the id of an image and of all that were made from it here.
	Descendants(ctx context.Context, nameOrID string) ([]string, error)
	Lease(ctx context.Context) (io.Closer, error)
	Commit(ctx context.Context, changes io.Reader, opts backend.ImageCommit) (id string, err error)
}

// Networks joins a container's network namespace to its networks, and lets go
// of what the join took (addresses, ports) once the container has ended.
type Networks interface {
	Connect(ctx context.Context, req backend.EndpointRequest) (backend.Endpoints, error)
	Disconnect(ctx context.Context, containerID string) error
	// Connected are the containers (by id) that Disconnect has something to take back from.
	Connected(ctx context.Context) (map[string]bool, error)

	// Plan checks what a new container asks of its networks, and calls them by their names.
	Plan(ctx context.Context, hc *container.HostConfig, asked *network.NetworkingConfig) (*network.NetworkingConfig, error)
	// Join, Leave, AddPorts and RemovePorts change the networks of a running container.
	Join(ctx context.Context, req backend.EndpointRequest, network string, settings *network.EndpointSettings) (backend.Endpoints, error)
	Leave(ctx context.Context, req backend.EndpointRequest, network string) (backend.Endpoints, error)
	AddPorts(ctx context.Context, req backend.EndpointRequest, ports network.PortMap) (backend.Endpoints, network.PortMap, error)
	RemovePorts(ctx context.Context, req backend.EndpointRequest, ports network.PortMap) (backend.Endpoints, network.PortMap, error)
	// Refresh tells a running container anew what it knows of others.
	Refresh(ctx context.Context, req backend.EndpointRequest) (backend.Endpoints, error)
	// Rename tells who asks for a running container by its name.
	Rename(ctx context.Context, containerID, name string) error
	// Mend brings back what was killed and should run beside the containers.
	Mend(ctx context.Context) error
	// NetworkName finds a network by name, id or the beginning of an id.
	NetworkName(ctx context.Context, nameOrID string) (string, error)
	// IDs gives the ids of all networks by their names.
	IDs(ctx context.Context) (map[string]string, error)
}

// Volumes is the store of named volumes. Acquire gives a volume to a container,
// made where it is missing; Release takes all of a container's back, and with
// removeAnonymous deletes those that were made for it. Populate fills an empty
// volume with what the image has at a path; lowers are overlay folders, topmost first.
// Attach mounts what the driver options of a container's volumes say and tells
// which those are; Detach ends that; Attached lists the containers in between.
type Volumes interface {
	Acquire(ctx context.Context, containerID, name, driver string, options, labels map[string]string) (vol volume.Volume, created bool, err error)
	Populate(ctx context.Context, name string, lowers []string, path string) error
	Release(ctx context.Context, containerID string, removeAnonymous bool) error
	Attach(ctx context.Context, containerID string) ([]string, error)
	Detach(ctx context.Context, containerID string) error
	Attached(ctx context.Context) ([]string, error)
}

// Events is told what happened.
type Events interface {
	Append(...events.Message) error
}

// Options is what the module works with; all but Trace are needed.
type Options struct {
	Store    *store.Store
	Images   Images
	Networks Networks
	Volumes  Volumes
	Events   Events
	Config   config.File            // read afresh for every container; the zero value says nothing
	Shim     func() (string, error) // finds the nacre-shim program
	Trace    Trace                  // nil: none
	Settings *trash.File            // nil: removed containers do not wait

	// LogDefault is the log of containers that name no driver; read afresh for
	// each. nil: json-file.
	LogDefault func() (container.LogConfig, error)

	Early       *Early // nil: none
	ExpectStart bool   // a start follows at once: make its shim ready
	OnlyCreate  bool   // no start follows a creation
}

// Module implements api.Containers and api.Execs.
type Module struct {
	db       *sql.DB
	paths    store.Paths
	images   Images
	networks Networks
	volumes  Volumes
	events   Events
	trace    Trace
	settings *trash.File
	host     func() (spec.Host, error)
	logging  func() (container.LogConfig, error) // nil: json-file
	config   config.File

	pool      *pool
	bound     bindings
	expecting atomic.Bool  // a start of a new container; see expectStart
	unstarted atomic.Int32 // creations since the last start
	execs     *execs
	gone      *notices // removals seen by this process
	specs     *specCache
	store     *store.Store

	writing sync.Mutex // see write

	listAll, listRunning store.Cache[[]*record]

	background       context.Context // of work that outlives the request that caused it
	cancelBackground context.CancelFunc
	tasks            sync.WaitGroup // of background
}

// New opens the module and lets a sweep run beside the first commands.
func New(ctx context.Context, o Options) (*Module, error) {
	if err := o.Store.Migrate(ctx, schema); err != nil {
		return nil, err
	}
	background, cancel := context.WithCancel(context.WithoutCancel(ctx))
	m := &Module{
		db: o.Store.DB, paths: o.Store.Paths,
		images: o.Images, networks: o.Networks, volumes: o.Volumes, events: o.Events, trace: o.Trace, settings: o.Settings,
		host:       sync.OnceValues(spec.ReadHost),
		logging:    o.LogDefault,
		config:     o.Config,
		pool:       newPool(o.Shim),
		bound:      bindings{of: map[string]*binding{}},
		execs:      newExecs(),
		gone:       newNotices(),
		specs:      newSpecCache(),
		store:      o.Store,
		background: background, cancelBackground: cancel,
	}
	if o.Early != nil {
		m.pool.adopt(o.Early)
	}
	if o.ExpectStart {
		m.pool.prepare()
	}
	if o.OnlyCreate {
		m.unstarted.Store(maxUnstarted)
	}
	m.tasks.Go(m.sweep)
	return m, nil
}

// Warm keeps n idle shims ready, so that a start does not wait for one; for a
// process that lives on, as the prompt.
func (m *Module) Warm(n int) { m.pool.warm(n) }

// Close ends the idle shims and waits for what was left to be cleaned up.
// Containers run on.
func (m *Module) Close() error {
	m.cancelBackground()
	m.tasks.Wait()
	m.pool.close()
	return nil
}
