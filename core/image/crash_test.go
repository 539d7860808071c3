package image_test

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/jsonstream"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/image"
	"github.com/nacre-sh/nacre/core/store"
	"github.com/nacre-sh/nacre/tests/registry"
)

// envPull makes this test program pull as a process of its own: `root reference`.
const envPull = "NACRE_TEST_PULL"

// pullAndExit is what such a process does; it prints the progress.
func pullAndExit(job string) int {
	dir, name, _ := strings.Cut(job, " ")
	err := func() error {
		st, err := store.Open(context.Background(), store.Paths{Data: dir + "/data", Exec: dir + "/run"})
		if err != nil {
			return err
		}
		service, err := image.New(context.Background(), image.Options{Store: st})
		if err != nil {
			return err
		}
		ref, err := reference.ParseNormalizedNamed(name)
		if err != nil {
			return err
		}
		return service.Pull(context.Background(), backend.Pull{Ref: reference.TagNameOnly(ref), Progress: func(m jsonstream.Message) {
			fmt.Println(m.ID, m.Status)
		}})
	}()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

func puller(dir, name string) *exec.Cmd {
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), envPull+"="+dir+" "+name)
	cmd.Stderr = os.Stderr
	return cmd
}

// slow passes a registry's layers on at a trickle, and counts who asked for which.
// Big ones stop half way, until release is closed.
func slow(t *testing.T, r *registry.Registry, delay time.Duration, asked *atomic.Int32, release <-chan struct{}) string {
	return inFront(t, r, func(w http.ResponseWriter, req *http.Request) {
		asked.Add(1)
		time.Sleep(delay)
		resp, err := http.Get("http://" + r.Addr + req.URL.Path)
		if err != nil {
			return
		}
		defer resp.Body.Close()
		w.Header().Set("Content-Length", resp.Header.Get("Content-Length"))
		piece := make([]byte, 64<<10)
		for sent := int64(0); ; {
			n, err := resp.Body.Read(piece)
			if sent += int64(n); release != nil && resp.ContentLength > 1<<20 && sent > resp.ContentLength/2 {
				w.(http.Flusher).Flush()
				select {
				case <-release:
				case <-req.Context().Done():
				}
			}
			if _, writeErr := w.Write(piece[:n]); err != nil || writeErr != nil {
				return
			}
			time.Sleep(delay / 10)
		}
	}, func(req *http.Request) bool { return isBlob(req) && req.Method == http.MethodGet })
}

// Two processes and two pulls in this one want the same image at once: every
// layer is fetched once, everybody has it at the end.
func TestSamePullAtTheSameTime(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	push(t, r, "library/demo", "latest", small(t, 3, ""))
	var asked atomic.Int32
	name := slow(t, r, 100*time.Millisecond, &asked, nil) + "/library/demo"
	dir := t.TempDir()
	e := openEngine(t, dir)
	var pulls sync.WaitGroup
	for range 2 {
		pulls.Go(func() {
			if out, err := puller(dir, name).Output(); err != nil {
				t.Errorf("the other process: %v\n%s", err, out)
			}
		})
		pulls.Go(func() {
			if lines, err := e.pull(name); err != nil {
				t.Errorf("here: %v\n%s", err, strings.Join(lines, "\n"))
			}
		})
	}
	pulls.Wait()
	// Each pull reads the config, one of them each layer.
	if n := asked.Load(); n > 4+3 {
		t.Errorf("%d blobs were fetched, want 4 configs and 3 layers", n)
	}
	root, err := e.Rootfs(context.Background(), name, nil)
	must(t, err)
	for i, dir := range root.LowerDirs {
		if _, err := os.Stat(filepath.Join(dir, "etc")); err != nil {
			t.Errorf("layer %d: %v", i, err)
		}
	}
}

// A pull that is killed in the middle leaves no image, and what it finished is
// not fetched again.
func TestKilledPull(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	base := small(t, 1, "")
	img := registry.New("amd64", base.Layers...)
	big, err := registry.Random(7, 8<<20)
	must(t, err)
	img.Add(big, "ADD big")
	push(t, r, "library/demo", "latest", img)
	var asked atomic.Int32
	release := make(chan struct{})
	name := slow(t, r, 0, &asked, release) + "/library/demo"
	dir := t.TempDir()
	cmd := puller(dir, name)
	out, err := cmd.StdoutPipe()
	must(t, err)
	must(t, cmd.Start())
	for lines := bufio.NewScanner(out); lines.Scan(); {
		if strings.HasSuffix(lines.Text(), " Pull complete") { // the small one; the big one is under way
			break
		}
	}
	must(t, cmd.Process.Kill())
	cmd.Wait()
	close(release)

	e := openEngine(t, dir)
	list, err := e.List(context.Background(), backend.ImageList{All: true})
	if err != nil || len(list) > 0 {
		t.Errorf("after the kill: images %v (%v)", list, err)
	}
	lines, err := e.pull(name)
	if err != nil || count(lines, ": Already exists") != 1 || count(lines, ": Pull complete") != 1 {
		t.Errorf("the next pull: %v\n%s", err, strings.Join(lines, "\n"))
	}
	collect(t, e, 0)
	noStaging(t, e)
	if left, _ := os.ReadDir(e.store.Paths.Temp()); len(left) > 0 {
		t.Errorf("temporary files left: %v", left)
	}
}

// Ctrl-C in the middle of a layer ends the pull and leaves nothing half done.
func TestCancelledPull(t *testing.T) {
	r := startRegistry(t, registry.Options{})
	big, err := registry.Random(7, 8<<20)
	must(t, err)
	push(t, r, "library/demo", "latest", registry.New("amd64", big))
	var asked atomic.Int32
	ref, err := reference.ParseNormalizedNamed(slow(t, r, 0, &asked, make(chan struct{})) + "/library/demo:latest")
	must(t, err)
	e := newEngine(t)
	ctx, cancel := context.WithCancel(context.Background())
	defer cancel()
	pressed := false
	err = e.Pull(ctx, backend.Pull{Ref: ref, Progress: func(m jsonstream.Message) {
		if m.Status == "Downloading" && m.Progress.Current > 0 && !pressed {
			pressed = true
			cancel()
		}
	}})
	if !errors.Is(err, context.Canceled) {
		t.Errorf("the pull ended after Ctrl-C with %v", err)
	}
	noStaging(t, e)
}
