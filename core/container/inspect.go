package container

import (
	"context"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/storage"

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
		HostnamePath: filepath.Join(dir, hostnameFile), HostsPath: filepath.Join(dir, hostsFile),
		ResolvConfPath: filepath.Join(dir, resolvConfFile), LogPath: m.inspectLogPath(l.record),
		ExecIDs: m.runningExecs(ctx, l), HostConfig: l.HostConfig, Config: l.Config, NetworkSettings: settings,
		Mounts: mountPoints(l.Mounts), GraphDriver: m.graphDriver(l.record),
	}
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

// runningExecs asks the shim: its file is not written for every exec.
func (m *Module) runningExecs(ctx context.Context, l live) []string {
	if l.state == nil {
		return nil
	}
	states, over, err := m.execStates(ctx, l.ID)
	if over || err != nil {
		return nil
	}
	var ids []string
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
	records, err := m.query(ctx, `WHERE (image_id = ?1 OR id IN (SELECT container FROM container_images WHERE image = ?1))
		AND status <> 'removing' ORDER BY created`, imageID)
	if err != nil {
		return nil, err
	}
	var users []Use
	for _, r := range records {
		use := Use{ID: r.ID}
		if r.Status == running {
			_, ended, err := m.claim(r)
			if err != nil {
				return nil, err
			}
			if ended && r.HostConfig.AutoRemove {
				continue
			}
			use.Running = !ended
		}
		users = append(users, use)
	}
	return users, nil
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
