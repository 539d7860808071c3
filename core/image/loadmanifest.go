package image

import (
	"encoding/json"
	"errors"
	"fmt"
	"path"
	"runtime"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/opencontainers/go-digest"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/manifest"
)

// documents are the small files of an archive by their cleaned paths, and the
// links between its files. They lie in memory: no path of an archive ever
// becomes a path of this machine.
type documents struct {
	files map[string][]byte
	links map[string]string
}

// maxLinks is how many links may follow each other; old archives have one.
const maxLinks = 8

// resolve follows links from one name in the archive to another.
func (d *documents) resolve(name string) string {
	name = cleanEntry(name)
	for range maxLinks {
		target, ok := d.links[name]
		if !ok {
			return name
		}
		name = target
	}
	return ""
}

func (d *documents) read(name string) ([]byte, bool) {
	raw, ok := d.files[d.resolve(name)]
	return raw, ok
}

// cleanEntry gives every way to write an entry's path one form.
func cleanEntry(name string) string { return strings.TrimPrefix(path.Clean("/"+name), "/") }

// bundled is an image as an archive describes it.
type bundled struct {
	names  []reference.NamedTagged
	config []byte
	layers []string // entries, bottom first
	spec   dockerspec.DockerOCIImage

	manifest     []byte // nil where the archive has none
	manifestType string

	replaced []string // what to say about names that other images had
}

func invalidArchive(format string, args ...any) error {
	return errdefs.ErrInvalidArgument.WithMessage("invalid archive: " + fmt.Sprintf(format, args...))
}

// describe reads what an archive says about its images: docker's manifest.json
// or else the index of an OCI layout.
func (d *documents) describe(wanted []ocispec.Platform) ([]bundled, error) {
	if raw, ok := d.read("manifest.json"); ok {
		return d.describeDocker(raw, wanted)
	}
	if raw, ok := d.read(ocispec.ImageIndexFile); ok {
		return d.describeOCI(raw, wanted)
	}
	if _, ok := d.read("repositories"); ok {
		return nil, invalidArchive("it was written by a docker older than 1.10, whose format is not supported any more")
	}
	return nil, invalidArchive("it has neither a manifest.json (docker) nor an index.json (OCI)\nhint: for the root file system of a container (export) use import")
}

// describeDocker reads docker's list of images.
func (d *documents) describeDocker(raw []byte, wanted []ocispec.Platform) ([]bundled, error) {
	var list []struct {
		Config   string
		RepoTags []string
		Layers   []string
	}
	if err := json.Unmarshal(raw, &list); err != nil {
		return nil, invalidArchive("manifest.json: %s", err)
	}
	var out []bundled
	for i, entry := range list {
		config, ok := d.read(entry.Config)
		if !ok {
			return nil, invalidArchive("image %d: there is no config %q", i, entry.Config)
		}
		img := bundled{config: config, layers: entry.Layers}
		for _, tag := range entry.RepoTags {
			named, err := bundledName(tag)
			if err != nil {
				return nil, invalidArchive("image %d: name %q: %s", i, tag, err)
			}
			img.names = append(img.names, named)
		}
		if err := img.complete(); err != nil {
			return nil, err
		}
		if len(wanted) > 0 && !anyPlatform(img.spec.Platform, wanted) {
			continue
		}
		out = append(out, img)
	}
	if len(out) == 0 && len(list) > 0 {
		return nil, noPlatform(wanted)
	}
	return out, nil
}

func noPlatform(wanted []ocispec.Platform) error {
	var names []string
	for _, p := range wanted {
		names = append(names, platforms.Format(p))
	}
	return errdefs.ErrNotFound.WithMessage("the archive holds no image for " + strings.Join(names, ", "))
}

func anyPlatform(have ocispec.Platform, wanted []ocispec.Platform) bool {
	for _, w := range wanted {
		if platforms.Only(w).Match(platforms.Normalize(have)) {
			return true
		}
	}
	return false
}

func bundledName(name string) (reference.NamedTagged, error) {
	named, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return nil, err
	}
	if _, digested := named.(reference.Digested); digested {
		return nil, errors.New("a digest is no name")
	}
	tagged, ok := reference.TagNameOnly(named).(reference.NamedTagged)
	if !ok {
		return nil, errors.New("it has no tag")
	}
	return tagged, nil
}

// complete checks an image's config against its layers.
func (b *bundled) complete() error {
	if err := json.Unmarshal(b.config, &b.spec); err != nil {
		return invalidArchive("config of an image: %s", err)
	}
	if b.spec.RootFS.Type != "" && b.spec.RootFS.Type != "layers" {
		return invalidArchive("config of an image: unknown rootfs type %q", b.spec.RootFS.Type)
	}
	if b.spec.OS != "" && b.spec.OS != runtime.GOOS {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("cannot load %s image on %s", b.spec.OS, runtime.GOOS))
	}
	if want, got := len(b.layers), len(b.spec.RootFS.DiffIDs); want != got {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid manifest, layers length mismatch: expected %d, got %d", want, got))
	}
	for _, id := range b.spec.RootFS.DiffIDs {
		if err := id.Validate(); err != nil {
			return invalidArchive("config of an image: diff id %q: %s", id, err)
		}
	}
	return nil
}

// maxIndexDepth bounds indexes that hold indexes.
const maxIndexDepth = 4

// describeOCI reads the index of an OCI layout.
func (d *documents) describeOCI(raw []byte, wanted []ocispec.Platform) ([]bundled, error) {
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, invalidArchive("index.json: %s", err)
	}
	var out []bundled
	for _, desc := range index.Manifests {
		images, err := d.describeDescriptor(desc, wanted, 0)
		if err != nil {
			return nil, err
		}
		name, err := annotatedName(desc.Annotations)
		if err != nil {
			return nil, err
		}
		for _, img := range images {
			if name != nil {
				img.names = []reference.NamedTagged{name}
			}
			out = append(out, img)
		}
	}
	if len(out) == 0 && len(index.Manifests) > 0 {
		return nil, noPlatform(orHost(wanted))
	}
	return mergeBundled(out), nil
}

func orHost(wanted []ocispec.Platform) []ocispec.Platform {
	if len(wanted) > 0 {
		return wanted
	}
	return []ocispec.Platform{{OS: "linux", Architecture: runtime.GOARCH}}
}

// mergeBundled joins the entries of one image: an index has one per name.
func mergeBundled(in []bundled) []bundled {
	var out []bundled
	at := map[digest.Digest]int{}
	for _, img := range in {
		id := digest.FromBytes(img.config)
		if i, ok := at[id]; ok {
			out[i].names = append(out[i].names, img.names...)
			continue
		}
		at[id] = len(out)
		out = append(out, img)
	}
	return out
}

// annotatedName is the name that an index gives an image; nil without one. The
// OCI's own annotation may be a tag alone, which is no name.
func annotatedName(annotations map[string]string) (reference.NamedTagged, error) {
	name := annotations["io.containerd.image.name"]
	if name == "" {
		name = annotations[ocispec.AnnotationRefName]
		if !strings.ContainsAny(name, ":/") {
			return nil, nil
		}
	}
	named, err := bundledName(name)
	if err != nil {
		return nil, invalidArchive("name %q: %s", name, err)
	}
	return named, nil
}

func (d *documents) describeDescriptor(desc ocispec.Descriptor, wanted []ocispec.Platform, depth int) ([]bundled, error) {
	if depth > maxIndexDepth {
		return nil, invalidArchive("its indexes are nested too deeply")
	}
	raw, err := d.blob(desc)
	if err != nil {
		return nil, err
	}
	switch {
	case manifest.MIMETypeIsMultiImage(desc.MediaType):
		return d.describeList(raw, wanted, depth)
	case desc.MediaType == ocispec.MediaTypeImageManifest || desc.MediaType == manifest.DockerV2Schema2MediaType:
		img, err := d.describeManifest(desc, raw)
		if err != nil || len(wanted) > 0 && !anyPlatform(img.spec.Platform, wanted) {
			return nil, err
		}
		return []bundled{img}, nil
	}
	return nil, invalidArchive("%s has the media type %q, which is no image", desc.Digest, desc.MediaType)
}

// describeList chooses the wanted platforms' images of a list. Blobs of other
// platforms may be missing.
func (d *documents) describeList(raw []byte, wanted []ocispec.Platform, depth int) ([]bundled, error) {
	var index ocispec.Index
	if err := json.Unmarshal(raw, &index); err != nil {
		return nil, invalidArchive("index: %s", err)
	}
	var out []bundled
	for _, want := range orHost(wanted) {
		match := platforms.Only(want)
		var best *ocispec.Descriptor
		for i, m := range index.Manifests {
			if m.Platform != nil && match.Match(*m.Platform) && (best == nil || match.Less(*m.Platform, *best.Platform)) {
				best = &index.Manifests[i]
			}
		}
		if best == nil {
			continue
		}
		images, err := d.describeDescriptor(*best, nil, depth+1)
		if err != nil {
			return nil, err
		}
		out = append(out, images...)
	}
	return out, nil
}

func (d *documents) describeManifest(desc ocispec.Descriptor, raw []byte) (bundled, error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(raw, &m); err != nil {
		return bundled{}, invalidArchive("manifest %s: %s", desc.Digest, err)
	}
	if err := runnable(m.Config.MediaType); err != nil {
		return bundled{}, err
	}
	config, err := d.blob(m.Config)
	if err != nil {
		return bundled{}, err
	}
	img := bundled{config: config, manifest: raw, manifestType: desc.MediaType}
	for _, l := range m.Layers {
		if err := l.Digest.Validate(); err != nil {
			return bundled{}, invalidArchive("layer %q: %s", l.Digest, err)
		}
		img.layers = append(img.layers, blobEntry(l.Digest))
	}
	return img, img.complete()
}

// blob reads a document by its digest, which the content must have.
func (d *documents) blob(desc ocispec.Descriptor) ([]byte, error) {
	if err := desc.Digest.Validate(); err != nil {
		return nil, invalidArchive("digest %q: %s", desc.Digest, err)
	}
	raw, ok := d.read(blobEntry(desc.Digest))
	if !ok {
		return nil, invalidArchive("there is no blob %s", desc.Digest)
	}
	if desc.Digest.Algorithm().FromBytes(raw) != desc.Digest {
		return nil, errdefs.ErrDataLoss.WithMessage(fmt.Sprintf("invalid archive: blob %s holds something else", desc.Digest))
	}
	return raw, nil
}

// blobEntry is where an OCI layout keeps a blob.
func blobEntry(d digest.Digest) string {
	return path.Join(ocispec.ImageBlobsDir, d.Algorithm().String(), d.Encoded())
}
