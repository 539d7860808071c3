package image

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
	"github.com/distribution/reference"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/identity"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/store"
)

// record is an image as the index has it, without its big parts.
type record struct {
	ID       digest.Digest
	Parent   digest.Digest // "" for a pulled image
	Created  time.Time     // zero: not known
	TaggedAt time.Time
	Platform ocispec.Platform
	Labels   map[string]string
	Size     int64
}

// layer is a layer in containers/storage.
type layer struct {
	Chain, Parent, DiffID digest.Digest
	Folder                string // relative to the layer store's root
	Size                  int64
}

// queryer is a database or a transaction in it.
type queryer interface {
	QueryContext(ctx context.Context, query string, args ...any) (*sql.Rows, error)
	QueryRowContext(ctx context.Context, query string, args ...any) *sql.Row
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// each runs a query and calls scan for every row.
func each(ctx context.Context, q queryer, scan func(*sql.Rows) error, query string, args ...any) error {
	rows, err := q.QueryContext(ctx, query, args...)
	if err != nil {
		return fmt.Errorf("read the image index: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		if err := scan(rows); err != nil {
			return fmt.Errorf("read the image index: %w", err)
		}
	}
	if err := rows.Err(); err != nil {
		return fmt.Errorf("read the image index: %w", err)
	}
	return nil
}

// change runs fn in one transaction.
func (s *Service) change(ctx context.Context, fn func(tx *store.Tx) error) error {
	tx, err := s.store.Begin(ctx)
	if err != nil {
		return fmt.Errorf("change the image index: %w", err)
	}
	defer tx.Rollback()
	if err := fn(tx); err != nil {
		return err
	}
	if err := tx.Commit(); err != nil {
		return fmt.Errorf("change the image index: %w", err)
	}
	return nil
}

func exec(ctx context.Context, q queryer, statement string, args ...any) error {
	if _, err := q.ExecContext(ctx, statement, args...); err != nil {
		return fmt.Errorf("change the image index: %w", err)
	}
	return nil
}

const recordColumns = `id, parent, created_at, tagged_at, os, architecture, variant, labels, size`

func scanRecord(rows interface{ Scan(...any) error }) (record, error) {
	var r record
	var created, tagged int64
	var labels string
	err := rows.Scan(&r.ID, &r.Parent, &created, &tagged, &r.Platform.OS, &r.Platform.Architecture, &r.Platform.Variant, &labels, &r.Size)
	if err != nil {
		return r, err
	}
	if tagged != 0 {
		r.TaggedAt = time.Unix(0, tagged).UTC()
	}
	return r, r.fill(created, labels)
}

// fill takes over what the index keeps in another form.
func (r *record) fill(created int64, labels string) error {
	if created != 0 {
		r.Created = time.Unix(0, created).UTC()
	}
	if labels == "" {
		return nil
	}
	return json.Unmarshal([]byte(labels), &r.Labels)
}

// resolve finds an image by reference, full id, or the beginning of an id, in
// docker's order: a name wins over an id. It fails with errdefs.ErrNotFound,
// and errdefs.ErrInvalidArgument for what can be neither.
func resolve(ctx context.Context, q queryer, name string) (digest.Digest, error) {
	ref, err := reference.ParseAnyReference(name)
	if err != nil {
		return "", errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid reference format: %s", name))
	}
	if named, ok := ref.(reference.Named); ok {
		id, err := lookup(ctx, q, reference.TagNameOnly(named))
		if err == nil || !errors.Is(err, sql.ErrNoRows) {
			return id, err
		}
		ref = reference.TagNameOnly(named)
	}
	id, err := byPrefix(ctx, q, name)
	if errors.Is(err, sql.ErrNoRows) {
		return "", errdefs.ErrNotFound.WithMessage("No such image: " + reference.FamiliarString(ref))
	}
	return id, err
}

// lookup finds a reference; sql.ErrNoRows without one. A name with tag and
// digest is found by its digest.
func lookup(ctx context.Context, q queryer, named reference.Named) (digest.Digest, error) {
	var id digest.Digest
	var row *sql.Row
	if c, ok := named.(reference.Canonical); ok {
		row = q.QueryRowContext(ctx, `SELECT image FROM repo_digests WHERE repo = ? AND digest = ?`, c.Name(), c.Digest().String())
	} else {
		row = q.QueryRowContext(ctx, `SELECT image FROM names WHERE name = ?`, named.String())
	}
	if err := row.Scan(&id); err != nil {
		return "", err
	}
	return id, nil
}

func byPrefix(ctx context.Context, q queryer, prefix string) (digest.Digest, error) {
	hex := strings.TrimPrefix(prefix, "sha256:")
	if hex == "" || strings.Trim(hex, "0123456789abcdef") != "" || len(hex) > 64 {
		return "", sql.ErrNoRows
	}
	var found []digest.Digest
	err := each(ctx, q, func(rows *sql.Rows) error {
		var id digest.Digest
		err := rows.Scan(&id)
		found = append(found, id)
		return err
	}, `SELECT id FROM images WHERE id >= ? AND id < ? AND removed_at IS NULL LIMIT 2`, "sha256:"+hex, "sha256:"+hex+"g")
	switch {
	case err != nil:
		return "", err
	case len(found) == 0:
		return "", sql.ErrNoRows
	case len(found) > 1:
		return "", errdefs.ErrInvalidArgument.WithMessage("ambiguous image ID prefix: " + prefix)
	}
	return found[0], nil
}

// find resolves a name and reads the image's record.
func find(ctx context.Context, q queryer, name string) (record, error) {
	id, err := resolve(ctx, q, name)
	if err != nil {
		return record{}, err
	}
	r, err := get(ctx, q, id)
	if errors.Is(err, sql.ErrNoRows) {
		return record{}, errdefs.ErrNotFound.WithMessage("No such image: " + name)
	}
	return r, err
}

// get reads a live image's record; sql.ErrNoRows without one.
func get(ctx context.Context, q queryer, id digest.Digest) (record, error) {
	return scanRecord(q.QueryRowContext(ctx, `SELECT `+recordColumns+` FROM images WHERE id = ? AND removed_at IS NULL`, id.String()))
}

func configOf(ctx context.Context, q queryer, id digest.Digest) (dockerspec.DockerOCIImage, error) {
	var raw []byte
	var config dockerspec.DockerOCIImage
	if err := q.QueryRowContext(ctx, `SELECT config FROM images WHERE id = ?`, id.String()).Scan(&raw); err != nil {
		return config, fmt.Errorf("read the config of image %s: %w", shortID(id), err)
	}
	if err := json.Unmarshal(raw, &config); err != nil {
		return config, fmt.Errorf("read the config of image %s: %w", shortID(id), err)
	}
	return config, nil
}

// refsOf lists the names of one image.
func refsOf(ctx context.Context, q queryer, id digest.Digest) (refs, error) {
	all, err := allRefs(ctx, q, ` WHERE image = ?`, id.String())
	return all[id], err
}

// allRefs lists the names of all images, or of those that the condition selects.
func allRefs(ctx context.Context, q queryer, where string, args ...any) (map[digest.Digest]refs, error) {
	out := map[digest.Digest]refs{}
	collect := func(canonical bool) func(*sql.Rows) error {
		return func(rows *sql.Rows) error {
			var id digest.Digest
			r := ref{canonical: canonical}
			err := rows.Scan(&id, &r.full)
			out[id] = append(out[id], r)
			return err
		}
	}
	if err := each(ctx, q, collect(false), `SELECT image, name FROM names`+where+` ORDER BY name`, args...); err != nil {
		return nil, err
	}
	err := each(ctx, q, collect(true), `SELECT image, repo || '@' || digest FROM repo_digests`+where+` ORDER BY repo, digest`, args...)
	return out, err
}

// layersOf lists an image's layers, bottom first.
func layersOf(ctx context.Context, q queryer, id digest.Digest) ([]layer, error) {
	var out []layer
	err := each(ctx, q, func(rows *sql.Rows) error {
		var l layer
		err := rows.Scan(&l.Chain, &l.Parent, &l.DiffID, &l.Folder, &l.Size)
		out = append(out, l)
		return err
	}, `SELECT l.chain, l.parent, l.diff_id, l.folder, l.size FROM image_layers i JOIN layers l ON l.chain = i.chain
		WHERE i.image = ? ORDER BY i.position`, id.String())
	return out, err
}

// layerOf reads a layer's row; sql.ErrNoRows without one.
func layerOf(ctx context.Context, q queryer, chain digest.Digest) (layer, error) {
	var l layer
	err := q.QueryRowContext(ctx, `SELECT chain, parent, diff_id, folder, size FROM layers WHERE chain = ?`, chain.String()).
		Scan(&l.Chain, &l.Parent, &l.DiffID, &l.Folder, &l.Size)
	return l, err
}

// addLayer records a layer that containers/storage holds completely.
func addLayer(ctx context.Context, q queryer, l layer) error {
	return exec(ctx, q, `INSERT INTO layers (chain, parent, diff_id, folder, size, made_at) VALUES (?, ?, ?, ?, ?, ?)
		ON CONFLICT (chain) DO UPDATE SET folder = excluded.folder, size = excluded.size, made_at = excluded.made_at`,
		l.Chain.String(), l.Parent.String(), l.DiffID.String(), l.Folder, l.Size, time.Now().UnixNano())
}

// chainIDs gives the chain ID of every layer, bottom first.
func chainIDs(diffIDs []digest.Digest) []digest.Digest {
	return identity.ChainIDs(append([]digest.Digest(nil), diffIDs...))
}

// newImage is what it takes to put an image into the index.
type newImage struct {
	Config         []byte
	Manifest       []byte
	ManifestType   string
	ManifestDigest digest.Digest
	Parent         digest.Digest
}

// addImage puts an image whose layers are all recorded into the index, or
// takes it out of the trash, and returns its id.
func addImage(ctx context.Context, tx *store.Tx, in newImage) (digest.Digest, error) {
	id := digest.FromBytes(in.Config)
	var config dockerspec.DockerOCIImage
	if err := json.Unmarshal(in.Config, &config); err != nil {
		return "", fmt.Errorf("read the config of image %s: %w", shortID(id), err)
	}
	chains := chainIDs(config.RootFS.DiffIDs)
	var size int64
	for _, chain := range chains {
		l, err := layerOf(ctx, tx, chain)
		if err != nil {
			return "", fmt.Errorf("record image %s: layer %s: %w", shortID(id), shortID(chain), err)
		}
		size += l.Size
	}
	labels := ""
	if len(config.Config.Labels) > 0 {
		raw, err := json.Marshal(config.Config.Labels)
		if err != nil {
			return "", err
		}
		labels = string(raw)
	}
	var created int64
	if config.Created != nil && !config.Created.IsZero() {
		created = config.Created.UnixNano()
	}
	err := exec(ctx, tx, `INSERT INTO images (id, config, manifest, manifest_type, manifest_digest, parent, created_at, os, architecture, variant, labels, size)
		VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET removed_at = NULL`,
		id.String(), in.Config, append([]byte{}, in.Manifest...), in.ManifestType, in.ManifestDigest.String(), in.Parent.String(), created,
		config.OS, config.Architecture, config.Variant, labels, size)
	if err != nil {
		return "", err
	}
	for i, chain := range chains {
		err := exec(ctx, tx, `INSERT INTO image_layers (image, position, chain) VALUES (?, ?, ?) ON CONFLICT DO NOTHING`, id.String(), i, chain.String())
		if err != nil {
			return "", err
		}
	}
	return id, nil
}

// setName points a tag at an image; what it pointed at before keeps no name of it.
func setName(ctx context.Context, q queryer, named reference.Named, id digest.Digest) error {
	now := time.Now().UnixNano()
	err := exec(ctx, q, `INSERT INTO names (name, image, tagged_at) VALUES (?, ?, ?)
		ON CONFLICT (name) DO UPDATE SET image = excluded.image, tagged_at = excluded.tagged_at`, named.String(), id.String(), now)
	if err != nil {
		return err
	}
	return exec(ctx, q, `UPDATE images SET tagged_at = ? WHERE id = ?`, now, id.String())
}

// setRepoDigest remembers what a registry called an image.
func setRepoDigest(ctx context.Context, q queryer, repo string, d, id digest.Digest) error {
	return exec(ctx, q, `INSERT INTO repo_digests (repo, digest, image) VALUES (?, ?, ?)
		ON CONFLICT (repo, digest) DO UPDATE SET image = excluded.image`, repo, d.String(), id.String())
}

// addRepoDigest remembers what a registry called an image, unless another image
// has that digest: a list of platforms names one for each, and as in docker the
// one that came first keeps it.
func addRepoDigest(ctx context.Context, q queryer, repo string, d, id digest.Digest) error {
	return exec(ctx, q, `INSERT INTO repo_digests (repo, digest, image) VALUES (?, ?, ?)
		ON CONFLICT (repo, digest) DO UPDATE SET image = excluded.image
		WHERE NOT EXISTS (SELECT 1 FROM images WHERE id = repo_digests.image AND removed_at IS NULL)`, repo, d.String(), id.String())
}

// lowerDirs are the folders of an image's layers as overlay wants them: topmost first.
func (s *Service) lowerDirs(layers []layer) []string {
	dirs := make([]string, len(layers))
	for i, l := range layers {
		dirs[len(layers)-1-i] = filepath.Join(s.store.Paths.Layers(), l.Folder)
	}
	return dirs
}
