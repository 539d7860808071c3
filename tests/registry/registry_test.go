package registry_test

import (
	"context"
	"encoding/json"
	"os/exec"
	"slices"
	"testing"

	"github.com/nacre-sh/nacre/tests/registry"
)

// An image that was pushed is one that another tool can read.
func TestPushedImageIsReadable(t *testing.T) {
	for _, oci := range []bool{false, true} {
		r := start(t, registry.Options{})
		img, err := registry.Busybox("amd64")
		if err != nil {
			t.Fatal(err)
		}
		img.OCI = oci
		d, err := registry.Push(context.Background(), r.Addr, "library/busybox", "latest", img)
		if err != nil {
			t.Fatal(err)
		}
		var got struct {
			Digest   string
			Layers   []string
			RepoTags []string
		}
		inspect(t, &got, "docker://"+r.Addr+"/library/busybox:latest")
		if got.Digest != d.String() || len(got.Layers) != 1 || !slices.Equal(got.RepoTags, []string{"latest"}) {
			t.Errorf("oci=%v: skopeo sees %+v, pushed %s", oci, got, d)
		}
		again, err := registry.Push(context.Background(), r.Addr, "library/busybox", "again", img)
		if err != nil || again != d {
			t.Errorf("the same image again has digest %s, want %s (%v)", again, d, err)
		}
	}
}

func TestRegistryWithUser(t *testing.T) {
	r := start(t, registry.Options{User: "jane", Password: "secret"})
	img := registry.New("amd64")
	if _, err := registry.Push(context.Background(), r.Addr, "a/b", "1", img); err == nil {
		t.Error("an anonymous push was let in")
	}
	c := registry.Client{Addr: r.Addr, User: "jane", Password: "secret"}
	if _, err := c.Push(context.Background(), "a/b", "1", img); err != nil {
		t.Errorf("push as the user: %v", err)
	}
}

func start(t *testing.T, opts registry.Options) *registry.Registry {
	t.Helper()
	r, err := registry.StartWith(t.TempDir(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { r.Close() })
	return r
}

func inspect(t *testing.T, into any, ref string) {
	t.Helper()
	out, err := exec.Command("skopeo", "inspect", "--tls-verify=false", ref).CombinedOutput()
	if err != nil {
		t.Fatalf("skopeo inspect: %v\n%s", err, out)
	}
	if err := json.Unmarshal(out, into); err != nil {
		t.Fatal(err)
	}
}
