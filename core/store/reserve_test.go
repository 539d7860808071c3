package store

import (
	"os"
	"path/filepath"
	"testing"

	"golang.org/x/sys/unix"
)

// The reserve gives its room to the first command on a full disk, and comes
// back when there is plenty.
func TestReserve(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("mounting needs root: run the tests as root")
	}
	dir := t.TempDir()
	if err := unix.Mount("none", dir, "tmpfs", 0, "size=16m"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { unix.Unmount(dir, unix.MNT_DETACH) })
	paths := Paths{Data: dir, Exec: t.TempDir()}
	there := func() bool {
		_, err := os.Stat(paths.reserve())
		return err == nil
	}
	open := func() error {
		s, err := Open(t.Context(), paths)
		if err != nil {
			return err
		}
		return s.Close()
	}
	if err := open(); err != nil || !there() {
		t.Fatalf("a new store: %v, reserve %v", err, there())
	}
	big := filepath.Join(dir, "big")
	f, err := os.Create(big)
	if err != nil {
		t.Fatal(err)
	}
	for chunk := make([]byte, 4096); ; {
		if _, err := f.Write(chunk); err != nil {
			break
		}
	}
	f.Close()
	if err := open(); err != nil || there() {
		t.Errorf("on a full disk: %v, reserve %v", err, there())
	}
	if err := os.Remove(big); err != nil {
		t.Fatal(err)
	}
	if err := open(); err != nil || !there() {
		t.Errorf("with room again: %v, reserve %v", err, there())
	}
}
