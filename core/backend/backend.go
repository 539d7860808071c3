// Package backend holds the words that the API and the engine's modules share
// where docker's own API types have none: options of a request, byte streams
// of a hijacked connection, progress. It holds no behaviour.
package backend

import (
	"io"
	"time"

	"github.com/distribution/reference"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/jsonstream"
	"github.com/moby/moby/api/types/network"
	"github.com/moby/moby/api/types/registry"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/filter"
)

// Progress receives the messages of a long work (pull, push, load) in docker's
// stream format. It is called from one goroutine at a time.
type Progress func(jsonstream.Message)

// Conn is the client's side of a hijacked connection: reads are its stdin,
// CloseWrite tells it that the output has ended while its input may go on.
type Conn interface {
	io.ReadWriteCloser
	CloseWrite() error
}

// Hijack takes the connection over. Until it is called, an error becomes an
// HTTP answer; afterwards only bytes flow. With tty the bytes are raw, without
// it output is in docker's 8-byte-header frames (stdcopy), written by the
// module that owns the stream.
type Hijack func(tty bool) (Conn, error)

// ImageList asks for images; see GET /images/json.
type ImageList struct {
	All        bool
	SharedSize bool
	Manifests  bool
	Filters    filter.Args
}

// ImageRemove asks for the removal of one image; see DELETE /images/{name}.
type ImageRemove struct {
	Force     bool
	NoPrune   bool
	Platforms []ocispec.Platform
}

// Pull asks for an image. Ref always has a tag or a digest, unless AllTags.
type Pull struct {
	Ref      reference.Named
	AllTags  bool
	Platform *ocispec.Platform
	Auth     *registry.AuthConfig // nil: none given
	Progress Progress
}

// Push sends an image (every tag of the name where Ref has none).
type Push struct {
	Ref      reference.Named
	Platform *ocispec.Platform
	Auth     *registry.AuthConfig
	Progress Progress
}

// Rootfs is what a container needs of an image.
type Rootfs struct {
	ImageID   string                          // sha256:…, the digest of the image's config
	Name      string                          // as resolved: a familiar reference, or the id
	Platform  ocispec.Platform                //
	Config    dockerspec.DockerOCIImageConfig // the image's default command, user, environment, …
	LowerDirs []string                        // overlay lower folders, topmost first
}

// ContainerList asks for containers; see GET /containers/json.
type ContainerList struct {
	All     bool
	Size    bool
	Limit   int // 0: no limit; includes stopped ones when set
	Filters filter.Args
}

// BootReport is what came of starting, or stopping, what should run: names of
// containers, and for those that failed, why.
type BootReport struct {
	Done   []string
	Failed []string
}

// ContainerStats asks for statistics; see GET /containers/{id}/stats.
type ContainerStats struct {
	Stream  bool
	OneShot bool // of a single answer: without a sample before it
}

// ContainerLogs asks for a log; see GET /containers/{id}/logs.
type ContainerLogs struct {
	Stdout, Stderr      bool
	Follow              bool
	Timestamps, Details bool
	Since, Until        time.Time // zero: no bound
	Tail                int       // lines from the end; negative: all
}

// Attach asks for a container's streams; see POST /containers/{id}/attach.
type Attach struct {
	Stdin, Stdout, Stderr bool
	Stream                bool   // live streams
	Logs                  bool   // what was written before, first
	DetachKeys            string // docker's notation; empty: ctrl-p,ctrl-q
}

// ContainerRemove asks for a removal; see DELETE /containers/{id}.
type ContainerRemove struct {
	Force   bool
	Volumes bool // anonymous volumes too
	Link    bool
}

// ContainerStop asks for an end. Timeout is in seconds: nil is the container's
// own (10 without one), negative waits for ever.
type ContainerStop struct {
	Signal  string
	Timeout *int
}

// WaitResult is the end that a wait waited for.
type WaitResult struct {
	StatusCode int
	Err        error // why the container could not be waited for, or was never started
}

// ExecStart asks for the run of a prepared exec; see POST /exec/{id}/start.
type ExecStart struct {
	Detach      bool
	Tty         bool
	ConsoleSize *[2]uint // rows, columns
	DetachKeys  string
}

// EndpointRequest asks the network module to join a container's network
// namespace to its networks. Everything is decided from the container's own
// record, so that a restart gives the same again.
type EndpointRequest struct {
	ContainerID string
	Name        string // without slash
	Hostname    string
	NetNS       string // path of the namespace to be joined: /proc/<pid>/fd/<n> or /proc/<pid>/ns/net
	Config      *container.Config
	HostConfig  *container.HostConfig
	Networking  *network.NetworkingConfig // as given at create; may be nil
	Links       []Link                    // of HostConfig.Links, found
	Keeper      int                       // process id of whoever lives as long as the namespace; 0: this process
}

// Link is a container that another one is linked to.
type Link struct {
	Alias       string
	ContainerID string
	Name        string
	Hostname    string
}

// Endpoints is what came of it.
type Endpoints struct {
	Settings   *container.NetworkSettings // for inspect and ps: networks, addresses, ports
	Hosts      []byte                     // content of /etc/hosts; nil: leave the image's
	ResolvConf []byte                     // content of /etc/resolv.conf; nil: leave the image's
}

// Mirror is one source of one registry's content.
type Mirror struct {
	Registry string // docker.io, ghcr.io, host:port …
	URL      string // https://host[:port][/path] or http://…
	Name     string // optional short name for `mirror use`
	Enabled  bool
	InUse    bool // tried first at the next pull
}

// MirrorTest is the outcome of asking one source, step by step.
type MirrorTest struct {
	Mirror  Mirror
	Steps   []MirrorStep
	OK      bool
	Latency time.Duration // of the first byte of the registry's answer
}

// MirrorStep is one step of a test: resolve, connect, tls, ping, auth, manifest.
type MirrorStep struct {
	Name string
	Took time.Duration
	Err  string // empty: passed
}

// ImageCommit asks for an image of one more layer, made of a container's changes.
type ImageCommit struct {
	Parent      string            // id of the container's image; empty: there is none below
	Platform    ocispec.Platform  // zero: the parent's, or this machine's
	ContainerID string            // for the record
	Container   *container.Config // what the container ran with; may be nil
	// Config is what the request asks for; nil means Container. What it leaves
	// open is filled up from Container, as docker does.
	Config  *container.Config
	Changes []string // instructions of a Dockerfile, applied to Config
	Author  string
	Comment string
	Ref     reference.Named // with a tag; nil: the image gets no name
}

// Extract says how an archive meets what a container has; see PUT /containers/{id}/archive.
type Extract struct {
	NoOverwriteDirNonDir bool // neither a folder by a file nor the other way round
	CopyUIDGID           bool // everything belongs to the container's user
}

// ContainerCommit asks for an image of a container; see POST /commit.
type ContainerCommit struct {
	Ref             reference.Named // with a tag; nil: no name
	Config          *container.Config
	Changes         []string
	Author, Comment string
	Pause           bool
}
