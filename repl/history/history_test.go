package history_test

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/nacre-sh/nacre/repl/history"
)

func open(t *testing.T, path string, o history.Options) *history.Store {
	t.Helper()
	s, err := history.Open(path, o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// typed runs lines in a folder; they end well.
func typed(t *testing.T, s *history.Store, dir string, lines ...string) {
	t.Helper()
	for _, line := range lines {
		ends(t, s, dir, line, 0)
	}
}

func ends(t *testing.T, s *history.Store, dir, line string, status int) {
	t.Helper()
	ended, err := s.Began(line, dir)
	if err != nil {
		t.Fatal(err)
	}
	if err := ended(status); err != nil {
		t.Fatal(err)
	}
}

func texts(list []history.Entry) (lines []string) {
	for _, e := range list {
		lines = append(lines, e.Text)
	}
	return lines
}

func search(t *testing.T, s *history.Store, q history.Query) []string {
	t.Helper()
	list, err := s.Search(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return texts(list)
}

func TestRecentIsNewestFirstWithoutDuplicates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "state", "history.db")
	s := open(t, path, history.Options{})
	typed(t, s, "/", "pull a", "ps", "", "   ", "pull a", "for i in 1 2\ndo echo \\n $i\ndone")
	want := []string{"for i in 1 2\ndo echo \\n $i\ndone", "pull a", "ps"}
	for _, h := range []*history.Store{s, open(t, path, history.Options{}), open(t, path, history.Options{Window: 3})} {
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

func TestWhatIsKnownOfALine(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	s := open(t, path, history.Options{Session: "one", Engine: func() string { return "far" }})
	ends(t, s, "/src", "pull nope", 1)
	list, err := open(t, path, history.Options{}).Search(t.Context(), history.Query{})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	e := list[0]
	if e.Text != "pull nope" || e.Dir != "/src" || e.Engine != "far" || e.Session != "one" || !e.Ended || e.Status != 1 || e.Start.IsZero() {
		t.Errorf("got %+v", e)
	}
}

func TestSessionsShareLive(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	a, b := open(t, path, history.Options{}), open(t, path, history.Options{})
	typed(t, a, "/", "from a")
	typed(t, b, "/", "from b")
	for _, s := range []*history.Store{a, b} {
		if got, want := slices.Collect(s.Recent()), []string{"from b", "from a"}; !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	list, err := a.Search(t.Context(), history.Query{Words: []string{"from a"}})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if n, err := a.Delete(list[0].ID); n != 1 || err != nil {
		t.Fatal(n, err)
	}
	if got, want := slices.Collect(b.Recent()), []string{"from b"}; !slices.Equal(got, want) {
		t.Errorf("after a deletion elsewhere: got %q, want %q", got, want)
	}
}

func TestParallelSessionsLoseNothing(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	const sessions, lines = 6, 30
	var wg sync.WaitGroup
	for n := range sessions {
		wg.Go(func() {
			s, err := history.Open(path, history.Options{Session: fmt.Sprint(n)})
			if err != nil {
				t.Error(err)
				return
			}
			for i := range lines {
				ended, err := s.Began(fmt.Sprintf("session %d line %d", n, i), "/")
				if err == nil {
					err = ended(0)
				}
				if err != nil {
					t.Error(err)
				}
			}
			// Lines that found the database locked wait for a moment when it is not.
			for err := s.Close(); err != nil; err = s.Close() {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if got := search(t, open(t, path, history.Options{}), history.Query{Words: []string{"session"}}); len(got) != sessions*lines {
		t.Errorf("%d lines are there, want %d", len(got), sessions*lines)
	}
}

// Sessions that start at the same moment make one database together.
func TestOpenedAtTheSameTime(t *testing.T) {
	for range 10 {
		dir := t.TempDir()
		if err := os.WriteFile(filepath.Join(dir, "history"), []byte("12\told\n"), 0o600); err != nil {
			t.Fatal(err)
		}
		path := filepath.Join(dir, "history.db")
		var wg sync.WaitGroup
		for n := range 4 {
			wg.Go(func() {
				s, err := history.Open(path, history.Options{})
				if err != nil {
					t.Error(err)
					return
				}
				ended, err := s.Began(fmt.Sprint("line ", n), "/")
				if err == nil {
					err = ended(0)
				}
				if err = errors.Join(err, s.Close()); err != nil {
					t.Error(err)
				}
			})
		}
		wg.Wait()
		if got := search(t, open(t, path, history.Options{}), history.Query{}); len(got) != 5 {
			t.Fatalf("got %q, want 5 lines", got)
		}
	}
}

func TestSearch(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	engine := ""
	s := open(t, path, history.Options{Session: "s1", Engine: func() string { return engine }})
	typed(t, s, "/a", "pull nginx", "run -d --name web nginx", "echo 100% _x", "拉取 上海/镜像")
	engine = "far"
	ends(t, s, "/b", "pull redis", 1)
	typed(t, s, "/b", "pull nginx")
	other := open(t, path, history.Options{Session: "s2"})
	typed(t, other, "/c", "rm web")
	a, far := "/a", "far"
	for name, c := range map[string]struct {
		q    history.Query
		want []string
	}{
		"a part":       {history.Query{Words: []string{"ngin"}}, []string{"pull nginx", "run -d --name web nginx", "pull nginx"}},
		"once each":    {history.Query{Words: []string{"ngin"}, Distinct: true}, []string{"pull nginx", "run -d --name web nginx"}},
		"all words":    {history.Query{Words: []string{"NGINX", "pu"}, Distinct: true}, []string{"pull nginx"}},
		"short":        {history.Query{Words: []string{"rm"}}, []string{"rm web"}},
		"signs":        {history.Query{Words: []string{"0% _"}}, []string{"echo 100% _x"}},
		"no wildcards": {history.Query{Words: []string{"p%l"}}, nil},
		"quotes":       {history.Query{Words: []string{`"x" OR`}}, nil},
		"Chinese":      {history.Query{Words: []string{"上海/"}}, []string{"拉取 上海/镜像"}},
		"folder":       {history.Query{Dir: &a, Words: []string{"nginx"}}, []string{"run -d --name web nginx", "pull nginx"}},
		"engine":       {history.Query{Engine: &far}, []string{"pull nginx", "pull redis"}},
		"failed":       {history.Query{Failed: true}, []string{"pull redis"}},
		"session":      {history.Query{Session: "s2"}, []string{"rm web"}},
		"limit":        {history.Query{Limit: 2}, []string{"rm web", "pull nginx"}},
	} {
		if got := search(t, s, c.q); !slices.Equal(got, c.want) {
			t.Errorf("%s: got %q, want %q", name, got, c.want)
		}
	}
}

func TestSuggest(t *testing.T) {
	engine := ""
	s := open(t, filepath.Join(t.TempDir(), "history.db"), history.Options{Engine: func() string { return engine }})
	typed(t, s, "/a", "run here")
	engine = "far"
	typed(t, s, "/b", "run far")
	typed(t, s, "/c", "pull mysql:5.7", "pull nginx", "run elsewhere")
	ends(t, s, "/c", "run typo", 127)
	engine = ""
	for _, c := range []struct{ text, dir, want string }{
		{"pull", "/", " nginx"}, {"pull m", "/", "ysql:5.7"}, {"ps", "/", ""}, {"", "/", ""}, {"pull nginx", "/", ""},
		{"run", "/a", " here"},   // this folder and this engine
		{"run", "/b", " far"},    // this folder
		{"run", "/new", " here"}, // this engine
	} {
		if got := s.Suggest(c.text, c.dir); got != c.want {
			t.Errorf("Suggest(%q, %q) = %q, want %q", c.text, c.dir, got, c.want)
		}
	}
	engine = "other"
	if got := s.Suggest("run", "/new"); got != " elsewhere" {
		t.Errorf("anywhere: %q", got)
	}
}

func TestOldFileIsTakenOverOnce(t *testing.T) {
	dir := t.TempDir()
	old := filepath.Join(dir, "history")
	text := "no stamp\n12\tgood\nx\tbad stamp\n\x00\xff\n13\t\n14\ttwo\\nrows \\\\\n15\tlogin -p hunter2\n16\tlast"
	if err := os.WriteFile(old, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	s := open(t, filepath.Join(dir, "history.db"), history.Options{})
	want := []string{"last", "two\nrows \\", "good"}
	if got := slices.Collect(s.Recent()); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if _, err := os.Stat(old); err == nil {
		t.Error("the old file is still there")
	}
	if err := os.WriteFile(old, []byte("17\tlater\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if got := slices.Collect(open(t, filepath.Join(dir, "history.db"), history.Options{}).Recent()); !slices.Equal(got, want) {
		t.Errorf("taken over twice: %q", got)
	}
}

// A database may be called as the file of older versions was.
func TestNameOfTheOldFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history")
	a := open(t, path, history.Options{})
	typed(t, a, "/", "one")
	typed(t, open(t, path, history.Options{}), "/", "two")
	if got, want := slices.Collect(a.Recent()), []string{"two", "one"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestSecretsNeverReachTheFile(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "history.db"), history.Options{})
	typed(t, s, "/", "ps", "login -u me -p hunter2", " run x")
	if got, want := slices.Collect(s.Recent()), []string{"ps"}; !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	files, err := os.ReadDir(dir)
	if err != nil || len(files) == 0 {
		t.Fatal(files, err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if text := string(data); strings.Contains(text, "hunter2") || strings.Contains(text, "run x") {
			t.Errorf("%s holds a secret", f.Name())
		}
	}
}

// What was deleted must be gone from the files, not only from the answers.
func TestDeletedLinesAreGone(t *testing.T) {
	dir := t.TempDir()
	s := open(t, filepath.Join(dir, "history.db"), history.Options{})
	typed(t, s, "/", "ps", "connect swordfish", "images")
	list, err := s.Search(t.Context(), history.Query{Words: []string{"swordfish"}})
	if err != nil || len(list) != 1 {
		t.Fatal(list, err)
	}
	if _, err := s.Delete(list[0].ID); err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(dir)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		data, err := os.ReadFile(filepath.Join(dir, f.Name()))
		if err != nil {
			t.Fatal(err)
		}
		if strings.Contains(string(data), "swordfish") {
			t.Errorf("%s still holds the line", f.Name())
		}
	}
}

func TestDamagedIsPutAside(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	if err := os.WriteFile(path, []byte(strings.Repeat("no database ", 1000)), 0o600); err != nil {
		t.Fatal(err)
	}
	s, err := history.Open(path, history.Options{})
	if err == nil || !strings.Contains(err.Error(), ".damaged-") {
		t.Errorf("error %v, want one that names the file put aside", err)
	}
	typed(t, s, "/", "ps")
	if err := s.Close(); err != nil {
		t.Error(err)
	}
	if got := search(t, open(t, path, history.Options{}), history.Query{}); !slices.Equal(got, []string{"ps"}) {
		t.Errorf("got %q", got)
	}
	if aside, _ := filepath.Glob(path + ".damaged-*"); len(aside) != 1 {
		t.Errorf("put aside: %q", aside)
	}
}

// A database that cannot be opened costs a warning; lines are remembered in memory.
func TestUnusableIsMemory(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "file")
	if err := os.WriteFile(file, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	newer := filepath.Join(dir, "newer.db")
	db, err := sql.Open("sqlite", newer)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := db.Exec("PRAGMA user_version = 99"); err != nil {
		t.Fatal(err)
	}
	db.Close()
	for _, path := range []string{filepath.Join(file, "history.db"), newer} {
		s, err := history.Open(path, history.Options{})
		if err == nil || !strings.Contains(err.Error(), "in memory only") {
			t.Errorf("%s: error %v", path, err)
		}
		typed(t, s, "/", "pull a", "ps")
		if got := search(t, s, history.Query{Words: []string{"ull"}}); !slices.Equal(got, []string{"pull a"}) {
			t.Errorf("%s: got %q", path, got)
		}
		if got := s.Suggest("p", "/"); got != "s" {
			t.Errorf("%s: suggests %q", path, got)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	}
}

// Another process that holds the database's lock neither keeps the shell from
// starting nor costs a line.
func TestLocked(t *testing.T) {
	path := filepath.Join(t.TempDir(), "history.db")
	s := open(t, path, history.Options{})
	typed(t, s, "/", "before")
	db, err := sql.Open("sqlite", path)
	if err != nil {
		t.Fatal(err)
	}
	defer db.Close()
	conn, err := db.Conn(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	if _, err := conn.ExecContext(t.Context(), "BEGIN IMMEDIATE"); err != nil {
		t.Fatal(err)
	}
	late := open(t, path, history.Options{})
	typed(t, s, "/", "while locked")
	want := []string{"while locked", "before"}
	if got := slices.Collect(s.Recent()); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := slices.Collect(late.Recent()); !slices.Equal(got, want[1:]) {
		t.Errorf("another session: got %q, want %q", got, want[1:])
	}
	if _, err := conn.ExecContext(context.Background(), "ROLLBACK"); err != nil {
		t.Fatal(err)
	}
	typed(t, s, "/", "after")
	want = []string{"after", "while locked", "before"}
	for _, one := range []*history.Store{s, late} {
		if got := slices.Collect(one.Recent()); !slices.Equal(got, want) {
			t.Errorf("got %q, want %q", got, want)
		}
	}
	if list, _ := late.Search(t.Context(), history.Query{Words: []string{"while"}}); len(list) != 1 || !list[0].Ended {
		t.Errorf("in the database: %+v", list)
	}
}

func TestExport(t *testing.T) {
	list := []history.Entry{
		{Text: "pull nginx", Dir: "/it's", Ended: true},
		{Text: "rnu x\ny", Dir: "/it's", Ended: true, Status: 127},
		{Text: "echo ']]' ]=", Dir: "", Ended: true},
	}
	var sh, lua strings.Builder
	if err := history.ExportShell(&sh, list); err != nil {
		t.Fatal(err)
	}
	if err := history.ExportLua(&lua, list); err != nil {
		t.Fatal(err)
	}
	if want := "#!/usr/bin/env nacre\ncd '/it'\\''s' || exit\npull nginx\n# exit status 127:\n# rnu x\n# y\necho ']]' ]=\n"; sh.String() != want {
		t.Errorf("got\n%s\nwant\n%s", sh.String(), want)
	}
	for _, want := range []string{"line([[/it's]], [[pull nginx]])\n-- exit status 127:\n-- rnu x\n-- y\nline(nil, [==[echo ']]' ]=]==])\n"} {
		if !strings.Contains(lua.String(), want) {
			t.Errorf("got\n%s\nwant in it\n%s", lua.String(), want)
		}
	}
}

func TestPath(t *testing.T) {
	env := func(m map[string]string) func(string) string { return func(k string) string { return m[k] } }
	for _, c := range []struct {
		env  map[string]string
		want string
	}{
		{map[string]string{"HOME": "/home/u"}, "/home/u/.local/state/nacre/history.db"},
		{map[string]string{"HOME": "/home/u", "XDG_STATE_HOME": "/s"}, "/s/nacre/history.db"},
		{map[string]string{}, ""},
	} {
		if got := history.Path(env(c.env)); got != c.want {
			t.Errorf("Path(%v) = %q, want %q", c.env, got, c.want)
		}
	}
}
