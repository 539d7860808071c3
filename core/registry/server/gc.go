package server

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"

	"github.com/distribution/distribution/v3"
	"github.com/distribution/distribution/v3/registry/storage"
	"github.com/distribution/distribution/v3/registry/storage/driver"
	"github.com/distribution/distribution/v3/registry/storage/driver/factory"
	"github.com/distribution/reference"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"golang.org/x/sys/unix"
)

// Collected is what a collection removed, or would remove.
type Collected struct {
	Manifests []string // NAME@DIGEST
	Bytes     int64    // freed
}

// Collect frees what nothing names any more: manifests that no tag leads to
// (directly, as a platform of an index, or as a referrer of something that is
// kept) when untagged is true, then blobs that no manifest needs. It fails with
// errdefs.ErrFailedPrecondition while the folder is served.
func Collect(ctx context.Context, data string, untagged, dryRun bool) (Collected, error) {
	if _, err := os.Stat(filepath.Join(data, "docker/registry/v2")); err != nil {
		return Collected{}, invalid("%s holds no registry's data: %s", data, err)
	}
	lock, err := lockData(data, unix.LOCK_EX)
	if err != nil {
		return Collected{}, err
	}
	defer lock.Close()
	logs(nil)
	store, err := factory.Create(ctx, "filesystem", map[string]any{"rootdirectory": data})
	if err != nil {
		return Collected{}, fmt.Errorf("open the registry's folder: %w", err)
	}
	registry, err := storage.NewRegistry(ctx, store, storage.EnableDelete)
	if err != nil {
		return Collected{}, fmt.Errorf("open the registry's folder: %w", err)
	}
	c := &collector{data: data, store: store, registry: registry, dryRun: dryRun}
	if untagged {
		if err := c.everyRepository(ctx, c.removeUntagged); err != nil {
			return c.done, fmt.Errorf("collect manifests: %w", err)
		}
	}
	return c.done, c.sweep(ctx)
}

type collector struct {
	data     string
	store    driver.StorageDriver
	registry distribution.Namespace
	dryRun   bool
	done     Collected
}

func (c *collector) everyRepository(ctx context.Context, do func(context.Context, reference.Named) error) error {
	list, ok := c.registry.(distribution.RepositoryEnumerator)
	if !ok {
		return errors.New("the library cannot list repositories")
	}
	var names []string // all of them first: what follows changes the folders that are walked
	err := list.Enumerate(ctx, func(name string) error {
		names = append(names, name)
		return nil
	})
	var missing driver.PathNotFoundError
	if err != nil && !errors.As(err, &missing) {
		return err
	}
	for _, name := range names {
		named, err := reference.WithName(name)
		if err != nil {
			continue // no client can ask for it
		}
		if err := do(ctx, named); err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
	}
	return nil
}

// removeUntagged removes the manifests of a repository that no tag leads to.
func (c *collector) removeUntagged(ctx context.Context, named reference.Named) error {
	repo, err := c.registry.Repository(ctx, named)
	if err != nil {
		return err
	}
	manifests, err := repo.Manifests(ctx)
	if err != nil {
		return err
	}
	all, err := c.manifests(ctx, manifests)
	if err != nil {
		return err
	}
	kept, err := tagged(ctx, repo)
	if err != nil {
		return err
	}
	spread(all, kept)
	for d := range all {
		if kept[d] {
			continue
		}
		c.done.Manifests = append(c.done.Manifests, named.Name()+"@"+d.String())
		if c.dryRun {
			continue
		}
		if err := manifests.Delete(ctx, d); err != nil {
			return err
		}
	}
	return nil
}

// links are the manifests that a manifest leads to, and the one it refers to.
type links struct {
	parts   []digest.Digest
	subject digest.Digest
}

func (c *collector) manifests(ctx context.Context, from distribution.ManifestService) (map[digest.Digest]links, error) {
	list, ok := from.(distribution.ManifestEnumerator)
	if !ok {
		return nil, errors.New("the library cannot list manifests")
	}
	all := map[digest.Digest]links{}
	err := list.Enumerate(ctx, func(d digest.Digest) error {
		m, err := from.Get(ctx, d)
		if err != nil {
			return fmt.Errorf("read %s: %w", d, err)
		}
		_, body, err := m.Payload()
		if err != nil {
			return err
		}
		all[d] = readLinks(body)
		return nil
	})
	var missing driver.PathNotFoundError
	if errors.As(err, &missing) {
		return all, nil
	}
	return all, err
}

func readLinks(body []byte) links {
	var m struct {
		Manifests []ocispec.Descriptor `json:"manifests"`
		Subject   *ocispec.Descriptor  `json:"subject"`
	}
	if json.Unmarshal(body, &m) != nil {
		return links{}
	}
	var l links
	for _, part := range m.Manifests {
		l.parts = append(l.parts, part.Digest)
	}
	if m.Subject != nil {
		l.subject = m.Subject.Digest
	}
	return l
}

func tagged(ctx context.Context, repo distribution.Repository) (map[digest.Digest]bool, error) {
	tags := repo.Tags(ctx)
	names, err := tags.All(ctx)
	var unknown distribution.ErrRepositoryUnknown
	if errors.As(err, &unknown) {
		return map[digest.Digest]bool{}, nil
	}
	if err != nil {
		return nil, err
	}
	kept := map[digest.Digest]bool{}
	for _, name := range names {
		d, err := tags.Get(ctx, name)
		if err != nil {
			return nil, fmt.Errorf("read tag %s: %w", name, err)
		}
		kept[d.Digest] = true
	}
	return kept, nil
}

// spread keeps the parts of what is kept, and what refers to it.
func spread(all map[digest.Digest]links, kept map[digest.Digest]bool) {
	for grown := true; grown; {
		grown = false
		keep := func(d digest.Digest) {
			if !kept[d] {
				kept[d], grown = true, true
			}
		}
		for d, l := range all {
			if kept[d] {
				for _, part := range l.parts {
					keep(part)
				}
			} else if l.subject != "" && kept[l.subject] {
				keep(d)
			}
		}
	}
}

// sweep lets the library free what no manifest needs, and counts.
func (c *collector) sweep(ctx context.Context) error {
	before, err := size(filepath.Join(c.data, "docker/registry/v2/blobs"))
	if err != nil {
		return fmt.Errorf("measure the blobs: %w", err)
	}
	if err := storage.MarkAndSweep(ctx, c.store, c.registry, storage.GCOpts{DryRun: c.dryRun, Quiet: true}); err != nil {
		return fmt.Errorf("collect blobs: %w", err)
	}
	after, err := size(filepath.Join(c.data, "docker/registry/v2/blobs"))
	if err != nil {
		return fmt.Errorf("measure the blobs: %w", err)
	}
	c.done.Bytes = before - after
	return nil
}

func size(dir string) (total int64, err error) {
	err = filepath.WalkDir(dir, func(_ string, e fs.DirEntry, err error) error {
		if errors.Is(err, fs.ErrNotExist) {
			return nil
		}
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			total += info.Size()
		}
		return err
	})
	return total, err
}

// Report tells a collection's outcome in lines.
func (c Collected) Report(w io.Writer, dryRun bool, human func(int64) string) {
	verb := "Deleted"
	if dryRun {
		verb = "Would delete"
	}
	for _, m := range c.Manifests {
		fmt.Fprintf(w, "%s: %s\n", verb, m)
	}
	if !dryRun {
		fmt.Fprintf(w, "Total reclaimed space: %s\n", human(c.Bytes))
	}
}
