package discover_test

import (
	"bytes"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/discover"
)

const answer = "#!/bin/sh\n" + `echo '{"SchemaVersion":"0.1.0","Vendor":"Tests"}'` + "\n"

// write makes the files of a home.
func write(t *testing.T, home string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		path := filepath.Join(home, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o700); err != nil {
			t.Fatal(err)
		}
	}
}

func load(t *testing.T, env ...string) (names, failures []string, warnings, printed string) {
	t.Helper()
	r := plugins.NewRegistry()
	var stderr bytes.Buffer
	var texts []string
	for _, err := range discover.Load(t.Context(), r, discover.Options{Env: append(env, "PATH=/usr/bin:/bin"), Self: "/bin/nacre", Stderr: &stderr}) {
		texts = append(texts, err.Error())
	}
	for _, p := range r.Plugins() {
		info := plugins.Describe(p)
		if strings.HasPrefix(info.Source, "/usr/") {
			continue // the machine's own
		}
		names = append(names, p.Name()+" "+info.Kind)
	}
	for _, f := range r.Failures() {
		failures = append(failures, f.Name+": "+f.Err.Error())
	}
	return names, failures, strings.Join(texts, "\n"), stderr.String()
}

// TestLoad finds plugins in all the folders of a home.
func TestLoad(t *testing.T) {
	home, extra := t.TempDir(), t.TempDir()
	write(t, home, map[string]string{
		".config/nacre/plugins/one/init.lua":    `print("loading") nacre.command{ name = "one", run = print }`,
		".config/nacre/plugins/broken/init.lua": `error("not today")`,
		".config/nacre/plugins/same/init.lua":   `nacre.command{ name = "same", run = print }`,
		".config/nacre/plugins/bin/nacre-two":   answer,
		".docker/cli-plugins/docker-three":      answer,
		".docker/cli-plugins/docker-same":       answer,
		".docker/config.json":                   `{"cliPluginsExtraDirs": ["` + extra + `"], "unknown": 1}`,
	})
	write(t, extra, map[string]string{"docker-four": answer})
	names, failures, warnings, printed := load(t, "HOME="+home)
	if want := []string{"one lua", "same lua", "four process", "three process", "two process"}; !slices.Equal(names, want) {
		t.Errorf("loaded %v, want %v", names, want)
	}
	if len(failures) != 2 || !strings.HasSuffix(failures[0], "init.lua:1: not today") || failures[1] != "same: plugin same: a plugin of that name is loaded" {
		t.Errorf("failures %q", failures)
	}
	if strings.Count(warnings, "\n") != 0 || !strings.Contains(warnings, "not today") {
		t.Errorf("warnings %q", warnings)
	}
	if printed != "loading\n" {
		t.Errorf("printed %q", printed)
	}
	if _, err := os.Stat(filepath.Join(home, ".cache/nacre/plugins.json")); err != nil {
		t.Error(err)
	}
}

// TestFolders obeys the variables that name folders.
func TestFolders(t *testing.T) {
	dir := t.TempDir()
	write(t, dir, map[string]string{
		"config/nacre/plugins/one/init.lua": `nacre.command{ name = "one", run = print }`,
		"docker/cli-plugins/docker-two":     answer,
	})
	names, _, _, _ := load(t, "XDG_CONFIG_HOME="+dir+"/config", "XDG_CACHE_HOME="+dir+"/cache", "DOCKER_CONFIG="+dir+"/docker")
	if want := []string{"one lua", "two process"}; !slices.Equal(names, want) {
		t.Errorf("loaded %v, want %v", names, want)
	}
	if _, err := os.Stat(filepath.Join(dir, "cache/nacre/plugins.json")); err != nil {
		t.Error(err)
	}
	if names, failures, warnings, _ := load(t); len(names)+len(failures)+len(warnings) > 0 {
		t.Errorf("without a home: %v %v %v", names, failures, warnings)
	}
	if got := discover.ConfigDir([]string{"XDG_CONFIG_HOME=relative", "HOME=/home/me"}); got != "/home/me/.config/nacre" {
		t.Errorf("a relative XDG folder counts: %s", got)
	}
}

// TestSlowTogether waits for the slowest plugin only: one after the other, they would take twelve seconds.
func TestSlowTogether(t *testing.T) {
	home := t.TempDir()
	for _, name := range []string{"a", "b", "c", "d"} {
		write(t, home, map[string]string{".config/nacre/plugins/" + name + "/init.lua": "while true do end"})
	}
	began := time.Now()
	_, failures, _, _ := load(t, "HOME="+home)
	if took := time.Since(began); len(failures) != 4 || took > 9*time.Second {
		t.Errorf("%d failures after %s", len(failures), took)
	}
}
