package image

import (
	"os"
	"path/filepath"
	"testing"

	"go.podman.io/image/v5/types"
)

// A machine without podman or skopeo has no policy file: pulls must work there.
func TestMachineWithoutPolicy(t *testing.T) {
	root := t.TempDir()
	t.Setenv("HOME", root)
	t.Setenv("XDG_CONFIG_HOME", root)
	sys := &types.SystemContext{RootForImplicitAbsolutePaths: root}
	policy, err := readPolicy(sys)
	if err != nil || len(policy.Default) != 1 {
		t.Fatalf("policy %+v, %v: want one that accepts", policy, err)
	}
	file := filepath.Join(root, "etc/containers/policy.json")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, []byte("{torn"), 0o644); err != nil {
		t.Fatal(err)
	}
	if policy, err := readPolicy(sys); err == nil {
		t.Errorf("a torn policy file gave %+v, want an error", policy)
	}
}
