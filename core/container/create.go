package container

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/events"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/container/spec"
)

// newID is docker's kind of identifier, 64 hexadecimal digits.
func newID() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

// maxUnstarted is after how many creations without a start no shim is made
// ready for the next one: somebody creates containers for later.
const maxUnstarted = 2

// Create writes a container down: one row, then its volumes. Folders come with
// the first start, for which a shim is made ready.
func (m *Module) Create(ctx context.Context, name string, req container.CreateRequest, platform *ocispec.Platform) (container.CreateResponse, error) {
	done := m.trace.span("create")
	defer done()
	startFollows := m.unstarted.Add(1) <= maxUnstarted
	if startFollows {
		m.pool.prepare()
	}
	lease, err := m.images.Lease(ctx)
	if err != nil {
		return container.CreateResponse{}, err
	}
	defer lease.Close()
	r, warnings, err := m.plan(ctx, req, platform)
	if err != nil {
		return container.CreateResponse{}, err
	}
	if err := m.insertNamed(ctx, r, name); err != nil {
		return container.CreateResponse{}, err
	}
	if startFollows {
		m.expectStart(r.ID)
	}
	if err := m.makeVolumes(ctx, r, true); err != nil {
		return container.CreateResponse{}, errors.Join(err, m.volumes.Release(ctx, r.ID, true), m.deleteRecord(ctx, r.ID))
	}
	if err := m.emit(r, events.ActionCreate, nil); err != nil {
		return container.CreateResponse{}, err
	}
	return container.CreateResponse{ID: r.ID, Warnings: warnings}, nil
}

// plan decides everything about a new container and changes nothing.
func (m *Module) plan(ctx context.Context, req container.CreateRequest, platform *ocispec.Platform) (*record, []string, error) {
	if req.Config == nil {
		return nil, nil, invalid("config cannot be empty in order to create a container")
	}
	host, err := m.host()
	if err != nil {
		return nil, nil, err
	}
	image, err := m.images.Rootfs(ctx, req.Config.Image, platform)
	if err != nil {
		return nil, nil, err
	}
	m.trace.step("create: image resolved")
	c, err := mergeConfig(*req.Config, image.Config)
	if err != nil {
		return nil, nil, err
	}
	conf, err := m.config.Load()
	if err != nil {
		return nil, nil, err
	}
	host.SELinux = host.SELinux && conf.SELinux
	hc, err := hostDefaults(req.HostConfig, host, conf)
	if err != nil {
		return nil, nil, err
	}
	if _, err := externalRuntime(hc.Runtime, conf); err != nil {
		return nil, nil, err
	}
	if err := checkDeviceRequests(hc.DeviceRequests); err != nil {
		return nil, nil, err
	}
	adapted := spec.Adapt(hc, host)
	if err := spec.Validate(hc, host); err != nil {
		return nil, nil, err
	}
	if err := conflicts(req.Config, hc); err != nil {
		return nil, nil, err
	}
	if err := m.defaultLog(&hc.LogConfig); err != nil {
		return nil, nil, err
	}
	if _, err := logDriver(hc.LogConfig, ""); err != nil {
		return nil, nil, err
	}
	if err := m.pinOthers(ctx, c, hc); err != nil {
		return nil, nil, err
	}
	if err := m.pinLinks(ctx, hc); err != nil {
		return nil, nil, err
	}
	networking, err := m.networks.Plan(ctx, hc, req.NetworkingConfig)
	if err != nil {
		return nil, nil, err
	}
	mounts, err := m.planMounts(ctx, c, hc)
	if err != nil {
		return nil, nil, err
	}
	r := &record{
		ID: newID(), Image: req.Config.Image, ImageID: image.ImageID, Created: time.Now().UTC(), Status: created,
		Config: c, HostConfig: hc, Networking: networking, Rootfs: m.keepRootfs(image), Mounts: mounts,
	}
	if err := m.chooseLabels(ctx, r, conf); err != nil {
		return nil, nil, err
	}
	return r, slices.Concat(adapted, spec.Warnings(hc, host), networkWarnings(hc)), setHostname(c, hc, r.ID)
}

func networkWarnings(hc *container.HostConfig) []string {
	if hc.NetworkMode.IsHost() && len(hc.PortBindings) > 0 {
		return []string{"Published ports are discarded when using host network mode"}
	}
	return nil
}

// pinOthers replaces names of other containers by their ids, so that a rename
// or a new container of that name does not change what this one joins.
func (m *Module) pinOthers(ctx context.Context, c *container.Config, hc *container.HostConfig) error {
	if hc.NetworkMode.IsContainer() {
		other, err := m.findOther(ctx, hc.NetworkMode.ConnectedContainer())
		if err != nil {
			return err
		}
		hc.NetworkMode = container.NetworkMode("container:" + other.ID)
		c.Hostname, c.Domainname = other.Config.Hostname, other.Config.Domainname // one network, one name
	}
	if hc.IpcMode.IsContainer() {
		other, err := m.findOther(ctx, hc.IpcMode.Container())
		if err != nil {
			return err
		}
		hc.IpcMode = container.IpcMode("container:" + other.ID)
	}
	if hc.PidMode.IsContainer() {
		other, err := m.findOther(ctx, hc.PidMode.Container())
		if err != nil {
			return err
		}
		hc.PidMode = container.PidMode("container:" + other.ID)
	}
	return nil
}

// findOther finds a container that a new one names. Where there is none, the
// request is wrong: clients take "not found" for the image, and pull it.
func (m *Module) findOther(ctx context.Context, name string) (*record, error) {
	other, err := m.find(ctx, name)
	if errdefs.IsNotFound(err) {
		return nil, invalid("%v", err)
	}
	return other, err
}

// nameTries is how often a random name may be taken already.
const nameTries = 6

func (m *Module) insertNamed(ctx context.Context, r *record, name string) error {
	if name != "" {
		clean, err := checkName(name)
		if err != nil {
			return err
		}
		r.Name = clean
		return m.insert(ctx, r)
	}
	var err error
	for try := range nameTries {
		r.Name = randomName(try)
		if err = m.insert(ctx, r); !errdefs.IsConflict(err) {
			return err
		}
	}
	r.Name = r.ID[:12]
	return m.insert(ctx, r)
}

// makeFolders makes the container's lasting and passing folders where they are missing.
func (m *Module) makeFolders(id string) error {
	for _, dir := range []string{m.paths.Container(id), m.paths.ContainerRun(id)} {
		if err := os.MkdirAll(dir, 0o710); err != nil {
			return fmt.Errorf("make the folder of container %s: %w", id, err)
		}
	}
	return nil
}
