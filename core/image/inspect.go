package image

import (
	"context"
	"path/filepath"
	"strings"
	"time"

	"github.com/moby/moby/api/types/image"
	"github.com/moby/moby/api/types/storage"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Inspect tells everything about one image; see docker's GET /images/{name}/json.
func (s *Service) Inspect(ctx context.Context, name string, platform *ocispec.Platform) (image.InspectResponse, error) {
	q := s.store.DB
	r, err := find(ctx, q, name)
	if err != nil {
		return image.InspectResponse{}, err
	}
	if err := matches(name, r, platform); err != nil {
		return image.InspectResponse{}, err
	}
	config, err := configOf(ctx, q, r.ID)
	if err != nil {
		return image.InspectResponse{}, err
	}
	names, err := refsOf(ctx, q, r.ID)
	if err != nil {
		return image.InspectResponse{}, err
	}
	layers, err := layersOf(ctx, q, r.ID)
	if err != nil {
		return image.InspectResponse{}, err
	}
	out := image.InspectResponse{
		ID: r.ID.String(), RepoTags: names.tags(), RepoDigests: names.digests(),
		Author: config.Author, Config: &config.Config,
		Architecture: config.Architecture, Variant: config.Variant, Os: config.OS, OsVersion: config.OSVersion,
		Size: r.Size, GraphDriver: s.graphDriver(layers), RootFS: image.RootFS{Type: config.RootFS.Type, Layers: digestStrings(config.RootFS.DiffIDs)},
		Metadata: image.Metadata{LastTagTime: r.TaggedAt},
	}
	if n := len(config.History); n > 0 {
		out.Comment = config.History[n-1].Comment
	}
	if config.Created != nil {
		out.Created = config.Created.Format(time.RFC3339Nano)
	}
	return out, nil
}

// graphDriver shows where the layers lie, in the words of docker's overlay2.
// An image has no merged folder: only containers are mounted.
func (s *Service) graphDriver(layers []layer) *storage.DriverData {
	data := map[string]string{}
	if dirs := s.lowerDirs(layers); len(dirs) > 0 {
		top := filepath.Dir(dirs[0])
		data["UpperDir"], data["WorkDir"], data["MergedDir"] = dirs[0], filepath.Join(top, "work"), filepath.Join(top, "merged")
		if len(dirs) > 1 {
			data["LowerDir"] = strings.Join(dirs[1:], ":")
		}
	}
	return &storage.DriverData{Name: "overlay2", Data: data}
}

func digestStrings(in []digest.Digest) []string {
	out := make([]string, len(in))
	for i, d := range in {
		out[i] = d.String()
	}
	return out
}

// History lists how an image was made, newest step first.
func (s *Service) History(ctx context.Context, name string) ([]image.HistoryResponseItem, error) {
	q := s.store.DB
	r, err := find(ctx, q, name)
	if err != nil {
		return nil, err
	}
	config, err := configOf(ctx, q, r.ID)
	if err != nil {
		return nil, err
	}
	layers, err := layersOf(ctx, q, r.ID)
	if err != nil {
		return nil, err
	}
	out := make([]image.HistoryResponseItem, len(config.History))
	for i, h := range config.History {
		item := image.HistoryResponseItem{ID: "<missing>", CreatedBy: h.CreatedBy, Comment: h.Comment, Tags: nil}
		if h.Created != nil {
			item.Created = h.Created.Unix()
		}
		if !h.EmptyLayer && len(layers) > 0 {
			item.Size, layers = layers[0].Size, layers[1:]
		}
		out[len(out)-1-i] = item
	}
	return out, s.nameHistory(ctx, r, out)
}

// nameHistory puts the ids and tags of the image and its known parents on the
// steps that they are.
func (s *Service) nameHistory(ctx context.Context, r record, items []image.HistoryResponseItem) error {
	for i := range items {
		names, err := refsOf(ctx, s.store.DB, r.ID)
		if err != nil {
			return err
		}
		items[i].ID = r.ID.String()
		if tags := names.tags(); len(tags) > 0 {
			items[i].Tags = tags
		}
		if r.Parent == "" {
			return nil
		}
		if r, err = get(ctx, s.store.DB, r.Parent); err != nil {
			return nil // the parent is gone: the remaining steps stay without an id
		}
	}
	return nil
}
