package image

import (
	"archive/tar"
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"path"
	"strconv"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/pkg/compression"
	"go.podman.io/storage"
)

// Bounds of what an archive may put into memory. Layers go to the disk.
const (
	maxDocument  = 16 << 20
	maxDocuments = 64 << 20
)

// unbundled is an archive that was read once from beginning to end: documents
// in memory, layers unpacked beside the store. An archive names its layers at
// its end, and a pipe cannot be read twice.
type unbundled struct {
	documents
	layers map[string]*extraction   // by entry
	known  map[string]digest.Digest // entries that were not unpacked: the store has a layer with this diff ID
	size   int64                    // of the documents
}

// unbundle reads an archive. After an error nothing is left beside the store.
func (m *maker) unbundle(ctx context.Context, store storage.Store, packed io.Reader) (*unbundled, error) {
	u := &unbundled{
		documents: documents{files: map[string][]byte{}, links: map[string]string{}},
		layers:    map[string]*extraction{}, known: map[string]digest.Digest{},
	}
	if err := m.readEntries(ctx, store, packed, u); err != nil {
		return nil, errors.Join(err, u.cleanUp(store))
	}
	return u, nil
}

// cleanUp removes what was unpacked and not used.
func (u *unbundled) cleanUp(store storage.Store) error {
	var errs []error
	for _, work := range u.layers {
		errs = append(errs, store.CleanupStagedLayer(work.staged))
	}
	u.layers = nil
	return errors.Join(errs...)
}

func (m *maker) readEntries(ctx context.Context, store storage.Store, packed io.Reader, u *unbundled) error {
	plain, _, err := compression.AutoDecompress(packed)
	if err != nil {
		return invalidArchive("%s", err)
	}
	defer plain.Close()
	entries := tar.NewReader(plain)
	for {
		if err := ctx.Err(); err != nil {
			return err
		}
		header, err := entries.Next()
		if err == io.EOF {
			return nil
		}
		if err != nil {
			return archiveError(err)
		}
		if err := m.readEntry(ctx, store, u, header, entries); err != nil {
			return err
		}
	}
}

func archiveError(err error) error {
	if errors.Is(err, io.ErrUnexpectedEOF) {
		return invalidArchive("it ends in the middle")
	}
	return invalidArchive("%s", err)
}

func (m *maker) readEntry(ctx context.Context, store storage.Store, u *unbundled, header *tar.Header, body io.Reader) error {
	name := cleanEntry(header.Name)
	switch header.Typeflag {
	case tar.TypeSymlink: // docker before 25 links a layer that several images have
		u.links[name] = cleanEntry(path.Join(path.Dir(name), header.Linkname))
		return nil
	case tar.TypeLink:
		u.links[name] = cleanEntry(header.Linkname)
		return nil
	case tar.TypeReg:
	default:
		return nil // folders; nothing else has a meaning here, and nothing is made of it
	}
	if err := u.forget(store, name); err != nil {
		return err
	}
	in := bufio.NewReaderSize(body, 64<<10)
	packed, isLayer := layerKind(in)
	if isLayer {
		return m.readLayer(ctx, store, u, name, header.Size, in, packed)
	}
	return u.readDocument(name, header.Size, in)
}

// forget drops an earlier entry of the same name: the last one counts.
func (u *unbundled) forget(store storage.Store, name string) error {
	delete(u.files, name)
	delete(u.links, name)
	delete(u.known, name)
	if before, ok := u.layers[name]; ok {
		delete(u.layers, name)
		return store.CleanupStagedLayer(before.staged)
	}
	return nil
}

func (u *unbundled) readDocument(name string, size int64, in io.Reader) error {
	if u.size += size; size > maxDocument || u.size > maxDocuments {
		return invalidArchive("%s: a description of %d bytes is too large", name, size)
	}
	raw, err := io.ReadAll(in)
	if err != nil {
		return archiveError(err)
	}
	u.files[name] = raw
	return nil
}

// layerKind looks at the beginning of an entry: a layer is an archive, packed
// or not; everything else is a document.
func layerKind(in *bufio.Reader) (packed, isLayer bool) {
	block, err := in.Peek(512)
	if err != nil && len(block) == 0 {
		return false, false
	}
	// The copy keeps the peeked bytes in the stream.
	if unpack, _, err := compression.DetectCompression(strings.NewReader(string(block))); err == nil && unpack != nil {
		return true, true
	}
	return false, isTarHeader(block)
}

// isTarHeader checks a header's own checksum; an empty archive is a block of zeros.
func isTarHeader(block []byte) bool {
	if len(block) < 512 {
		return false
	}
	var sum int64
	zero := true
	for i, b := range block {
		zero = zero && b == 0
		if i >= 148 && i < 156 {
			b = ' '
		}
		sum += int64(b)
	}
	want, err := strconv.ParseInt(strings.Trim(string(block[148:156]), " \x00"), 8, 64)
	return zero || err == nil && want == sum
}

// readLayer unpacks an entry unless its name says that the store has it.
func (m *maker) readLayer(ctx context.Context, store storage.Store, u *unbundled, name string, size int64, in io.Reader, isPacked bool) error {
	d, verified := entryDigest(name)
	if d != "" {
		switch there, err := m.hasLayer(ctx, d); {
		case err != nil:
			return err
		case there:
			u.known[name] = d
			return nil
		}
	}
	job := packed{
		name: layerName(name, d), doing: "Loading layer", size: size,
		open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(in), nil },
	}
	switch {
	case verified && isPacked:
		job.digest = d
	case verified:
		job.diffID = d
	}
	work, err := m.stage(ctx, store, job)
	switch {
	case err == nil:
	case errors.Is(err, io.ErrUnexpectedEOF) && !work.bad:
		return archiveError(err)
	case work.bad && !classified(err):
		return &worded{text: err.Error(), class: errdefs.ErrInvalidArgument, cause: err}
	default:
		return err
	}
	u.layers[name] = work
	return nil
}

// entryDigest is the digest in an entry's name. Only an OCI layout promises
// that it is the content's; elsewhere it helps to find layers that are here.
func entryDigest(name string) (d digest.Digest, promised bool) {
	dir, base := path.Split(name)
	base = strings.TrimSuffix(base, ".tar")
	d = digest.NewDigestFromEncoded(digest.SHA256, base)
	if d.Validate() != nil {
		return "", false
	}
	return d, dir == "blobs/sha256/"
}

// layerName is what progress shows of a layer.
func layerName(entry string, d digest.Digest) string {
	if d != "" {
		return shortID(d)
	}
	if dir := path.Base(path.Dir(entry)); dir != "." && dir != "/" {
		return short(dir)
	}
	return short(entry)
}

// hasLayer says whether some layer of the store has this content.
func (s *Service) hasLayer(ctx context.Context, diffID digest.Digest) (bool, error) {
	var there bool
	err := s.store.DB.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM layers WHERE diff_id = ?)`, diffID.String()).Scan(&there)
	if err != nil {
		return false, fmt.Errorf("read the image index: %w", err)
	}
	return there, nil
}
