package pty

import (
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nacre-sh/nacre/tests/registry"
)

// login types what every tutorial teaches; the password is asked for, not shown
// and not kept in the history.
func login(t *testing.T, w *world) {
	reg, err := registry.StartWith(t.TempDir(), registry.Options{User: "anna", Password: "geheim-7"})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	s := w.open(t, "DOCKER_CONFIG="+t.TempDir())
	s.Send("docker login --username=anna " + reg.Addr + "\r")
	s.Contains("Password:")
	s.Send("falsch-7\r")
	s.Contains("401 Unauthorized")
	s.Send("docker login --username=anna " + reg.Addr + " && clear\r")
	s.Until("the second question", func() bool { return strings.Count(s.Screen(), "Password:") == 2 })
	s.Send("geheim-7\r")
	s.Until("a clear screen", func() bool { return !strings.Contains(s.Screen(), "Unauthorized") })
	s.Send("docker logout " + reg.Addr + "\r")
	ends(s, "Removing login credentials for "+reg.Addr)
	leave(s)
	err = filepath.WalkDir(w.root, func(path string, e fs.DirEntry, err error) error {
		if err != nil || !e.Type().IsRegular() || !strings.Contains(path, "history") {
			return nil
		}
		text, err := os.ReadFile(path)
		if err == nil && (strings.Contains(string(text), "geheim-7") || strings.Contains(string(text), "falsch-7")) {
			t.Errorf("%s holds the password", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
}
