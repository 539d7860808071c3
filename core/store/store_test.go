package store

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/containerd/errdefs"
)

func open(t *testing.T, paths Paths) *Store {
	t.Helper()
	s, err := Open(t.Context(), paths)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func roots(t *testing.T) Paths {
	dir := t.TempDir()
	return Paths{Data: filepath.Join(dir, "data"), Exec: filepath.Join(dir, "run")}
}

func TestTheStateIsPrivate(t *testing.T) {
	paths := roots(t)
	s := open(t, paths)
	if err := s.Migrate(t.Context(), Module{Name: "m", Steps: []string{`CREATE TABLE x (y INTEGER)`}}); err != nil {
		t.Fatal(err)
	}
	files, err := filepath.Glob(paths.StateDB() + "*") // the database and what belongs to it
	if err != nil || len(files) < 2 {
		t.Fatalf("%v, %v", files, err)
	}
	for _, file := range files {
		if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", file, info.Mode(), err)
		}
	}
}

func TestNobodyElseGetsToWhatContainersWrite(t *testing.T) {
	paths := roots(t)
	if err := os.MkdirAll(paths.Volumes(), 0o711); err != nil { // as an older nacre did
		t.Fatal(err)
	}
	if err := os.Chmod(paths.Data, 0o755); err != nil { // the user's choice
		t.Fatal(err)
	}
	open(t, paths)
	fresh := roots(t)
	open(t, fresh)
	for path, want := range map[string]os.FileMode{
		paths.Data: 0o755, paths.Volumes(): 0o710, paths.Containers(): 0o710, paths.Temp(): 0o700,
		fresh.Data: 0o710, fresh.Volumes(): 0o710, fresh.Containers(): 0o710, fresh.Exec: 0o711,
	} {
		if info, err := os.Stat(path); err != nil || info.Mode().Perm() != want {
			t.Errorf("%s: %v, %v; want %v", path, info.Mode().Perm(), err, want)
		}
	}
}

func TestMigrateStepByStep(t *testing.T) {
	s := open(t, roots(t))
	one := Module{Name: "m", Steps: []string{`CREATE TABLE x (y INTEGER)`}}
	two := Module{Name: "m", Steps: append(one.Steps, `ALTER TABLE x ADD COLUMN z INTEGER`)}
	for _, m := range []Module{one, one, two, two} {
		if err := s.Migrate(t.Context(), m); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := s.DB.ExecContext(t.Context(), `INSERT INTO x (y, z) VALUES (1, 2)`); err != nil {
		t.Error(err)
	}
	if err := s.Migrate(t.Context(), one); !errdefs.IsFailedPrecondition(err) || !strings.Contains(err.Error(), "newer nacre") {
		t.Errorf("an older program on a newer store: %v", err)
	}
	broken := Module{Name: "other", Steps: []string{`CREATE TABLE good (y INTEGER)`, `CREATE NONSENSE`}}
	if err := s.Migrate(t.Context(), broken); err == nil {
		t.Error("a broken step passed")
	}
	if _, err := s.DB.ExecContext(t.Context(), `SELECT * FROM good`); err == nil {
		t.Error("a failed migration left its first step behind")
	}
}

// TestManyMigrateAtOnce: the first commands after an upgrade may start together.
func TestManyMigrateAtOnce(t *testing.T) {
	paths := roots(t)
	m := Module{Name: "m", Steps: []string{`CREATE TABLE x (y INTEGER)`}}
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() {
			s, err := Open(context.Background(), paths)
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			if err := s.Migrate(context.Background(), m); err != nil {
				t.Error(err)
			}
		})
	}
	all.Wait()
}

func TestOpenSaysWhatIsWrong(t *testing.T) {
	damaged := roots(t)
	if err := os.MkdirAll(damaged.Data, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(damaged.StateDB(), []byte(strings.Repeat("no database ", 999)), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), damaged); !errdefs.IsDataLoss(err) {
		t.Errorf("a damaged file: %v", err)
	}
	blocked := roots(t)
	if err := os.WriteFile(filepath.Dir(blocked.Data)+"/data", nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Open(t.Context(), blocked); err == nil || !strings.Contains(err.Error(), blocked.Data) {
		t.Errorf("a file in the way: %v", err)
	}
}
