package image_test

import (
	"context"
	"testing"

	"github.com/containerd/errdefs"
	"go.podman.io/image/v5/manifest"

	"github.com/nacre-sh/nacre/tests/registry"
)

func TestDistribution(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	d := push(t, r, "a/b", "1", small(t, 2, ""))
	e := newEngine(t)
	got, err := e.Distribution(context.Background(), named(t, r.Addr+"/a/b:1"), nil)
	must(t, err)
	if got.Descriptor.Digest.String() != d || got.Descriptor.Size == 0 || len(got.Platforms) != 1 || got.Platforms[0].Architecture != "amd64" || got.Platforms[0].OS != "linux" {
		t.Errorf("one platform: %+v", got)
	}
	arm := small(t, 1, "arm")
	arm.Config.Architecture = "arm64"
	list, err := registry.PushIndex(context.Background(), r.Addr, "a/b", "multi", small(t, 1, ""), arm)
	must(t, err)
	got, err = e.Distribution(context.Background(), named(t, r.Addr+"/a/b:multi"), nil)
	must(t, err)
	if got.Descriptor.Digest != list || got.Descriptor.MediaType != manifest.DockerV2ListMediaType || len(got.Platforms) != 2 || got.Platforms[1].Architecture != "arm64" {
		t.Errorf("two platforms: %+v", got)
	}
	_, err = e.Distribution(context.Background(), named(t, r.Addr+"/a/b:nope"), nil)
	wantError(t, err, errdefs.IsNotFound, "manifest for "+r.Addr+"/a/b:nope not found: manifest unknown: manifest unknown")
}
