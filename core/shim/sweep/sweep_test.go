package sweep

import (
	"context"
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// What containers do with a killed shim is tested in core/shim, with real ones.

func TestOnlyTheContainersOwnCgroupIsTouched(t *testing.T) {
	id := strings.Repeat("ab", 32)
	for _, path := range []string{"/", "/nacre", "/nacre/" + id + "/..", "/nacre/../" + id, "/nacre/" + id + "/child", "/nacre/" + id[:10]} {
		if err := endCgroup(context.Background(), path, id); err == nil {
			t.Errorf("%s was taken for the cgroup of %s", path, id)
		}
	}
	if err := endCgroup(context.Background(), "/short", "short"); err == nil {
		t.Error("an id of five letters was taken")
	}
	if err := endCgroup(context.Background(), "/nacre/"+id, id); err != nil {
		t.Errorf("a cgroup that is gone already: %v", err)
	}
}

// runFolder is what a shim that was killed leaves, without a container.
func runFolder(t *testing.T, state shimapi.State) (runDir string) {
	t.Helper()
	runDir = t.TempDir()
	data, err := json.Marshal(state)
	if err != nil {
		t.Fatal(err)
	}
	for name, content := range map[string][]byte{shimapi.LockFile: nil, shimapi.StateFile: data} {
		if err := os.WriteFile(filepath.Join(runDir, name), content, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return runDir
}

func TestAnExitThatTheShimWroteStays(t *testing.T) {
	stateDir := t.TempDir()
	exit := filepath.Join(stateDir, shimapi.ExitFile)
	if err := os.WriteFile(exit, []byte(`{"ExitCode":3}`), 0o600); err != nil {
		t.Fatal(err)
	}
	runDir := runFolder(t, shimapi.State{ID: strings.Repeat("c", 64), Status: shimapi.StatusRunning, StateDir: stateDir})
	if swept, err := Container(context.Background(), runDir); !swept || err != nil {
		t.Fatal(swept, err)
	}
	if data, err := os.ReadFile(exit); err != nil || string(data) != `{"ExitCode":3}` {
		t.Errorf("%s, %v", data, err)
	}
	if _, err := os.Stat(filepath.Join(runDir, shimapi.StateFile)); !os.IsNotExist(err) {
		t.Errorf("the state is left: %v", err)
	}
}

func TestNothingToSweep(t *testing.T) {
	bound := runFolder(t, shimapi.State{ID: strings.Repeat("d", 64), Status: shimapi.StatusBound, StateDir: t.TempDir()})
	for name, dir := range map[string]string{"bound only": bound, "never used": t.TempDir(), "no folder": "/nonexistent"} {
		if swept, err := Container(context.Background(), dir); swept || err != nil {
			t.Errorf("%s: %v, %v", name, swept, err)
		}
	}
	if ended, err := All(context.Background(), "/nonexistent"); len(ended) > 0 || err != nil {
		t.Error(ended, err)
	}
}
