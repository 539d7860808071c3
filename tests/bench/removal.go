package main

import (
	"archive/tar"
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	bulkImages  = 1000
	bulkSharing = 300 // of them have a layer in common
	bulkStopped = 200 // containers
	bulkVolumes = 100
	bulkLabel   = "bulk=1"
)

// removalRows are removals of very many things.
var removalRows = []row{
	{"rmi-1000", "`rmi -f` of 1,000 images, until the prompt is back", "ms", "docker ≥ 10 ×", dockerTimes(10), measureBulk("", removeBulk)},
	{"rmi-1000-freed", "the same without trash, until the layers are gone", "ms", "≤ docker's", noSlower, measureBulk("0", removeBulk)},
	{"prune-1000", "`image prune -a` of 1,000 images", "ms", "docker ≥ 10 ×", dockerTimes(10), measureBulk("", pruneBulk)},
	{"rm-200", "`rm -f` of 200 stopped containers", "ms", "docker ≥ 10 ×", dockerTimes(10), measureRemoveStopped},
	{"volumes-100", "100 volumes made and removed, a process each", "ms", "docker ≥ 3 ×", dockerTimes(3), measureVolumes},
	{"volumes-script", "a script that makes 100 volumes and removes them one by one", "ms", "docker ≥ 3 ×", dockerTimes(3), measureVolumesScript},
}

// measureBulk fills every engine with images and measures their removal once.
// With keep set, nacre's trash waits so long, and its removal ends when the
// layers' files are gone: those of the others are gone when they answer.
func measureBulk(keep string, remove func(context.Context, *engine) ([]string, error)) func(context.Context, *lab, *sample) error {
	return func(ctx context.Context, l *lab, s *sample) error {
		archive := filepath.Join(l.dir, "bulk.tar")
		if err := l.once(ctx, "pack 1,000 images", func(context.Context) error { return writeBulk(archive) }); err != nil {
			return err
		}
		for _, e := range l.engines {
			if e.name == "podman" { // it takes many minutes to load them
				continue
			}
			if err := l.bulkOnce(ctx, e, s, archive, keep, remove); err != nil {
				return err
			}
		}
		return nil
	}
}

func (l *lab) bulkOnce(ctx context.Context, e *engine, s *sample, archive, keep string, remove func(context.Context, *engine) ([]string, error)) error {
	before := l.layersOfNacre()
	if _, err := e.run(ctx, "load", "-q", "-i", archive); err != nil {
		return err
	}
	args, err := remove(ctx, e)
	if err != nil {
		return err
	}
	if e == l.nacre && keep != "" {
		if _, err := e.run(ctx, "trash", "set", "--keep", keep); err != nil {
			return err
		}
	}
	start := time.Now()
	if _, err := e.run(ctx, args...); err != nil {
		return err
	}
	if e == l.nacre && keep != "" {
		for l.layersOfNacre() > before {
			if time.Since(start) > 5*time.Minute {
				return fmt.Errorf("the layers of removed images are still there after five minutes")
			}
			time.Sleep(5 * time.Millisecond)
		}
	}
	s.add(e, ms(time.Since(start)))
	if e != l.nacre {
		return nil
	}
	if _, err := e.run(ctx, "trash", "set", "--keep", "10m"); err != nil {
		return err
	}
	_, err = e.run(ctx, "trash", "empty")
	return err
}

// layersOfNacre counts the layers' folders.
func (l *lab) layersOfNacre() int {
	entries, err := os.ReadDir(filepath.Join(l.dir, "nacre", "layers", "overlay"))
	if err != nil {
		return 0
	}
	n := 0
	for _, e := range entries {
		if len(e.Name()) == sha256.Size*2 {
			n++
		}
	}
	return n
}

func removeBulk(ctx context.Context, e *engine) ([]string, error) {
	out, err := e.run(ctx, "images", "-aq", "--no-trunc", "--filter", "label="+bulkLabel)
	if err != nil {
		return nil, err
	}
	ids := strings.Fields(out)
	if len(ids) != bulkImages {
		return nil, fmt.Errorf("%s has %d images, want %d", e.name, len(ids), bulkImages)
	}
	return append([]string{"rmi", "-f"}, ids...), nil
}

func pruneBulk(context.Context, *engine) ([]string, error) {
	return []string{"image", "prune", "-af", "--filter", "label=" + bulkLabel}, nil
}

func measureRemoveStopped(ctx context.Context, l *lab, s *sample) error {
	for range l.fewRuns() {
		for _, e := range l.engines {
			args := []string{"rm", "-f"}
			for range bulkStopped {
				out, err := e.run(ctx, "create", e.image, "true")
				if err != nil {
					return err
				}
				args = append(args, strings.TrimSpace(out))
			}
			if err := e.timed(ctx, s, args...); err != nil {
				return err
			}
		}
	}
	return nil
}

func measureVolumes(ctx context.Context, l *lab, s *sample) error {
	for range l.fewRuns() {
		for _, e := range l.engines {
			start := time.Now()
			for _, verb := range []string{"create", "rm"} {
				for i := range bulkVolumes {
					if _, err := e.run(ctx, "volume", verb, fmt.Sprint("bulk", i)); err != nil {
						return err
					}
				}
			}
			s.add(e, ms(time.Since(start)))
		}
	}
	return nil
}

func measureVolumesScript(ctx context.Context, l *lab, s *sample) error {
	numbers := strings.Repeat("x ", bulkVolumes)
	return l.scripts(ctx, s, func(_ *engine, do string) string {
		return fmt.Sprintf("n=0; for i in %[1]s; do n=$((n+1)); %[2]s volume create bulk$n; done >/dev/null; n=0; for i in %[1]s; do n=$((n+1)); %[2]s volume rm bulk$n; done >/dev/null", numbers, do)
	})
}

// writeBulk writes an archive of images of a small layer of their own; some
// have another one below it that they share.
func writeBulk(file string) error {
	shared, err := bulkLayer("shared", bytes.Repeat([]byte("s"), 100<<10))
	if err != nil {
		return err
	}
	f, err := os.Create(file)
	if err != nil {
		return err
	}
	defer f.Close()
	w := tar.NewWriter(f)
	if err := put(w, "shared.tar", shared); err != nil {
		return err
	}
	var list []map[string]any
	for i := range bulkImages {
		own, err := bulkLayer(fmt.Sprint("own", i), bytes.Repeat([]byte{byte(i)}, 10<<10))
		if err != nil {
			return err
		}
		layers, diffs := []string{fmt.Sprintf("%d.tar", i)}, []string{diffID(own)}
		if i < bulkSharing {
			layers, diffs = append([]string{"shared.tar"}, layers...), append([]string{diffID(shared)}, diffs...)
		}
		config, err := json.Marshal(map[string]any{
			"architecture": "amd64", "os": "linux", "created": time.Unix(int64(1700000000+i), 0).UTC().Format(time.RFC3339),
			"config": map[string]any{"Labels": map[string]string{"bulk": "1"}}, "rootfs": map[string]any{"type": "layers", "diff_ids": diffs},
		})
		if err != nil {
			return err
		}
		if err := put(w, layers[len(layers)-1], own); err != nil {
			return err
		}
		if err := put(w, fmt.Sprintf("%d.json", i), config); err != nil {
			return err
		}
		list = append(list, map[string]any{"Config": fmt.Sprintf("%d.json", i), "RepoTags": []string{fmt.Sprintf("bulk/image%d:1", i)}, "Layers": layers})
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

func diffID(layer []byte) string { return fmt.Sprintf("sha256:%x", sha256.Sum256(layer)) }

func bulkLayer(name string, content []byte) ([]byte, error) {
	var layer bytes.Buffer
	w := tar.NewWriter(&layer)
	if err := put(w, name, content); err != nil {
		return nil, err
	}
	err := w.Close()
	return layer.Bytes(), err
}
