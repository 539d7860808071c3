package container

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/mount"
	"github.com/moby/moby/api/types/network"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/store"
)

// record is what nacre remembers of a container. What it does at this moment
// is the shim's to say; see live.go.
type record struct {
	ID      string
	Name    string // without slash
	Image   string // as the user named it
	ImageID string // sha256:…
	Created time.Time

	Status       status // created, running, exited, removing or dead; running means that its end was not seen yet
	ExitCode     int
	Error        string
	OOMKilled    bool
	StartedAt    time.Time
	FinishedAt   time.Time
	RestartCount int
	Stopped      bool // by a user: no restart policy brings it back
	shimKilled   bool // as the last words say; not kept

	Config     *container.Config
	HostConfig *container.HostConfig
	Networking *network.NetworkingConfig
	Rootfs     rootfs
	Mounts     []mountPoint
	labels
}

// rootfs is what stays of the image once the container exists: its layers, so
// that it starts again even when the image has lost its name. Folders are
// relative to the data root.
type rootfs struct {
	LowerDirs    []string
	OS           string
	Architecture string
}

// mountPoint is docker's, with what it takes to mount it.
type mountPoint struct {
	container.MountPoint
	Anonymous bool     `json:",omitempty"` // the volume goes with the container
	NoCopy    bool     `json:",omitempty"` // a new volume stays empty
	Options   []string `json:",omitempty"` // of a tmpfs
	Unlisted  bool     `json:",omitempty"` // of --tmpfs: docker tells it in HostConfig only
	Flat      bool     `json:",omitempty"` // do not bind submounts
	CreateSrc bool     `json:",omitempty"` // a host folder that is made when it is missing
	FlatRO    bool     `json:",omitempty"` // read-only does not extend to submounts
	ForceRO   bool     `json:",omitempty"` // and where it must but cannot, the start fails
	Subpath   string   `json:",omitempty"` // below a volume or image
	Lowers    []string `json:",omitempty"` // of an image, as in rootfs

	DriverOpts map[string]string `json:",omitempty"` // of a volume that is made for this mount
	Labels     map[string]string `json:",omitempty"`
}

var schema = store.Module{Name: "container", Steps: []string{`
CREATE TABLE containers (
	id         TEXT PRIMARY KEY,
	name       TEXT UNIQUE,          -- NULL while it is removed
	image      TEXT NOT NULL,
	image_id   TEXT NOT NULL,
	created    INTEGER NOT NULL,     -- unix nanoseconds, as all times
	status     TEXT NOT NULL,
	exit_code  INTEGER NOT NULL DEFAULT 0,
	error      TEXT NOT NULL DEFAULT '',
	oom        INTEGER NOT NULL DEFAULT 0,
	started    INTEGER NOT NULL DEFAULT 0,
	finished   INTEGER NOT NULL DEFAULT 0,
	restarts   INTEGER NOT NULL DEFAULT 0,
	stopped    INTEGER NOT NULL DEFAULT 0,
	brief      TEXT NOT NULL,        -- JSON: what lists show and filter by
	spec       TEXT NOT NULL         -- JSON: config, host config, networking, rootfs, mounts
) WITHOUT ROWID;
CREATE INDEX containers_image ON containers (image_id);
CREATE INDEX containers_status ON containers (status);
`, `
CREATE TABLE container_images ( -- images that are mounted into containers
	image     TEXT NOT NULL,
	container TEXT NOT NULL REFERENCES containers (id) ON DELETE CASCADE,
	PRIMARY KEY (image, container)
) WITHOUT ROWID;
CREATE INDEX container_images_container ON container_images (container);
CREATE TABLE container_trash ( -- rows of containers that are being removed, and can still come back
	id         TEXT PRIMARY KEY REFERENCES containers (id) ON DELETE CASCADE,
	name       TEXT NOT NULL,
	status     TEXT NOT NULL,
	operation  TEXT NOT NULL,
	removed_at INTEGER NOT NULL,
	size       INTEGER NOT NULL DEFAULT -1 -- bytes of the writable layer and the log; -1: not measured
) WITHOUT ROWID;
`, `
ALTER TABLE container_trash ADD COLUMN volumes INTEGER NOT NULL DEFAULT 0; -- anonymous ones go, too
ALTER TABLE container_trash ADD COLUMN aside INTEGER NOT NULL DEFAULT 0;   -- it has let go of its volumes
`}}

// specColumn is the part of a record that is written once and read whole.
type specColumn struct {
	Config     *container.Config
	HostConfig *container.HostConfig
	Networking *network.NetworkingConfig `json:",omitempty"`
	Rootfs     rootfs
	Mounts     []mountPoint `json:",omitempty"`
	labels
}

func specOf(r *record) specColumn {
	return specColumn{r.Config, r.HostConfig, r.Networking, r.Rootfs, r.Mounts, r.labels}
}

const (
	stateColumns = `id, COALESCE(name, ''), image, image_id, created, status, exit_code, error, oom, started, finished, restarts, stopped`
	columns      = stateColumns + `, spec`
)

type scanner interface{ Scan(...any) error }

// scanRow reads a row whose last column is JSON, which it returns as it is.
func scanRow(row scanner) (r *record, content []byte, err error) {
	r = &record{}
	var made, started, finished int64
	err = row.Scan(&r.ID, &r.Name, &r.Image, &r.ImageID, &made, &r.Status, &r.ExitCode, &r.Error, &r.OOMKilled,
		&started, &finished, &r.RestartCount, &r.Stopped, &content)
	r.Created, r.StartedAt, r.FinishedAt = fromNano(made), fromNano(started), fromNano(finished)
	return r, content, err
}

func (m *Module) scan(row scanner) (*record, error) {
	r, content, err := scanRow(row)
	if err != nil {
		return nil, err
	}
	s, err := m.specs.decode(r.ID, content)
	if err != nil {
		return nil, fmt.Errorf("read the record of container %s: %w", r.ID, err)
	}
	r.Config, r.HostConfig, r.Networking, r.Rootfs, r.Mounts, r.labels = s.Config, s.HostConfig, s.Networking, s.Rootfs, s.Mounts, s.labels
	return r, nil
}

func fromNano(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.Unix(0, n).UTC()
}

func toNano(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixNano()
}

// insert writes a new record. A name that is taken gives docker's conflict.
func (m *Module) insert(ctx context.Context, r *record) error {
	spec, err := json.Marshal(specOf(r))
	if err != nil {
		return fmt.Errorf("record container %s: %w", r.Name, err)
	}
	brief, err := json.Marshal(briefOf(r))
	if err != nil {
		return fmt.Errorf("record container %s: %w", r.Name, err)
	}
	res, err := m.write(ctx, `INSERT INTO containers (id, name, image, image_id, created, status, brief, spec)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (name) DO NOTHING`,
		r.ID, r.Name, r.Image, r.ImageID, toNano(r.Created), r.Status, string(brief), string(spec))
	if err != nil {
		return fmt.Errorf("record container %s: %w", r.Name, err)
	}
	n, err := res.RowsAffected()
	if err != nil {
		return fmt.Errorf("record container %s: %w", r.Name, err)
	}
	if n == 0 {
		return m.nameTaken(ctx, r.Name)
	}
	return m.insertImages(ctx, r)
}

// insertImages remembers the images that are mounted, for those who remove images.
func (m *Module) insertImages(ctx context.Context, r *record) error {
	for _, p := range r.Mounts {
		if p.Type != mount.TypeImage {
			continue
		}
		if _, err := m.write(ctx, `INSERT OR IGNORE INTO container_images (image, container) VALUES (?, ?)`, p.Name, r.ID); err != nil {
			return fmt.Errorf("record container %s: %w", r.Name, err)
		}
	}
	return nil
}

func (m *Module) nameTaken(ctx context.Context, name string) error {
	var id string
	if err := m.db.QueryRowContext(ctx, `SELECT id FROM containers WHERE name = ?`, name).Scan(&id); err != nil && !errors.Is(err, sql.ErrNoRows) {
		return fmt.Errorf("look up container %s: %w", name, err)
	}
	return errdefs.ErrConflict.WithMessage(fmt.Sprintf("Conflict. The container name %q is already in use by container %q. "+
		"You have to remove (or rename) that container to be able to reuse that name.", "/"+name, id))
}

// find resolves a full id, a name, or the beginning of an id, in this order, as docker does.
func (m *Module) find(ctx context.Context, nameOrID string) (*record, error) {
	name := strings.TrimPrefix(nameOrID, "/")
	r, err := m.scan(m.db.QueryRowContext(ctx, `SELECT `+columns+` FROM containers WHERE (id = ?1 OR name = ?1) AND name IS NOT NULL
		ORDER BY id = ?1 DESC LIMIT 1`, name))
	if err == nil || !errors.Is(err, sql.ErrNoRows) {
		return r, wrapLookup(nameOrID, err)
	}
	if strings.Contains(name, "/") {
		return m.findLinked(ctx, nameOrID)
	}
	if name == "" || strings.Trim(name, "0123456789abcdef") != "" {
		return nil, noSuchContainer(nameOrID)
	}
	found, err := m.query(ctx, `WHERE id >= ?1 AND id < ?1 || 'g' AND name IS NOT NULL LIMIT 2`, name)
	switch {
	case err != nil:
		return nil, err
	case len(found) == 0:
		return nil, noSuchContainer(nameOrID)
	case len(found) > 1:
		return nil, errdefs.ErrInvalidArgument.WithMessage("Multiple IDs found with provided prefix: " + name)
	}
	return found[0], nil
}

// resolve is find for whoever reads the record again under the lock: a full id
// is taken at its word.
func (m *Module) resolve(ctx context.Context, nameOrID string) (id string, err error) {
	if len(nameOrID) == 64 && strings.Trim(nameOrID, "0123456789abcdef") == "" {
		return nameOrID, nil
	}
	r, err := m.find(ctx, nameOrID)
	if err != nil {
		return "", err
	}
	return r.ID, nil
}

func wrapLookup(name string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("look up container %s: %w", name, err)
}

func noSuchContainer(name string) error {
	return errdefs.ErrNotFound.WithMessage("No such container: " + name)
}

// byID reads a record that may be in removal; errdefs.ErrNotFound when it is gone.
func (m *Module) byID(ctx context.Context, id string) (*record, error) {
	r, err := m.scan(m.db.QueryRowContext(ctx, `SELECT `+columns+` FROM containers WHERE id = ?`, id))
	if errors.Is(err, sql.ErrNoRows) {
		return nil, noSuchContainer(id)
	}
	return r, wrapLookup(id, err)
}

func (m *Module) query(ctx context.Context, where string, args ...any) ([]*record, error) {
	return m.queryRows(ctx, m.scan, `SELECT `+columns+` FROM containers `+where, args...)
}

func (m *Module) queryRows(ctx context.Context, scan func(scanner) (*record, error), query string, args ...any) ([]*record, error) {
	rows, err := m.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, fmt.Errorf("list containers: %w", err)
	}
	defer rows.Close()
	var found []*record
	for rows.Next() {
		r, err := scan(rows)
		if err != nil {
			return nil, err
		}
		found = append(found, r)
	}
	return found, rows.Err()
}

// saveState writes how the container fares now, unless it is being removed.
func (m *Module) saveState(ctx context.Context, r *record) error {
	_, err := m.write(ctx, `UPDATE containers SET status = ?, exit_code = ?, error = ?, oom = ?, started = ?,
		finished = ?, restarts = ?, stopped = ? WHERE id = ? AND status <> 'removing'`,
		r.Status, r.ExitCode, r.Error, r.OOMKilled, toNano(r.StartedAt), toNano(r.FinishedAt), r.RestartCount, r.Stopped, r.ID)
	if err != nil {
		return fmt.Errorf("record the state of container %s: %w", r.Name, err)
	}
	return nil
}

// write changes rows. SQLite lets those who wait for its write lock sleep and
// ask again, ever longer; the goroutines of one process take turns instead, as
// when one command removes hundreds of containers.
func (m *Module) write(ctx context.Context, statement string, args ...any) (sql.Result, error) {
	m.writing.Lock()
	defer m.writing.Unlock()
	return m.db.ExecContext(ctx, statement, args...)
}

// leaving is a container on its way out.
type leaving struct {
	*record
	waits     bool // in the trash
	volumes   bool // anonymous ones go, too
	connected bool // it has addresses and ports
	held      bool // something that others may want: volumes, addresses, ports
	marked    bool // by this removal: nobody else was quicker
}

// markRemoving hides containers and frees their names; from here on each
// removal is finished by whoever comes next, even after a crash, or it waits in
// the trash.
func (m *Module) markRemoving(ctx context.Context, list ...*leaving) error {
	m.writing.Lock() // see write
	defer m.writing.Unlock()
	tx, err := m.store.Begin(ctx)
	if err != nil {
		return fmt.Errorf("mark containers for removal: %w", err)
	}
	defer tx.Rollback()
	for _, l := range list {
		if err := l.mark(ctx, tx); err != nil {
			return fmt.Errorf("mark container %s for removal: %w", l.ID, err)
		}
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("mark containers for removal: %w", err)
	}
	return nil
}

func (l *leaving) mark(ctx context.Context, tx *store.Tx) error {
	res, err := tx.ExecContext(ctx, `UPDATE containers SET status = 'removing', name = NULL WHERE id = ? AND status <> 'removing'`, l.ID)
	if err != nil {
		return err
	}
	n, err := res.RowsAffected()
	l.marked = n > 0
	if err != nil || n == 0 || !l.waits {
		return err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO container_trash (id, name, status, operation, removed_at, volumes, aside) VALUES (?, ?, ?, ?, ?, ?, ?)`,
		l.ID, l.Name, l.Status, backend.Operation(ctx), time.Now().UnixNano(), l.volumes, !l.held)
	return err
}

func (m *Module) deleteRecord(ctx context.Context, id string) error {
	if _, err := m.write(ctx, `DELETE FROM containers WHERE id = ?`, id); err != nil {
		return fmt.Errorf("delete the record of container %s: %w", id, err)
	}
	return nil
}

// keepRootfs and lowerDirs translate between the image's folders and the
// record's, which are relative so that a data root can move.
func (m *Module) keepRootfs(root backend.Rootfs) rootfs {
	kept := rootfs{OS: root.Platform.OS, Architecture: root.Platform.Architecture}
	for _, dir := range root.LowerDirs {
		if rel, err := filepath.Rel(m.paths.Data, dir); err == nil && filepath.IsLocal(rel) {
			dir = rel
		}
		kept.LowerDirs = append(kept.LowerDirs, dir)
	}
	return kept
}

func (m *Module) lowerDirs(r *record) []string { return m.absolute(r.Rootfs.LowerDirs) }

func (m *Module) absolute(kept []string) []string {
	dirs := make([]string, len(kept))
	for i, dir := range kept {
		if !filepath.IsAbs(dir) {
			dir = filepath.Join(m.paths.Data, dir)
		}
		dirs[i] = dir
	}
	return dirs
}
