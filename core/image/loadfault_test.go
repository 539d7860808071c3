package image_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"testing"
	"time"

	"github.com/containerd/errdefs"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
	"github.com/nacre-sh/nacre/core/image"
	"github.com/nacre-sh/nacre/core/store"
)

// envLoad makes this test program load its standard input into the roots below a folder.
const envLoad = "NACRE_TEST_LOAD"

func loadAndExit(dir string) int {
	st, err := store.Open(context.Background(), store.Paths{Data: dir + "/data", Exec: dir + "/run"})
	if err == nil {
		var service *image.Service
		if service, err = image.New(context.Background(), image.Options{Store: st}); err == nil {
			err = service.Load(context.Background(), os.Stdin, backend.ImageLoad{})
		}
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// await waits for a condition; nothing here is timed.
func await(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); !ok(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited a minute for %s", what)
		}
	}
}

// A load that is killed in the middle of a layer leaves no image, and nothing
// that the collector does not find.
func TestKilledLoad(t *testing.T) {
	dir := t.TempDir()
	archive := dockerArchive(t)
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), envLoad+"="+dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	must(t, err)
	must(t, cmd.Start())
	defer cmd.Process.Kill()
	half := bytes.Index(archive, []byte("two")) + 1 // in the second layer
	_, err = stdin.Write(archive[:half])
	must(t, err)
	await(t, "the first layer's files", func() bool {
		found, err := filepath.Glob(dir + "/data/layers/overlay/staging/*/*/one")
		return err == nil && len(found) == 1
	})
	must(t, cmd.Process.Kill())
	cmd.Wait() // killed
	stdin.Close()

	e := openEngine(t, dir)
	list, err := e.List(context.Background(), backend.ImageList{All: true})
	if err != nil || len(list) > 0 {
		t.Errorf("images afterwards: %v (%v)", list, err)
	}
	_, err = e.Collect(context.Background(), 0)
	must(t, err)
	noStaging(t, e)
	left, err := os.ReadDir(e.store.Paths.Temp())
	if err != nil && !errors.Is(err, fs.ErrNotExist) || len(left) > 0 {
		t.Errorf("temporary files: %v (%v)", left, err)
	}
	_, err = e.load(bytes.NewReader(archive))
	must(t, err)
	e.id(t, "old/a:1")
}

func TestNoSpaceLeftForLoad(t *testing.T) {
	big := bytesOf(t, tarOf(t, "small"))
	config := configFor(t, "amd64", big)
	filler := bundle(t, entry{name: "filler", body: bytes.Repeat([]byte("0123456789abcdef"), 1<<20)})
	archive := bundle(t, entry{name: "l.tar", body: big}, entry{name: "m.tar", body: filler}, entry{name: "c.json", body: config},
		entry{name: "manifest.json", body: toJSON(t, []map[string]any{{"Config": "c.json", "Layers": []string{"l.tar"}}})})
	dir := t.TempDir()
	must(t, os.Mkdir(dir+"/data", 0o700))
	must(t, unix.Mount("tmpfs", dir+"/data", "tmpfs", 0, "size=8m"))
	t.Cleanup(func() { unix.Unmount(dir+"/data", unix.MNT_DETACH) })
	e := openEngine(t, dir)
	_, err := e.load(bytes.NewReader(archive))
	if !errdefs.IsResourceExhausted(err) {
		t.Errorf("error %v, want that the disk is full", err)
	}
	noStaging(t, e)
	_, err = e.load(bytes.NewReader(dockerArchive(t)))
	must(t, err)
}
