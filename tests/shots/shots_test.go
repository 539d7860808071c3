//go:build shots

package shots

import (
	"context"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/nacre-sh/nacre/tests/program"
	"github.com/nacre-sh/nacre/tests/registry"
	"github.com/nacre-sh/nacre/tests/screen"
)

// The window of the pictures. Progress bars need more than 110 columns.
const cols, wide, rows, short = 96, 112, 22, 9

// stage is an engine with images from a registry that stands for Docker Hub: a
// mirror, so that names are those that people type.
type stage struct {
	t        *testing.T
	bin, dir string
	env      []string
	folder   string // of the pictures
}

// TestShots draws the pictures of the README.
func TestShots(t *testing.T) {
	s := newStage(t)
	s.pulling()
	s.menu()
	s.preview()
	s.stats()
}

// images are what the registry has: names, and sizes of layers in KiB.
var images = []struct {
	name, tag string
	layers    []int64
}{
	{"library/busybox", "latest", nil},
	{"library/mysql", "5.7", []int64{7000, 900, 4200, 300, 21000, 14000}},
	{"library/nginx", "1.27", []int64{2900, 1800}},
	{"library/redis", "7", []int64{2100, 700}},
}

func newStage(t *testing.T) *stage {
	t.Helper()
	dir, err := os.MkdirTemp("", "nacre-s")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { os.RemoveAll(dir) })
	bin, clean, err := program.Build()
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = clean() })
	folder, err := filepath.Abs("../../docs/img")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.MkdirAll(folder, 0o755); err != nil {
		t.Fatal(err)
	}
	s := &stage{t: t, bin: bin, dir: dir, folder: folder, env: []string{
		"HOME=" + filepath.Join(dir, "home"), "PATH=" + bin + ":" + os.Getenv("PATH"), "TERM=xterm-256color", "LANG=C.UTF-8",
		"NACRE_DATA_ROOT=" + filepath.Join(dir, "d"), "NACRE_EXEC_ROOT=" + filepath.Join(dir, "r"),
	}}
	config := filepath.Join(dir, "home", ".config", "nacre")
	if err := os.MkdirAll(config, 0o700); err != nil {
		t.Fatal(err)
	}
	s.once("history") // no greeting in the pictures
	t.Cleanup(func() { s.once("system", "reset", "--force") })
	s.once("mirror", "add", "--name", "lab", slow(t, filled(t)))
	s.once("mirror", "use", "lab")
	return s
}

// filled starts a registry with the images.
func filled(t *testing.T) *url.URL {
	t.Helper()
	reg, err := registry.Start(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { reg.Close() })
	seed := uint64(1)
	for _, i := range images {
		img, err := registry.Busybox(runtime.GOARCH)
		if err != nil {
			t.Fatal(err)
		}
		for _, size := range i.layers {
			layer, err := registry.Random(seed, size<<10)
			if err != nil {
				t.Fatal(err)
			}
			seed++
			img.Add(layer, "COPY file in /data")
		}
		if _, err := registry.Push(t.Context(), reg.Addr, i.name, i.tag, img); err != nil {
			t.Fatal(err)
		}
	}
	return &url.URL{Scheme: "http", Host: reg.Addr}
}

// slow puts a line of some megabytes per second between a registry and who asks it.
func slow(t *testing.T, to *url.URL) string {
	proxy := httputil.NewSingleHostReverseProxy(to)
	proxy.ModifyResponse = func(r *http.Response) error {
		r.Body = &slowBody{r.Body}
		return nil
	}
	server := httptest.NewServer(proxy)
	t.Cleanup(server.Close)
	return server.URL
}

type slowBody struct{ io.ReadCloser }

func (b *slowBody) Read(p []byte) (int, error) {
	const step = 64 << 10
	n, err := b.ReadCloser.Read(p[:min(len(p), step)])
	time.Sleep(time.Duration(n) * time.Second / (2 << 20))
	return n, err
}

func (s *stage) once(args ...string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "nacre"), args...)
	cmd.Env = s.env
	if out, err := cmd.CombinedOutput(); err != nil {
		s.t.Fatalf("nacre %s: %v\n%s", strings.Join(args, " "), err, out)
	}
}

// open starts the shell.
func (s *stage) open(cols, rows int) *screen.Session {
	cmd := exec.Command(filepath.Join(s.bin, "nacre"))
	cmd.Env, cmd.Dir = s.env, s.dir
	session := screen.Start(s.t, cmd, cols, rows)
	session.Contains("nacre ❯")
	session.Send("clear\r")
	session.Until("an empty screen", func() bool { return strings.HasPrefix(session.Screen(), "nacre ❯") })
	return session
}

// keep writes a picture of what is on the screen once it satisfies ready.
func (s *stage) keep(session *screen.Session, cols, rows int, name, title string, ready func(string) bool) {
	s.t.Helper()
	session.Until(name, func() bool { return ready(session.Screen()) })
	raw := session.Output()
	if at := strings.LastIndex(raw, "\x1b[2J"); at >= 0 && !strings.Contains(raw, "\x1b[?1049h") {
		raw = raw[at:]
	}
	term := replay(raw, cols, rows)
	if err := os.WriteFile(filepath.Join(s.folder, name+".svg"), []byte(draw(term, title, 7)), 0o644); err != nil {
		s.t.Fatal(err)
	}
}

func end(session *screen.Session) {
	session.Send("\x03\x15exit 0\r")
	<-session.Ended()
}

func (s *stage) pulling() {
	session := s.open(wide, rows)
	session.Send("pull mysql:5.7\r")
	s.keep(session, wide, rows, "pull", "nacre: pull, through a mirror", func(text string) bool {
		return strings.Contains(text, "Pull complete") && strings.Count(text, "Downloading [==") >= 2
	})
	session.Until("pulled", func() bool { return strings.Contains(session.Screen(), "Status: Downloaded") })
	end(session)
	for _, i := range images {
		s.once("pull", "-q", strings.TrimPrefix(i.name, "library/")+":"+i.tag)
	}
}

// servers are the containers in the pictures: what they do keeps the view busy.
var servers = []struct{ name, image, does string }{
	{"web", "nginx:1.27", "while :; do i=0; while [ $i -lt 40000 ]; do i=$((i+1)); done; sleep 0.2; done"},
	{"api", "nginx:1.27", "while :; do i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done; sleep 1; i=0; while [ $i -lt 900000 ]; do i=$((i+1)); done; sleep 2; done"},
	{"cache", "redis:7", "x=; while :; do x=$x$(head -c 60000 /dev/zero | tr '\\0' x); sleep 1; [ ${#x} -gt 2000000 ] && x=; done"},
	{"database", "mysql:5.7", "while :; do head -c 90000000 /dev/zero | md5sum >/dev/null; sleep 3; done"},
	{"mail", "busybox", "sleep 100000"},
}

func (s *stage) menu() {
	for _, c := range servers {
		s.once("run", "-d", "--name", c.name, c.image, "sh", "-c", c.does)
	}
	session := s.open(cols, rows)
	session.Send("run -d --name shop --me\t\t")
	s.keep(session, cols, rows, "menu", "nacre: completion", func(text string) bool { return strings.Contains(text, "--memory-swap") })
	end(session)
}

func (s *stage) preview() {
	session := s.open(cols, rows)
	session.Send("images\r")
	session.Contains("REPOSITORY")
	session.Send("rmi -f $(images -aq)")
	s.keep(session, cols, rows, "preview", "nacre: what will be hit", func(text string) bool { return strings.Contains(text, "in use") })
	end(session)
}

func (s *stage) stats() {
	session := s.open(cols, short)
	session.Send("stats\r")
	session.Contains("5 up")
	// The sparklines show a minute: the picture is worth the wait.
	begun := time.Now()
	s.keep(session, cols, short, "stats", "nacre: stats", func(text string) bool { return time.Since(begun) > 55*time.Second })
	session.Send("q")
	end(session)
	for _, c := range servers {
		s.once("rm", "-f", c.name)
	}
}
