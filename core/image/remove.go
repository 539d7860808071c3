package image

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/events"
	"github.com/moby/moby/api/types/image"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/store"
)

// Remove takes a name away from an image, and the image away when that was its
// last name. The rules are docker's:
//
//   - a name: only that name goes, unless it is the last one and a container
//     uses the image (force overrides);
//   - an id: all names go, unless they are in several repositories or a
//     container uses the image (force overrides, except for running containers);
//   - an image with children or a running container is never deleted.
//
// Refusals are errdefs.ErrConflict, an unknown image is errdefs.ErrNotFound.
// The answer lists what happened in the order in which docker shows it. The
// layers' space is freed later, see Collect.
func (s *Service) Remove(ctx context.Context, name string, opts backend.ImageRemove) ([]image.DeleteResponse, error) {
	w, err := s.newRemoval(ctx, opts)
	if err != nil {
		return nil, err
	}
	// Containers are asked before the transaction: they are another module's tables.
	if err := w.findUsers(ctx, name); err != nil {
		return nil, err
	}
	err = s.change(ctx, func(tx *store.Tx) error { return w.remove(ctx, tx, name) })
	if err != nil {
		return nil, err
	}
	s.Kick()
	return w.records, s.emitAll(w.events)
}

// newRemoval is one request's work, not done yet.
func (s *Service) newRemoval(ctx context.Context, opts backend.ImageRemove) (*removal, error) {
	waits, err := s.trashOn(ctx)
	return &removal{Service: s, force: opts.Force, prune: !opts.NoPrune, waits: waits, platforms: opts.Platforms, operation: backend.Operation(ctx), now: time.Now()}, err
}

// removal is one request's work.
type removal struct {
	*Service
	force, prune bool
	waits        bool               // in the trash
	operation    string             // that it belongs to
	platforms    []ocispec.Platform // that the image must be for one of; empty: any
	now          time.Time
	users        map[digest.Digest][]User // of the image and of its ancestors

	records []image.DeleteResponse
	events  []imageEvent
}

type imageEvent struct {
	action events.Action
	id     digest.Digest
	name   string
	labels map[string]string
}

// findUsers finds the users of an image and of its ancestors.
func (w *removal) findUsers(ctx context.Context, name string) error {
	w.users = map[digest.Digest][]User{}
	r, err := find(ctx, w.store.DB, name)
	for err == nil {
		if w.users[r.ID], err = w.Service.users(ctx, r.ID); err != nil {
			return err
		}
		if r.Parent == "" {
			return nil
		}
		if r, err = get(ctx, w.store.DB, r.Parent); errors.Is(err, sql.ErrNoRows) {
			return nil
		}
	}
	return err
}

// step removes one of many, in a transaction that goes on when it is refused.
// The receiver has what all of them have in common and is not changed.
func (w *removal) step(ctx context.Context, tx *store.Tx, remove func(*removal) error) (*removal, error) {
	one := *w
	return &one, within(ctx, tx, func() error { return remove(&one) })
}

func (w *removal) remove(ctx context.Context, tx *store.Tx, name string) error {
	r, err := find(ctx, tx, name)
	if err != nil {
		return err
	}
	names, err := refsOf(ctx, tx, r.ID)
	if err != nil {
		return err
	}
	return w.removeFound(ctx, tx, name, r, names)
}

// removeFound removes an image that was found by name and has these names.
func (w *removal) removeFound(ctx context.Context, tx *store.Tx, name string, r record, names refs) error {
	if len(w.platforms) > 0 && !anyPlatform(r.Platform, w.platforms) {
		return matches(name, r, &w.platforms[0])
	}
	if isIDPrefix(r.ID, name) {
		if !single(names) {
			return w.delete(ctx, tx, r, names, false)
		}
		if err := w.conflict(ctx, tx, r.ID, nil); err != nil {
			return err
		}
		return w.take(ctx, tx, r, names)
	}
	if users := w.users[r.ID]; !w.force && single(names) && len(users) > 0 {
		return errdefs.ErrConflict.WithMessage(fmt.Sprintf(
			"conflict: unable to remove repository reference %q (must force) - container %s is using its referenced image %s",
			name, short(users[0].ID), shortID(r.ID)))
	}
	going, staying, err := splitNames(names, name)
	if err != nil {
		return err
	}
	if err := w.untag(ctx, tx, r, going); err != nil || len(staying) > 0 {
		return err
	}
	return w.delete(ctx, tx, r, nil, true)
}

// splitNames finds what goes with a name: the name itself and, when it is its
// repository's last tag, the repository's digests.
func splitNames(names refs, name string) (going, staying refs, err error) {
	parsed, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, nil, errdefs.ErrInvalidArgument.WithMessage(err.Error())
	}
	parsed = reference.TagNameOnly(parsed)
	if c, ok := parsed.(reference.Canonical); ok { // name:tag@digest counts as name@digest
		if parsed, err = reference.WithDigest(reference.TrimNamed(parsed), c.Digest()); err != nil {
			return nil, nil, err
		}
	}
	_, byDigest := parsed.(reference.Canonical)
	lastTag := !byDigest && !slices.ContainsFunc(names, func(n ref) bool {
		return !n.canonical && n.repo() == parsed.Name() && n.full != parsed.String()
	})
	for _, n := range names {
		if n.full == parsed.String() || lastTag && n.canonical && n.repo() == parsed.Name() {
			going = append(going, n)
		} else {
			staying = append(staying, n)
		}
	}
	return going, staying, nil
}

// single says whether names are at most one tag, with digests of the same repository only.
func single(names refs) bool {
	if len(names) <= 1 {
		return true
	}
	tag := ""
	repos := map[string]bool{}
	for _, n := range names {
		switch {
		case n.canonical:
			repos[n.repo()] = true
		case tag != "":
			return false
		default:
			tag = n.repo()
		}
	}
	if tag == "" {
		tag = names[0].repo()
	}
	return len(repos) == 1 && repos[tag]
}

// untag takes names away, into the trash.
func (w *removal) untag(ctx context.Context, tx *store.Tx, r record, names refs) error {
	for _, n := range names {
		statement, args := `DELETE FROM names WHERE name = ?`, []any{n.full}
		if n.canonical {
			statement, args = `DELETE FROM repo_digests WHERE repo = ? AND digest = ?`, []any{n.repo(), strings.TrimPrefix(n.full, n.repo()+"@")}
		}
		if err := exec(ctx, tx, statement, args...); err != nil {
			return err
		}
		if err := w.keepName(ctx, tx, n, r.ID); err != nil {
			return err
		}
		w.records = append(w.records, image.DeleteResponse{Untagged: n.familiar()})
		w.events = append(w.events, imageEvent{events.ActionUnTag, r.ID, r.ID.String(), r.Labels})
	}
	return nil
}

// conflict finds what keeps an image from being deleted, in docker's words.
// Names, if there are any, count as a reason, unless forced.
func (w *removal) conflict(ctx context.Context, tx *store.Tx, id digest.Digest, names refs) error {
	refuse := func(how, why string) error {
		return errdefs.ErrConflict.WithMessage(fmt.Sprintf("conflict: unable to delete %s (%s) - %s", shortID(id), how, why))
	}
	children, err := hasChildren(ctx, tx, id)
	if err != nil {
		return err
	}
	if children {
		return refuse("cannot be forced", "image has dependent child images")
	}
	for _, u := range w.users[id] {
		if u.Running {
			return refuse("cannot be forced", "image is being used by running container "+short(u.ID))
		}
	}
	if w.force {
		return nil
	}
	if len(names) > 0 {
		return refuse("must be forced", "image is referenced in multiple repositories")
	}
	if users := w.users[id]; len(users) > 0 {
		return refuse("must be forced", "image is being used by stopped container "+short(users[0].ID))
	}
	return nil
}

// hasChildren tells whether images were made of this one here.
func hasChildren(ctx context.Context, tx *store.Tx, id digest.Digest) (children bool, _ error) {
	const query = `SELECT EXISTS (SELECT 1 FROM images WHERE parent = ? AND parent <> '' AND removed_at IS NULL)`
	if err := tx.QueryRowContext(ctx, query, id.String()).Scan(&children); err != nil {
		return false, fmt.Errorf("read the image index: %w", err)
	}
	return children, nil
}

// delete moves an image with these names to the trash, and then its parents
// that nothing else keeps. Quiet: that it cannot be deleted is no error, because
// the name that was asked for is gone already or because nobody asked for this
// image.
func (w *removal) delete(ctx context.Context, tx *store.Tx, r record, names refs, quiet bool) error {
	if err := w.conflict(ctx, tx, r.ID, names); err != nil {
		children, childErr := hasChildren(ctx, tx, r.ID)
		if childErr != nil {
			return childErr
		}
		if quiet && (len(names) > 0 || children || len(w.users[r.ID]) > 0) {
			return nil
		}
		return err
	}
	return w.take(ctx, tx, r, names)
}

// take is delete for an image that nothing keeps.
func (w *removal) take(ctx context.Context, tx *store.Tx, r record, names refs) error {
	if err := w.untag(ctx, tx, r, names); err != nil {
		return err
	}
	if err := w.keepImage(ctx, tx, r.ID); err != nil {
		return err
	}
	w.records = append(w.records, image.DeleteResponse{Deleted: r.ID.String()})
	w.events = append(w.events, imageEvent{events.ActionDelete, r.ID, r.ID.String(), r.Labels})
	if err := w.listFreed(ctx, tx, r.ID); err != nil {
		return err
	}
	if !w.prune || r.Parent == "" {
		return nil
	}
	parent, err := get(ctx, tx, r.Parent)
	if errors.Is(err, sql.ErrNoRows) {
		return nil
	}
	if err != nil {
		return err
	}
	names, err = refsOf(ctx, tx, parent.ID)
	if err != nil {
		return err
	}
	w.force = false // nobody forced the parent
	return w.delete(ctx, tx, parent, names, true)
}

// listFreed lists the layers that no other image needs, topmost first. A
// container of the image keeps them all.
func (w *removal) listFreed(ctx context.Context, tx *store.Tx, id digest.Digest) error {
	if len(w.users[id]) > 0 {
		return nil
	}
	rows, err := tx.QueryContext(ctx, `SELECT chain, EXISTS (SELECT 1 FROM image_layers o JOIN images m ON m.id = o.image
			WHERE o.chain = i.chain AND m.removed_at IS NULL)
		FROM image_layers i WHERE image = ? ORDER BY position DESC`, id.String())
	if err != nil {
		return fmt.Errorf("read the image index: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var chain string
		var kept bool
		if err := rows.Scan(&chain, &kept); err != nil {
			return fmt.Errorf("read the image index: %w", err)
		}
		if kept {
			return nil // then everything below is needed too
		}
		w.records = append(w.records, image.DeleteResponse{Deleted: chain})
	}
	return rows.Err()
}

// isIDPrefix says whether a request named the image by (the beginning of) its id.
func isIDPrefix(id digest.Digest, name string) bool {
	return strings.HasPrefix(id.String(), name) || strings.HasPrefix(id.Encoded(), name)
}
