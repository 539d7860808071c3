package apparmor

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"go.podman.io/storage/pkg/reexec"
)

func TestMain(m *testing.M) {
	Register()
	if reexec.Init() {
		return
	}
	os.Exit(m.Run())
}

func TestTheParserIsAProgram(t *testing.T) {
	dir, empty := t.TempDir(), t.TempDir()
	path := filepath.Join(dir, parser)
	if err := os.WriteFile(path, nil, 0o644); err != nil {
		t.Fatal(err)
	}
	if hasParser(empty + ":" + dir) {
		t.Error("a file that nobody may run was taken for the parser")
	}
	if err := os.Chmod(path, 0o755); err != nil {
		t.Fatal(err)
	}
	if !hasParser(empty + ":" + dir) {
		t.Error("the parser in the second folder was not found")
	}
}

func TestNoProfileNeedsNothing(t *testing.T) {
	for _, profile := range []string{"", Unconfined} {
		if err := Ensure(profile); err != nil {
			t.Errorf("%q: %v", profile, err)
		}
	}
}

func TestTheDefaultProfile(t *testing.T) {
	if !Enabled() { // most kernels of test machines
		if HasDefault() {
			t.Error("a profile without AppArmor")
		}
		if err := Ensure(Profile); err == nil {
			t.Error("a profile was found that the kernel cannot have")
		}
		// The helper runs, and what it says reaches the user.
		if err := load(); err == nil || !strings.Contains(err.Error(), Profile) || !strings.Contains(err.Error(), parser) {
			t.Errorf("loading where nothing can be loaded: %v", err)
		}
		return
	}
	if !HasDefault() {
		return // without the parser
	}
	for range 2 {
		if err := Ensure(Profile); err != nil {
			t.Fatal(err)
		}
	}
	if err := load(); err != nil { // over the one that is there
		t.Fatal(err)
	}
	if err := Ensure("nacre-no-such-profile"); !errdefs.IsInvalidArgument(err) {
		t.Errorf("a profile that nobody loaded: %v", err)
	}
}
