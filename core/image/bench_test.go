package image

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/distribution/reference"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/store"
)

// filled is an index of n images of five layers each, four of them shared by all.
func filled(b *testing.B, n int) *Service {
	b.Helper()
	ctx := context.Background()
	dir := b.TempDir()
	st, err := store.Open(ctx, store.Paths{Data: dir + "/data", Exec: dir + "/run"})
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { st.Close() })
	s, err := New(ctx, Options{Store: st})
	if err != nil {
		b.Fatal(err)
	}
	err = s.change(ctx, func(tx *store.Tx) error {
		for i := range n {
			if err := fill(ctx, tx, i); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
	return s
}

func fill(ctx context.Context, tx *store.Tx, i int) error {
	created := time.Unix(int64(i), 0)
	config := dockerspec.DockerOCIImage{Image: ocispec.Image{Created: &created, Platform: ocispec.Platform{OS: "linux", Architecture: "amd64"}}}
	config.Config.Labels = map[string]string{"number": fmt.Sprint(i)}
	for l := range 5 {
		d := digest.FromString(fmt.Sprint("layer", l))
		if l == 4 {
			d = digest.FromString(fmt.Sprint("top", i))
		}
		config.RootFS.DiffIDs = append(config.RootFS.DiffIDs, d)
	}
	for _, chain := range chainIDs(config.RootFS.DiffIDs) {
		if err := addLayer(ctx, tx, layer{Chain: chain, Folder: "overlay/" + chain.Encoded() + "/diff", Size: 1000}); err != nil {
			return err
		}
	}
	raw, err := json.Marshal(config)
	if err != nil {
		return err
	}
	id, err := addImage(ctx, tx, newImage{Config: raw})
	if err != nil {
		return err
	}
	named, err := reference.ParseNormalizedNamed(fmt.Sprintf("bench/image%d:latest", i))
	if err != nil {
		return err
	}
	if err := setRepoDigest(ctx, tx, named.Name(), digest.FromBytes(raw), id); err != nil {
		return err
	}
	return setName(ctx, tx, named, id)
}

// What the prompt does all the time must stay quick however many images there are.
func BenchmarkList1000(b *testing.B) {
	s := filled(b, 1000)
	for b.Loop() {
		list, err := s.List(context.Background(), backend.ImageList{})
		if err != nil || len(list) != 1000 {
			b.Fatal(len(list), err)
		}
	}
}

func BenchmarkRootfs(b *testing.B) {
	s := filled(b, 1000)
	for b.Loop() {
		if _, err := s.Rootfs(context.Background(), "bench/image500", nil); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkRemove100(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s := filled(b, 100)
		b.StartTimer()
		for i := range 100 {
			if _, err := s.Remove(context.Background(), fmt.Sprintf("bench/image%d", i), backend.ImageRemove{}); err != nil {
				b.Fatal(err)
			}
		}
	}
}

func BenchmarkRemoveMany1000(b *testing.B) {
	for b.Loop() {
		b.StopTimer()
		s := filled(b, 1000)
		var names []string
		list, err := s.List(context.Background(), backend.ImageList{})
		if err != nil {
			b.Fatal(err)
		}
		for _, i := range list {
			names = append(names, i.ID)
		}
		b.StartTimer()
		all, err := s.RemoveMany(context.Background(), names, backend.ImageRemove{Force: true})
		if err != nil || len(all) != len(names) || all[0].Err != nil {
			b.Fatal(err, all[0].Err)
		}
	}
}
