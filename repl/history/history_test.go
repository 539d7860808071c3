package history_test

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nacre-sh/nacre/repl/history"
)

func open(t *testing.T, path string, max int) *history.File {
	t.Helper()
	f, err := history.Open(path, max)
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func add(t *testing.T, f *history.File, lines ...string) {
	t.Helper()
	for _, line := range lines {
		if err := f.Append(line); err != nil {
			t.Fatal(err)
		}
	}
}

func TestRecentIsNewestFirstWithoutDuplicates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "history")
	f := open(t, path, 0)
	add(t, f, "pull a", "ps", "", "   ", "pull a", "pull a", "for i in 1 2\ndo echo \\n $i\ndone")
	want := []string{"for i in 1 2\ndo echo \\n $i\ndone", "pull a", "ps"}
	for _, h := range []*history.File{f, open(t, path, 0)} {
		if got := slices.Collect(h.Recent()); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	info, err := os.Stat(path)
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode().Perm() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
}

func TestSessionsShareOneFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	a, b := open(t, path, 0), open(t, path, 0)
	add(t, a, "from a")
	add(t, b, "from b")
	if got, want := slices.Collect(a.Recent()), []string{"from b", "from a"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestParallelAppendsAndCompaction(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	const sessions, lines = 8, 60
	var wg sync.WaitGroup
	for s := range sessions {
		wg.Go(func() {
			for i := range lines {
				// Opening compacts, and max is more than what the others write while this one is kept waiting.
				f, err := history.Open(path, 300)
				if err != nil {
					t.Error(err)
					return
				}
				line := fmt.Sprintf("session %d line %d", s, i)
				if err := f.Append(line); err != nil {
					t.Error(err)
				}
				if !slices.Contains(slices.Collect(f.Recent()), line) {
					t.Errorf("%q is lost", line)
				}
			}
		})
	}
	wg.Wait()
	f := open(t, path, 100)
	if n := len(f.Entries()); n < 100 || n > 200 {
		t.Errorf("%d entries stay, want 100 to 200", n)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(data)) {
		if !strings.Contains(line, "\tsession ") || strings.Count(line, "session") != 1 {
			t.Errorf("torn line %q", line)
		}
	}
}

func TestForeignLinesAreSkipped(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	text := "no stamp\n12\tgood\nx\tbad stamp\n\x00\xff\n13\t\n14\ttorn"
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	if got, want := slices.Collect(open(t, path, 0).Recent()), []string{"good"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSuggest(t *testing.T) {
	f := open(t, "", 0)
	add(t, f, "pull mysql:5.7", "pull nginx", "ps")
	for text, want := range map[string]string{"pull": " nginx", "pull m": "ysql:5.7", "ps": "", "": "", "x": ""} {
		if got := f.Suggest(text); got != want {
			t.Errorf("Suggest(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestSecret(t *testing.T) {
	secret := []string{
		" ps",
		"login -u me -p hunter2 registry",
		"login -phunter2 registry",
		"docker login --password hunter2",
		"login --password=hunter2 --username me",
		"run -e MYSQL_ROOT_PASSWORD=x mysql",
		"run -eMYSQL_ROOT_PASSWORD=x mysql",
		"run --env=GITHUB_TOKEN=x app",
		"run --env 'API_KEY=x' app",
		"AWS_SECRET_ACCESS_KEY=x run app",
		"export db_passwd=x",
		"build --build-arg NPM_TOKEN=x .",
		"mirror add https://me:hunter2@mirror.example",
		"!curl -H 'Authorization: Bearer abc' host",
	}
	for _, line := range secret {
		if !history.Secret(line) {
			t.Errorf("%q would be stored", line)
		}
	}
	plain := []string{
		"ps -a", "run -p 8080:80 nginx", "login registry", "login --password-stdin -u me",
		"run -d -p 80:80 --name login nginx", "pull registry:5000/a@sha256:00", "volume create secrets",
		"secret ls", "run -e MYSQL_DATABASE=x mysql", "build --secret id=npm .", "inspect token-service",
		"login; run -p 80:80 nginx",
	}
	for _, line := range plain {
		if history.Secret(line) {
			t.Errorf("%q would not be stored", line)
		}
	}
}

func TestSecretsNeverReachTheFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	add(t, open(t, path, 0), "ps", "login -u me -p hunter2", " run x")
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if s := string(data); strings.Contains(s, "hunter2") || strings.Contains(s, "run x") || !strings.HasSuffix(s, "\tps\n") {
		t.Errorf("file holds %q", s)
	}
}

func TestPath(t *testing.T) {
	env := func(m map[string]string) func(string) string { return func(k string) string { return m[k] } }
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"HOME": "/home/u"}, "/home/u/.local/state/nacre/history"},
		{map[string]string{"HOME": "/home/u", "XDG_STATE_HOME": "/s"}, "/s/nacre/history"},
		{map[string]string{}, ""},
	} {
		if got := history.Path(env(c.env)); got != c.want {
			t.Errorf("Path(%v) = %q, want %q", c.env, got, c.want)
		}
	}
}
