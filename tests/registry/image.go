package registry

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"fmt"
	"io"
	"math/rand/v2"
	"os"
	"os/exec"
	"strings"
	"time"

	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// Image is an image ready to be pushed.
type Image struct {
	Config dockerspec.DockerOCIImage
	Layers []Layer
	OCI    bool // media types of OCI instead of docker's schema 2
}

// Layer is one layer, packed.
type Layer struct {
	Blob   []byte        // gzip
	DiffID digest.Digest // of the tar inside
}

// built is the time stamp of everything that is made here, so that the same
// request gives the same digests everywhere.
var built = time.Date(2024, 1, 2, 3, 4, 5, 0, time.UTC)

// New makes an image of the given layers for linux on the given architecture.
func New(arch string, layers ...Layer) Image {
	img := Image{Config: dockerspec.DockerOCIImage{Image: ocispec.Image{
		Created:  &built,
		Platform: ocispec.Platform{OS: "linux", Architecture: arch},
		RootFS:   ocispec.RootFS{Type: "layers"},
	}}}
	img.Config.Config.Env = []string{"PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}
	for _, l := range layers {
		img.Add(l, "ADD file in /")
	}
	return img
}

// Add puts a layer on top.
func (img *Image) Add(l Layer, createdBy string) {
	img.Layers = append(img.Layers, l)
	img.Config.RootFS.DiffIDs = append(img.Config.RootFS.DiffIDs, l.DiffID)
	img.Config.History = append(img.Config.History, ocispec.History{Created: &built, CreatedBy: "/bin/sh -c #(nop) " + createdBy})
}

// Busybox is a small working system: the host's static busybox under /bin with
// a link per applet, the files a login needs, and `sh` as its command.
func Busybox(arch string) (Image, error) {
	base, err := busyboxLayer()
	if err != nil {
		return Image{}, fmt.Errorf("build the busybox image: %w", err)
	}
	img := New(arch, base)
	img.Config.Config.Cmd = []string{"sh"}
	img.Config.History = append(img.Config.History, ocispec.History{
		Created: &built, CreatedBy: `/bin/sh -c #(nop)  CMD ["sh"]`, EmptyLayer: true,
	})
	return img, nil
}

func busyboxLayer() (Layer, error) {
	program, err := exec.LookPath("busybox")
	if err != nil {
		return Layer{}, fmt.Errorf("%w (Debian's package busybox-static)", err)
	}
	binary, err := os.ReadFile(program)
	if err != nil {
		return Layer{}, err
	}
	applets, err := exec.Command(program, "--list").Output()
	if err != nil {
		return Layer{}, fmt.Errorf("list the applets of %s: %w", program, err)
	}
	files := []File{
		Dir("bin", 0o755), Dir("etc", 0o755), Dir("root", 0o700), Dir("tmp", 0o1777), Dir("home", 0o755),
		Dir("usr", 0o755), Dir("usr/bin", 0o755), Dir("usr/sbin", 0o755), Dir("var", 0o755), Dir("var/spool", 0o755),
		Dir("dev", 0o755), Dir("proc", 0o755), Dir("sys", 0o755), Dir("sbin", 0o755),
		Text("etc/passwd", "root:x:0:0:root:/root:/bin/sh\ndaemon:x:1:1:daemon:/usr/sbin:/bin/false\nwww-data:x:33:33:www-data:/var/www:/bin/false\nnobody:x:65534:65534:nobody:/home:/bin/false\n"),
		Text("etc/group", "root:x:0:\ndaemon:x:1:\nwww-data:x:33:\nnogroup:x:65534:\n"),
		Text("etc/shadow", "root:*:19000::::::\n"),
		{Name: "bin/busybox", Mode: 0o755, Content: binary},
	}
	for _, applet := range strings.Fields(string(applets)) {
		if applet != "busybox" {
			files = append(files, File{Name: "bin/" + applet, Mode: 0o777, Link: "busybox"})
		}
	}
	return Pack(files...)
}

// Random is a layer with one file of incompressible content; the same seed gives the same layer.
func Random(seed uint64, size int64) (Layer, error) {
	content := make([]byte, size)
	if _, err := io.ReadFull(rand.NewChaCha8([32]byte{0: byte(seed), 1: byte(seed >> 8), 2: byte(seed >> 16), 3: byte(seed >> 24)}), content); err != nil {
		return Layer{}, err
	}
	return Pack(Dir("data", 0o755), File{Name: fmt.Sprintf("data/%d", seed), Mode: 0o644, Content: content})
}

// File is an entry of a layer. A name that ends in / is a folder, one with a
// Link a symbolic link.
type File struct {
	Name    string
	Mode    int64
	Content []byte
	Link    string
}

// Dir and Text are the two common kinds of entries.
func Dir(name string, mode int64) File { return File{Name: name + "/", Mode: mode} }
func Text(name, content string) File {
	return File{Name: name, Mode: 0o644, Content: []byte(content)}
}

// Pack makes a layer of files, in the given order.
func Pack(files ...File) (Layer, error) {
	var blob bytes.Buffer
	zip := gzip.NewWriter(&blob)
	diffID := digest.Canonical.Digester()
	w := tar.NewWriter(io.MultiWriter(zip, diffID.Hash()))
	for _, f := range files {
		if err := writeFile(w, f); err != nil {
			return Layer{}, fmt.Errorf("pack %s: %w", f.Name, err)
		}
	}
	if err := w.Close(); err != nil {
		return Layer{}, err
	}
	if err := zip.Close(); err != nil {
		return Layer{}, err
	}
	return Layer{Blob: blob.Bytes(), DiffID: diffID.Digest()}, nil
}

func writeFile(w *tar.Writer, f File) error {
	h := &tar.Header{Name: f.Name, Mode: f.Mode, ModTime: built, Typeflag: tar.TypeReg, Size: int64(len(f.Content))}
	switch {
	case f.Link != "":
		h.Typeflag, h.Linkname, h.Size = tar.TypeSymlink, f.Link, 0
	case strings.HasSuffix(f.Name, "/"):
		h.Typeflag = tar.TypeDir
	}
	if err := w.WriteHeader(h); err != nil {
		return err
	}
	_, err := w.Write(f.Content)
	return err
}
