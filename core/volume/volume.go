// Package volume keeps local volumes: folders that outlive containers. A
// volume's files lie in <volumes>/<name>/_data, what is known of it in SQLite:
// labels, options and which containers use it. What containers put into a
// volume is theirs: this package never follows a symbolic link in it.
package volume

import (
	"context"
	"crypto/rand"
	"database/sql"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/volume"

	"github.com/nacre-sh/nacre/core/filter"
	"github.com/nacre-sh/nacre/core/store"
	"github.com/nacre-sh/nacre/core/trash"
)

const (
	localDriver    = "local"
	dataFolder     = "_data"
	removedPrefix  = ".removed-"                   // no volume's name begins with a dot
	anonymousLabel = "com.docker.volume.anonymous" // docker's mark of a volume that nobody named
)

var schema = store.Module{Name: "volume", Steps: []string{`
CREATE TABLE volumes (
	name    TEXT PRIMARY KEY,
	created INTEGER NOT NULL, -- unix nanoseconds
	labels  TEXT NOT NULL     -- JSON object
) WITHOUT ROWID;
CREATE TABLE volume_users (
	volume    TEXT NOT NULL REFERENCES volumes (name),
	container TEXT NOT NULL,
	PRIMARY KEY (volume, container)
) WITHOUT ROWID;
CREATE INDEX volume_users_container ON volume_users (container);
`, `
ALTER TABLE volumes ADD COLUMN options TEXT NOT NULL DEFAULT ''; -- JSON object, of the driver
CREATE TABLE volume_mounts ( -- running containers that need what the options say mounted
	volume    TEXT NOT NULL,
	container TEXT NOT NULL,
	PRIMARY KEY (volume, container)
) WITHOUT ROWID;
CREATE INDEX volume_mounts_container ON volume_mounts (container);
CREATE TABLE volume_trash (
	folder     TEXT PRIMARY KEY, -- where the files wait
	name       TEXT NOT NULL,
	created    INTEGER NOT NULL,
	labels     TEXT NOT NULL,
	options    TEXT NOT NULL,
	operation  TEXT NOT NULL,
	removed_at INTEGER NOT NULL,
	size       INTEGER NOT NULL DEFAULT -1 -- bytes; -1: not measured
) WITHOUT ROWID;
`}}

// Events is told what happened.
type Events interface {
	Append(...events.Message) error
}

// Options is what the module works with. Only the store is needed.
type Options struct {
	Store    *store.Store
	Events   Events      // nil: events go nowhere
	Settings *trash.File // nil: removed volumes do not wait
}

// Volumes is one engine's volumes.
type Volumes struct {
	store    *store.Store
	events   Events
	settings *trash.File
}

// New prepares the records.
func New(ctx context.Context, o Options) (*Volumes, error) {
	if err := o.Store.Migrate(ctx, schema); err != nil {
		return nil, err
	}
	return &Volumes{store: o.Store, events: o.Events, settings: o.Settings}, nil
}

// record is a volume as remembered.
type record struct {
	name    string
	created time.Time
	labels  map[string]string
	options map[string]string // of the driver; none: a plain folder
	users   []string          // container ids
}

func (r record) anonymous() bool {
	_, ok := r.labels[anonymousLabel]
	return ok
}

func (v *Volumes) describe(r record) volume.Volume {
	return volume.Volume{
		Name: r.name, Driver: localDriver, Scope: "local", Mountpoint: v.mountpoint(r.name),
		CreatedAt: r.created.Format(time.RFC3339), Labels: r.labels, Options: r.options,
	}
}

func (v *Volumes) mountpoint(name string) string {
	return filepath.Join(v.store.Paths.Volumes(), name, dataFolder)
}

// VolumeList returns the volumes that match, by name: filters dangling, name, label, driver.
func (v *Volumes) VolumeList(ctx context.Context, filters filter.Args) ([]volume.Volume, error) {
	if err := filters.Validate("dangling", "name", "label", "label!", "driver"); err != nil {
		return nil, err
	}
	dangling, err := filters.Bool("dangling", false)
	if err != nil {
		return nil, err
	}
	all, err := query(ctx, v.store.DB, "")
	if err != nil {
		return nil, err
	}
	list := []volume.Volume{}
	for _, r := range all {
		named := filters.Any("name", func(want string) bool { return strings.Contains(r.name, want) })
		unused := !filters.Has("dangling") || dangling == (len(r.users) == 0)
		if named && unused && filters.Labels(r.labels) && filters.Exact("driver", localDriver) {
			list = append(list, v.describe(r))
		}
	}
	return list, nil
}

// VolumeInspect finds a volume by its full name; errdefs.ErrNotFound otherwise.
func (v *Volumes) VolumeInspect(ctx context.Context, name string) (volume.Volume, error) {
	r, err := get(ctx, v.store.DB, name)
	if err != nil {
		return volume.Volume{}, err
	}
	return v.describe(r), nil
}

// VolumeCreate creates a volume, or returns the one that has the name already.
func (v *Volumes) VolumeCreate(ctx context.Context, req volume.CreateRequest) (volume.Volume, error) {
	vol, _, err := v.ensure(ctx, request{name: req.Name, driver: req.Driver, options: req.DriverOpts, labels: req.Labels})
	return vol, err
}

// VolumeRemove removes a volume; its files wait in the trash, where that is on.
// Errors are errdefs.ErrNotFound (none with force) and errdefs.ErrConflict
// while a container, running or not, uses it, which force does not change.
func (v *Volumes) VolumeRemove(ctx context.Context, name string, force bool) error {
	var gone removed
	err := v.transaction(ctx, func(tx *sql.Tx) error {
		r, err := removable(ctx, tx, name)
		if err != nil {
			return err
		}
		gone, err = v.remove(ctx, tx, r)
		return err
	})
	if force && errdefs.IsNotFound(err) {
		return nil
	}
	if err != nil {
		return err
	}
	return v.finish(ctx, gone)
}

// removable finds a volume that nothing keeps.
func removable(ctx context.Context, q querier, name string) (record, error) {
	r, err := get(ctx, q, name)
	if err == nil && len(r.users) > 0 {
		err = errdefs.ErrConflict.WithMessage(fmt.Sprintf("remove %s: volume is in use - [%s]", name, strings.Join(r.users, ", ")))
	}
	return r, err
}

// Acquire marks a volume as used by a container and creates it where it is
// missing; an empty name makes a new anonymous volume. A volume in use cannot
// be removed. Errors are errdefs.ErrInvalidArgument, also for options that mean
// nothing, and errdefs.ErrNotFound for an unknown driver.
func (v *Volumes) Acquire(ctx context.Context, containerID, name, driver string, options, labels map[string]string) (vol volume.Volume, created bool, err error) {
	return v.ensure(ctx, request{name: name, driver: driver, options: options, labels: labels, user: containerID})
}

// Release ends a container's use of all its volumes; with removeAnonymous,
// those that were made for it without a name go, unless another one uses them.
func (v *Volumes) Release(ctx context.Context, containerID string, removeAnonymous bool) error {
	var gone []removed
	err := v.transaction(ctx, func(tx *sql.Tx) error {
		used, err := query(ctx, tx, `WHERE name IN (SELECT volume FROM volume_users WHERE container = ?)`, containerID)
		if err != nil {
			return err
		}
		if len(used) == 0 {
			return nil
		}
		if _, err := tx.ExecContext(ctx, `DELETE FROM volume_users WHERE container = ?`, containerID); err != nil {
			return fmt.Errorf("release the volumes of container %s: %w", containerID, err)
		}
		for _, r := range used {
			if !removeAnonymous || !r.anonymous() || len(r.users) > 1 {
				continue
			}
			one, err := v.remove(ctx, tx, r)
			if err != nil {
				return err
			}
			gone = append(gone, one)
		}
		return nil
	})
	if err != nil {
		return err
	}
	return v.finish(ctx, gone...)
}

// request asks for a volume.
type request struct {
	name, driver    string
	options, labels map[string]string
	user            string // container id; empty: none
}

func (v *Volumes) ensure(ctx context.Context, req request) (vol volume.Volume, created bool, err error) {
	if req.labels = maps.Clone(req.labels); req.labels == nil {
		req.labels = map[string]string{}
	}
	if req.name == "" {
		req.name = newName()
		req.labels[anonymousLabel] = ""
	}
	if err := req.validate(); err != nil {
		return vol, false, err
	}
	err = v.transaction(ctx, func(tx *sql.Tx) error {
		r, err := get(ctx, tx, req.name)
		if errdefs.IsNotFound(err) {
			if err := v.settle(ctx, tx, req.name); err != nil {
				return err
			}
			if err := validateOptions(req.name, req.options); err != nil { // of one that is there they are overlooked, as in docker
				return err
			}
			created = true
			r, err = create(ctx, tx, req)
		}
		if err != nil {
			return err
		}
		if err := v.makeFolder(r.name); err != nil {
			return err
		}
		vol = v.describe(r)
		if req.user == "" {
			return nil
		}
		_, err = tx.ExecContext(ctx, `INSERT OR IGNORE INTO volume_users (volume, container) VALUES (?, ?)`, r.name, req.user)
		if err != nil {
			return fmt.Errorf("record the use of volume %s: %w", r.name, err)
		}
		return nil
	})
	if err == nil && created {
		err = v.emit(events.ActionCreate, vol.Name, nil)
	}
	return vol, created, err
}

var validName = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`^[a-zA-Z0-9][a-zA-Z0-9_.-]+$`) })

func (req request) validate() error {
	if len(req.name) == 1 {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("create %s: volume name is too short, names should be at least two alphanumeric characters", req.name))
	}
	if !validName().MatchString(req.name) {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(
			"create %s: %q includes invalid characters for a local volume name, only \"[a-zA-Z0-9][a-zA-Z0-9_.-]\" are allowed. If you intended to pass a host directory, use absolute path", req.name, req.name))
	}
	if req.driver != "" && req.driver != localDriver {
		return errdefs.ErrNotFound.WithMessage(fmt.Sprintf("create %s: error looking up volume plugin %s: plugin %q not found", req.name, req.driver, req.driver))
	}
	return nil
}

// newName is docker's kind of name for an anonymous volume.
func newName() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}

func create(ctx context.Context, tx *sql.Tx, req request) (record, error) {
	r := record{name: req.name, created: time.Now(), labels: req.labels, options: req.options}
	labels, err := json.Marshal(r.labels)
	if err != nil {
		return r, fmt.Errorf("create volume %s: %w", r.name, err)
	}
	options, err := marshalOptions(r.options)
	if err != nil {
		return r, fmt.Errorf("create volume %s: %w", r.name, err)
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO volumes (name, created, labels, options) VALUES (?, ?, ?, ?)`,
		r.name, r.created.UnixNano(), labels, options)
	if err != nil {
		return r, fmt.Errorf("create volume %s: %w", r.name, err)
	}
	return r, nil
}

// makeFolder creates a volume's folder where it is missing.
func (v *Volumes) makeFolder(name string) error {
	root, err := os.OpenRoot(v.store.Paths.Volumes())
	if err != nil {
		return fmt.Errorf("create volume %s: %w", name, err)
	}
	defer root.Close()
	for _, f := range []struct {
		path string
		mode os.FileMode
	}{{name, 0o701}, {filepath.Join(name, dataFolder), 0o755}} {
		err := root.Mkdir(f.path, f.mode)
		if errors.Is(err, fs.ErrExist) {
			continue
		}
		if err == nil {
			err = root.Chmod(f.path, f.mode) // whatever the umask
		}
		if err != nil {
			return fmt.Errorf("create volume %s: %w", name, err)
		}
	}
	return nil
}

func (v *Volumes) transaction(ctx context.Context, do func(*sql.Tx) error) error {
	tx, err := v.store.DB.BeginTx(ctx, nil)
	if err != nil {
		return fmt.Errorf("change volumes: %w", err)
	}
	defer tx.Rollback()
	if err := do(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("change volumes: %w", err)
	}
	return nil
}

// unmarshal reads the columns that are JSON.
func (r *record) unmarshal(labels, options []byte) error {
	if err := json.Unmarshal(labels, &r.labels); err != nil || len(options) == 0 {
		return err
	}
	return json.Unmarshal(options, &r.options)
}

func marshalOptions(options map[string]string) (string, error) {
	if len(options) == 0 {
		return "", nil
	}
	raw, err := json.Marshal(options)
	return string(raw), err
}

func (v *Volumes) emit(action events.Action, name string, extra map[string]string) error {
	if v.events == nil {
		return nil
	}
	attributes := map[string]string{"driver": localDriver}
	maps.Copy(attributes, extra)
	err := v.events.Append(events.Message{Type: events.VolumeEventType, Action: action, Actor: events.Actor{ID: name, Attributes: attributes}})
	if err != nil {
		return fmt.Errorf("log the event %s of volume %s: %w", action, name, err)
	}
	return nil
}

type querier interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
}

func get(ctx context.Context, q querier, name string) (record, error) {
	found, err := query(ctx, q, `WHERE name = ?`, name)
	if err != nil {
		return record{}, err
	}
	if len(found) == 0 {
		return record{}, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("get %s: no such volume", name))
	}
	return found[0], nil
}

func query(ctx context.Context, q querier, where string, args ...any) ([]record, error) {
	rows, err := q.QueryContext(ctx, `SELECT name, created, labels, options, container FROM volumes LEFT JOIN volume_users ON volume = name `+
		where+` ORDER BY name, container`, args...)
	if err != nil {
		return nil, fmt.Errorf("read volumes: %w", err)
	}
	defer rows.Close()
	var all []record
	for rows.Next() {
		var r record
		var created int64
		var labels, options []byte
		var user sql.NullString
		if err := rows.Scan(&r.name, &created, &labels, &options, &user); err != nil {
			return nil, fmt.Errorf("read volumes: %w", err)
		}
		if len(all) == 0 || all[len(all)-1].name != r.name {
			r.created = time.Unix(0, created)
			if err := r.unmarshal(labels, options); err != nil {
				return nil, fmt.Errorf("read volume %s: %w", r.name, err)
			}
			all = append(all, r)
		}
		if user.Valid {
			last := &all[len(all)-1]
			last.users = append(last.users, user.String)
		}
	}
	return all, rows.Err()
}
