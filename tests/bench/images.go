package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/tests/registry"
)

const (
	largeLayers = 8
	manyImages  = 10000
	memoryLimit = 150 // MiB
)

// imageRows move large images, and list very many.
var imageRows = []row{
	{"pull", "`pull` of a large image in 8 layers, cold", "ms", "both ≥ 1.5 ×", bothTimes(1.5), withLarge(measurePull)},
	{"pull-memory", "peak memory of that pull", "MiB", "< 150 MiB", atMost(memoryLimit), withLarge(measurePullMemory)},
	{"push", "`push` of it into an empty registry", "ms", "≤ both", bothTimes(1), withLarge(measurePush)},
	{"save", "`save` of it into a file", "ms", "both ≥ 1.3 ×", bothTimes(1.3), withLarge(measureSave)},
	{"load", "`load` of that file, cold", "ms", "both ≥ 1.3 ×", bothTimes(1.3), withLarge(measureLoad)},
	{"images-10000", "`images` one-shot, 10,000 images", "ms", "< 100 ms", atMost(100), withMany(measureManyImages)},
	{"images-10000-prompt", "`images` at the prompt, 10,000 images", "ms", "< 20 ms", atMost(20), withMany(measureManyImagesAtPrompt)},
}

func (l *lab) large() string { return l.registry + "/bench/large:1" }

// withLarge measures when the registry has a large image and every engine too.
func withLarge(measure func(context.Context, *lab, *sample) error) func(context.Context, *lab, *sample) error {
	return func(ctx context.Context, l *lab, s *sample) error {
		if err := l.once(ctx, fmt.Sprintf("make an image of %d MiB", l.mib), l.makeLarge); err != nil {
			return err
		}
		return measure(ctx, l, s)
	}
}

func (l *lab) makeLarge(ctx context.Context) error {
	img := registry.New("amd64")
	for i := range largeLayers {
		layer, err := largeLayer(uint64(i), l.mib/largeLayers)
		if err != nil {
			return err
		}
		img.Add(layer, "ADD much")
	}
	if _, err := registry.Push(ctx, l.registry, "bench/large", "1", img); err != nil {
		return err
	}
	for _, e := range l.engines {
		if _, err := e.run(ctx, append([]string{"pull", "-q"}, e.pullOptions(l.large())...)...); err != nil {
			return err
		}
	}
	return nil
}

// pullOptions names an image; podman must be told that the registry is plain.
func (e *engine) pullOptions(image string) []string {
	if e.name == "podman" {
		return []string{"--tls-verify=false", image}
	}
	return []string{image}
}

// largeLayer is a layer of files of 1 MiB, each of which packs to about a half.
func largeLayer(seed uint64, mib int) (registry.Layer, error) {
	random := rand.NewChaCha8([32]byte{0: byte(seed)})
	files := []registry.File{registry.Dir("data", 0o755)}
	for i := range mib {
		content := bytes.Repeat([]byte("what repeats packs well "), 1<<20/24+1)[:1<<20]
		if _, err := random.Read(content[:1<<19]); err != nil {
			return registry.Layer{}, err
		}
		files = append(files, registry.File{Name: fmt.Sprintf("data/%d-%d", seed, i), Mode: 0o644, Content: content})
	}
	return registry.Pack(files...)
}

// cold is an engine that does not have the large image. Nacre gets new roots,
// because removed layers wait in its trash; the returned function empties them.
func (l *lab) cold(ctx context.Context, e *engine) (*engine, func() error, error) {
	unix.Sync() // nobody pays for what others wrote
	if e != l.nacre {
		_, err := e.run(ctx, "rmi", "-f", l.large())
		return e, func() error { return nil }, err
	}
	return l.fresh()
}

// fresh is nacre on roots of its own.
func (l *lab) fresh() (*engine, func() error, error) {
	dir, err := os.MkdirTemp(l.dir, "cold-")
	if err != nil {
		return nil, nil, err
	}
	e := *l.nacre
	e.env = append(append([]string{}, e.env...), "NACRE_DATA_ROOT="+filepath.Join(dir, "d"), "NACRE_EXEC_ROOT="+filepath.Join(dir, "r"))
	return &e, func() error { return os.RemoveAll(dir) }, nil
}

// eachCold measures a command on engines that do not have the image.
func (l *lab) eachCold(ctx context.Context, runs int, run func(*engine) error) error {
	for range runs {
		for _, e := range l.engines {
			at, clean, err := l.cold(ctx, e)
			if err != nil {
				return err
			}
			if err := run(at); err != nil {
				return err
			}
			if err := clean(); err != nil {
				return err
			}
		}
	}
	return nil
}

// fewRuns is how often something large is moved.
func (l *lab) fewRuns() int { return max(2, l.runs/4) }

func measurePull(ctx context.Context, l *lab, s *sample) error {
	return l.eachCold(ctx, l.fewRuns(), func(e *engine) error {
		return e.timed(ctx, s, append([]string{"pull", "-q"}, e.pullOptions(l.large())...)...)
	})
}

func measurePullMemory(ctx context.Context, l *lab, s *sample) error {
	e, clean, err := l.fresh()
	if err != nil {
		return err
	}
	peak, err := peakMemory(e.cmd(ctx, "pull", "-q", l.large()))
	if err != nil {
		return fmt.Errorf("pull: %w", err)
	}
	s.add(l.nacre, peak)
	return clean()
}

// peakMemory runs a program and returns the most memory that it had, in MiB.
// It asks while the program runs: what the kernel counts at the end includes
// this process's memory, from before the program was executed.
func peakMemory(cmd *exec.Cmd) (float64, error) {
	if err := cmd.Start(); err != nil {
		return 0, err
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	status := fmt.Sprintf("/proc/%d/status", cmd.Process.Pid)
	peak := 0.0
	for {
		select {
		case err := <-ended:
			return peak / 1024, err
		case <-time.After(5 * time.Millisecond):
		}
		text, err := os.ReadFile(status)
		if err != nil {
			continue // it has just ended
		}
		if _, rest, ok := strings.Cut(string(text), "VmHWM:"); ok {
			var kib float64
			if _, err := fmt.Sscan(rest, &kib); err == nil {
				peak = kib // it only grows
			}
		}
	}
}

// measurePush pushes to a registry of its own each time: a push to a known one
// finds everything there.
func measurePush(ctx context.Context, l *lab, s *sample) error {
	for range l.fewRuns() {
		for _, e := range l.engines {
			if err := l.pushOnce(ctx, e, s); err != nil {
				return err
			}
		}
	}
	return nil
}

func (l *lab) pushOnce(ctx context.Context, e *engine, s *sample) error {
	dir, err := os.MkdirTemp(l.dir, "empty-")
	if err != nil {
		return err
	}
	defer os.RemoveAll(dir)
	empty, err := registry.Start(dir)
	if err != nil {
		return err
	}
	defer empty.Close()
	name := empty.Addr + "/bench/large:1"
	if _, err := e.run(ctx, "tag", l.large(), name); err != nil {
		return err
	}
	unix.Sync()
	if err := e.timed(ctx, s, append([]string{"push", "-q"}, e.pullOptions(name)...)...); err != nil {
		return err
	}
	_, err = e.run(ctx, "rmi", name)
	return err
}

func (l *lab) saved(e *engine) string { return filepath.Join(l.dir, e.name+"-large.tar") }

func measureSave(ctx context.Context, l *lab, s *sample) error {
	for range l.fewRuns() {
		for _, e := range l.engines {
			unix.Sync()
			os.Remove(l.saved(e)) // podman does not overwrite
			if err := e.timed(ctx, s, "save", "-o", l.saved(e), l.large()); err != nil {
				return err
			}
		}
	}
	return nil
}

func measureLoad(ctx context.Context, l *lab, s *sample) error {
	for _, e := range l.engines {
		if _, err := os.Stat(l.saved(e)); err != nil {
			if _, err := e.run(ctx, "save", "-o", l.saved(e), l.large()); err != nil {
				return err
			}
		}
	}
	return l.eachCold(ctx, l.fewRuns(), func(e *engine) error { return e.timed(ctx, s, "load", "-q", "-i", l.saved(e)) })
}

// withMany measures on nacre with very many images, in roots of their own.
func withMany(measure func(context.Context, *engine, *lab, *sample) error) func(context.Context, *lab, *sample) error {
	return func(ctx context.Context, l *lab, s *sample) error {
		err := l.once(ctx, fmt.Sprintf("make %d images", manyImages), func(ctx context.Context) error {
			many, _, err := l.fresh()
			if err != nil {
				return err
			}
			l.many = many
			file := filepath.Join(l.dir, "many.tar")
			if err := writeMany(file); err != nil {
				return err
			}
			_, err = many.run(ctx, "load", "-q", "-i", file)
			return err
		})
		if err != nil {
			return err
		}
		return measure(ctx, l.many, l, s)
	}
}

// writeMany writes an archive of many images of one small layer.
func writeMany(file string) error {
	var layer bytes.Buffer
	inner := tar.NewWriter(&layer)
	if err := put(inner, "file", []byte("content")); err != nil {
		return err
	}
	if err := inner.Close(); err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	if err := put(w, "layer.tar", layer.Bytes()); err != nil {
		return err
	}
	var list []map[string]any
	for i := range manyImages {
		config := fmt.Sprintf(`{"architecture":"amd64","os":"linux","created":%q,"config":{"Cmd":["sh"],"Env":["N=%d"]},"rootfs":{"type":"layers","diff_ids":["sha256:%x"]}}`,
			time.Unix(int64(1700000000+i), 0).UTC().Format(time.RFC3339), i, sha256.Sum256(layer.Bytes()))
		name := fmt.Sprintf("%d.json", i)
		if err := put(w, name, []byte(config)); err != nil {
			return err
		}
		list = append(list, map[string]any{"Config": name, "RepoTags": []string{fmt.Sprintf("many/image%d:1", i)}, "Layers": []string{"layer.tar"}})
	}
	raw, err := json.Marshal(list)
	if err != nil {
		return err
	}
	if err := put(w, "manifest.json", raw); err != nil {
		return err
	}
	return w.Close()
}

func put(w *tar.Writer, name string, body []byte) error {
	if err := w.WriteHeader(&tar.Header{Name: name, Mode: 0o644, Size: int64(len(body)), Typeflag: tar.TypeReg}); err != nil {
		return err
	}
	_, err := w.Write(body)
	return err
}

func measureManyImages(ctx context.Context, many *engine, l *lab, s *sample) error {
	for range l.runs {
		if err := many.timed(ctx, s, "images"); err != nil {
			return err
		}
	}
	return nil
}

func measureManyImagesAtPrompt(ctx context.Context, many *engine, l *lab, s *sample) error {
	at, err := many.session(ctx)
	if err != nil {
		return err
	}
	defer at.end()
	if err := at.await(promptSign); err != nil {
		return err
	}
	for range max(3, l.runs/4) {
		took, err := at.each("images")
		if err != nil {
			return err
		}
		s.add(l.nacre, ms(took))
	}
	return nil
}
