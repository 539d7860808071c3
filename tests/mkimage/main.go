// Command mkimage builds a small busybox image from the host's static busybox
// and pushes it to a registry on a plain HTTP address:
//
//	go run ./tests/mkimage -registry 127.0.0.1:5000 -name library/busybox -tag latest
//
// The same flags give the same digests every time.
package main

import (
	"context"
	"flag"
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"github.com/nacre-sh/nacre/tests/registry"
)

func main() {
	if err := run(context.Background(), os.Args[1:], os.Stdout, os.Stderr); err != nil {
		fmt.Fprintln(os.Stderr, "mkimage:", err)
		os.Exit(1)
	}
}

// words is a flag that may be given several times.
type words []string

func (w *words) String() string { return strings.Join(*w, " ") }
func (w *words) Set(v string) error {
	*w = append(*w, v)
	return nil
}

type request struct {
	client           registry.Client
	name, tag, arch  string
	layers           int
	size             int64
	seed             uint64
	oci              bool
	user, workdir    string
	stopSignal       string
	cmd, entrypoint  words
	env, labels      words
	volumes, exposed words
	files            words
	alsoFor          words
}

func run(ctx context.Context, args []string, out, errOut io.Writer) error {
	req, err := parse(args, errOut)
	if err != nil {
		return err
	}
	img, err := req.build(req.arch)
	if err != nil {
		return err
	}
	if len(req.alsoFor) == 0 {
		d, err := req.client.Push(ctx, req.name, req.tag, img)
		if err == nil {
			fmt.Fprintf(out, "%s/%s:%s %s\n", req.client.Addr, req.name, req.tag, d.Digest)
		}
		return err
	}
	images := []registry.Image{img}
	for _, arch := range req.alsoFor {
		other, err := req.build(arch)
		if err != nil {
			return err
		}
		images = append(images, other)
	}
	d, err := req.client.PushIndex(ctx, req.name, req.tag, images...)
	if err == nil {
		fmt.Fprintf(out, "%s/%s:%s %s\n", req.client.Addr, req.name, req.tag, d)
	}
	return err
}

func parse(args []string, errOut io.Writer) (*request, error) {
	r := &request{}
	f := flag.NewFlagSet("mkimage", flag.ContinueOnError)
	f.SetOutput(errOut)
	f.StringVar(&r.client.Addr, "registry", "127.0.0.1:5000", "host:port of the registry, plain HTTP")
	f.StringVar(&r.client.User, "login", "", "user name for the registry; its password comes from $MKIMAGE_PASSWORD")
	f.StringVar(&r.name, "name", "library/busybox", "repository")
	f.StringVar(&r.tag, "tag", "latest", "tag")
	f.StringVar(&r.arch, "arch", runtime.GOARCH, "architecture in the image's config")
	f.IntVar(&r.layers, "layers", 1, "number of layers; those above the first hold random content")
	f.Int64Var(&r.size, "size", 1<<20, "bytes in each random layer")
	f.Uint64Var(&r.seed, "seed", 1, "of the random content")
	f.BoolVar(&r.oci, "oci", false, "use OCI media types")
	f.StringVar(&r.user, "user", "", "USER of the image")
	f.StringVar(&r.workdir, "workdir", "", "WORKDIR of the image")
	f.StringVar(&r.stopSignal, "stopsignal", "", "STOPSIGNAL of the image")
	f.Var(&r.cmd, "cmd", "one word of CMD; repeat")
	f.Var(&r.entrypoint, "entrypoint", "one word of ENTRYPOINT; repeat")
	f.Var(&r.env, "env", "NAME=value; repeat")
	f.Var(&r.labels, "label", "name=value; repeat")
	f.Var(&r.volumes, "volume", "path of a VOLUME; repeat")
	f.Var(&r.exposed, "expose", "port/protocol of an EXPOSE; repeat")
	f.Var(&r.files, "file", "path=content, in a layer of its own on top; repeat")
	f.Var(&r.alsoFor, "also-arch", "push a manifest list with this architecture too; repeat")
	if err := f.Parse(args); err != nil {
		return nil, err
	}
	if f.NArg() > 0 {
		return nil, fmt.Errorf("unexpected argument %q", f.Arg(0))
	}
	r.client.Password = os.Getenv("MKIMAGE_PASSWORD")
	return r, nil
}

func (r *request) build(arch string) (registry.Image, error) {
	img, err := registry.Busybox(arch)
	if err != nil {
		return img, err
	}
	for i := 1; i < r.layers; i++ {
		l, err := registry.Random(r.seed+uint64(i)-1, r.size)
		if err != nil {
			return img, err
		}
		img.Add(l, fmt.Sprintf("ADD random content %d", i))
	}
	if err := r.addFiles(&img); err != nil {
		return img, err
	}
	r.configure(&img)
	return img, nil
}

func (r *request) addFiles(img *registry.Image) error {
	if len(r.files) == 0 {
		return nil
	}
	var files []registry.File
	for _, f := range r.files {
		path, content, _ := strings.Cut(f, "=")
		files = append(files, registry.Text(strings.TrimPrefix(path, "/"), content))
	}
	l, err := registry.Pack(files...)
	if err != nil {
		return err
	}
	img.Add(l, "COPY files in /")
	return nil
}

func (r *request) configure(img *registry.Image) {
	img.OCI = r.oci
	c := &img.Config.Config
	c.User, c.WorkingDir, c.StopSignal = r.user, r.workdir, r.stopSignal
	c.Env = append(c.Env, r.env...)
	if len(r.cmd) > 0 || len(r.entrypoint) > 0 {
		c.Cmd, c.Entrypoint = r.cmd, r.entrypoint
	}
	for _, l := range r.labels {
		name, value, _ := strings.Cut(l, "=")
		if c.Labels == nil {
			c.Labels = map[string]string{}
		}
		c.Labels[name] = value
	}
	c.Volumes, c.ExposedPorts = set(r.volumes), set(r.exposed)
}

func set(names []string) map[string]struct{} {
	if len(names) == 0 {
		return nil
	}
	out := map[string]struct{}{}
	for _, n := range names {
		out[n] = struct{}{}
	}
	return out
}
