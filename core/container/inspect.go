package container

import (
	"context"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/storage"

	"github.com/nacre-sh/nacre/core/container/spec"
	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// driverName is what docker calls this way of layering.
const driverName = "overlay2"

// Inspect tells everything about a container.
func (m *Module) Inspect(ctx context.Context, name string, size bool) (container.InspectResponse, error) {
	l, err := m.lookUp(ctx, name)
	if err != nil {
		return container.InspectResponse{}, err
	}
	dir := m.paths.Container(l.ID)
	settings := m.network(l)
	words := slices.Concat(l.Config.Entrypoint, l.Config.Cmd)
	res := container.InspectResponse{
		ID: l.ID, Created: l.Created.Format(time.RFC3339Nano), Path: words[0], Args: words[1:], State: m.stateOf(l),
		Image: l.ImageID, Name: "/" + l.Name, RestartCount: l.RestartCount, Driver: driverName, Platform: orElse(l.Rootfs.OS, "linux"),
		ExecIDs: m.runningExecs(ctx, l), HostConfig: m.shownLinks(ctx, l.record), Config: l.Config, NetworkSettings: settings,
		Mounts: mountPoints(l.Mounts), GraphDriver: m.graphDriver(l.record),
	}
	if !l.StartedAt.IsZero() { // the files come with the first start
		res.HostnamePath, res.HostsPath = filepath.Join(dir, hostnameFile), filepath.Join(dir, hostsFile)
		res.ResolvConfPath, res.LogPath = filepath.Join(dir, resolvConfFile), m.inspectLogPath(l.record)
	}
	host, err := m.host()
	if err != nil {
		return res, err
	}
	res.ProcessLabel, res.MountLabel = l.ProcessLabel, l.MountLabel
	res.AppArmorProfile = spec.ShownAppArmor(l.HostConfig, host, !l.StartedAt.IsZero())
	if size {
		rw, err := m.writableSize(l.record)
		if err != nil {
			return res, err
		}
		root, err := m.imageSize(l.record)
		if err != nil {
			return res, err
		}
		root += rw
		res.SizeRw, res.SizeRootFs = &rw, &root
	}
	return res, nil
}

func (m *Module) stateOf(l live) *container.State {
	s := &container.State{
		Status: l.now, Running: l.state != nil, Paused: l.now == paused, Restarting: l.now == restarting, Dead: l.now == dead,
		OOMKilled: l.OOMKilled, ExitCode: l.ExitCode, Error: l.Error,
		StartedAt: l.StartedAt.Format(time.RFC3339Nano), FinishedAt: l.FinishedAt.Format(time.RFC3339Nano), Health: m.healthOf(l),
	}
	if l.state != nil {
		s.Pid = l.state.Pid
	}
	if l.now == restarting {
		s.ExitCode, s.FinishedAt = l.state.ExitCode, l.state.FinishedAt.Format(time.RFC3339Nano)
	}
	return s
}

func (m *Module) inspectLogPath(r *record) string {
	driver := r.HostConfig.LogConfig.Type
	if driver != shimapi.LogJSONFile {
		return ""
	}
	return m.logPath(r.ID, driver)
}

func (m *Module) graphDriver(r *record) *storage.DriverData {
	dir := m.paths.Container(r.ID)
	return &storage.DriverData{Name: driverName, Data: map[string]string{
		"ID": r.ID, "LowerDir": strings.Join(m.lowerDirs(r), ":"), "UpperDir": filepath.Join(dir, upperDir),
		"WorkDir": filepath.Join(dir, workDir), "MergedDir": filepath.Join(dir, rootfsDir),
	}}
}

// runningExecs are those that wait for their start and those that run. It asks
// the shim: its file is not written for every exec.
func (m *Module) runningExecs(ctx context.Context, l live) []string {
	if l.state == nil {
		return nil
	}
	states, over, err := m.execStates(ctx, l.ID)
	if over || err != nil {
		return nil
	}
	ids := m.waitingExecs(l.ID)
	for _, e := range states {
		if e.Running {
			ids = append(ids, e.ID)
		}
	}
	return ids
}

// Use is a container that was made from an image.
type Use struct {
	ID      string
	Running bool
}

// ImageUsers gives the containers that were made from an image or have it mounted.
func (m *Module) ImageUsers(ctx context.Context, imageID string) ([]Use, error) {
	all, err := m.imageUsers(ctx, ` AND image = ?`, imageID)
	return all[imageID], err
}

// AllImageUsers is ImageUsers for all images that have users.
func (m *Module) AllImageUsers(ctx context.Context) (map[string][]Use, error) {
	return m.imageUsers(ctx, ``)
}

func (m *Module) imageUsers(ctx context.Context, which string, args ...any) (map[string][]Use, error) {
	rows, err := m.db.QueryContext(ctx, `SELECT image, id, status FROM (
			SELECT image_id AS image, id, status, created FROM containers
			UNION SELECT i.image, c.id, c.status, c.created FROM container_images i JOIN containers c ON c.id = i.container
		) WHERE status <> 'removing'`+which+` ORDER BY created`, args...)
	if err != nil {
		return nil, fmt.Errorf("list the users of images: %w", err)
	}
	defer rows.Close()
	users := map[string][]Use{}
	for rows.Next() {
		var image string
		var use Use
		var is status
		if err := rows.Scan(&image, &use.ID, &is); err != nil {
			return nil, fmt.Errorf("list the users of images: %w", err)
		}
		gone := false
		if is == running {
			if use.Running, gone, err = m.stillRuns(ctx, use.ID); err != nil {
				return nil, err
			}
		}
		if !gone {
			users[image] = append(users[image], use)
		}
	}
	return users, rows.Err()
}

// stillRuns checks a container that says that it runs; it is gone when its end
// is its removal.
func (m *Module) stillRuns(ctx context.Context, id string) (runs, gone bool, err error) {
	r, err := m.byID(ctx, id)
	if errdefs.IsNotFound(err) {
		return false, true, nil
	}
	if err != nil {
		return false, false, err
	}
	_, ended, err := m.claim(r)
	return !ended, ended && r.HostConfig.AutoRemove, err
}

// Counts is how many containers there are, for info.
func (m *Module) Counts(ctx context.Context) (runs, pauses, stops int, err error) {
	records, err := m.query(ctx, `WHERE status <> 'removing'`)
	if err != nil {
		return 0, 0, 0, err
	}
	for _, r := range records {
		l := live{record: r, now: r.Status}
		if r.Status == running {
			var ended bool
			if l, ended, err = m.claim(r); err != nil {
				return 0, 0, 0, err
			}
			if ended && r.HostConfig.AutoRemove {
				continue
			}
		}
		switch l.now {
		case running, restarting:
			runs++
		case paused:
			pauses++
		default:
			stops++
		}
	}
	return runs, pauses, stops, nil
}
