package image

import (
	"bufio"
	"context"
	_ "crypto/sha256" // the digests that images use
	_ "crypto/sha512"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"github.com/vbatts/tar-split/archive/tar"
	"github.com/vbatts/tar-split/tar/asm"
	splitstorage "github.com/vbatts/tar-split/tar/storage"
	"go.podman.io/image/v5/pkg/compression"
	drivers "go.podman.io/storage/drivers"
	"go.podman.io/storage/pkg/archive"
	"go.podman.io/storage/pkg/tarlog"
)

// packed is a layer's archive on its way into the store.
type packed struct {
	name, doing string        // what progress shows: the layer, and Downloading or the like
	digest      digest.Digest // of the archive; empty: not known
	size        int64         // of the archive; negative: not known
	diffID      digest.Digest // of the tar inside; empty: not known
	open        func(context.Context) (io.ReadCloser, error)
	verifying   func() // the files are unpacked; may be nil
	done        func() // both digests are right; may be nil
}

// extraction is a drivers.Differ: it unpacks a layer while it comes, one
// decompression, and hashes both forms on the way. The files become a layer
// only if both digests are right.
type extraction struct {
	*maker
	ctx context.Context
	in  packed

	staged  *drivers.DriverWithDifferOutput // the result
	entries int                             // of the tar; the root folder does not count
	retry   bool                            // the failure was the source's: another attempt may do
	bad     bool                            // the failure was the archive's
}

var _ drivers.Differ = (*extraction)(nil)

func (e *extraction) Close() error { return nil }

// ApplyDiff unpacks the layer into dest.
func (e *extraction) ApplyDiff(dest string, options *archive.TarOptions, _ *drivers.DifferOptions) (drivers.DriverWithDifferOutput, error) {
	var out drivers.DriverWithDifferOutput
	body, err := e.in.open(e.ctx)
	if err != nil {
		e.retry = temporary(err)
		return out, fmt.Errorf("read layer %s: %w", e.in.name, err)
	}
	defer body.Close()
	bar := &progressReader{Reader: body, report: e.report, id: e.in.name, text: e.in.doing, total: e.in.size}
	packed := newVerifiedReader(bar, e.in.digest, e.in.size)
	split, err := os.CreateTemp(e.store.Paths.Temp(), "tar-split-")
	if err != nil {
		return out, fmt.Errorf("unpack layer %s: %w", e.in.name, err)
	}
	os.Remove(split.Name()) // the descriptor is enough, and a crash leaves nothing
	unpackErr := e.unpack(packed, split, dest, options, &out)
	if err := e.judge(packed, unpackErr); err != nil {
		split.Close()
		return drivers.DriverWithDifferOutput{}, err
	}
	out.TarSplit, out.CompressedDigest = split, e.in.digest
	return out, nil
}

// judge finds what really went wrong: a broken download shows up as a broken
// archive, so the download is asked first.
func (e *extraction) judge(packed *verifiedReader, unpackErr error) error {
	if noSpace(unpackErr) { // whatever else comes, there is no room for it
		return fmt.Errorf("failed to register layer %s: %w", e.in.name, unpackErr)
	}
	_, drainErr := io.Copy(io.Discard, packed)
	switch {
	case e.ctx.Err() != nil:
		return e.ctx.Err()
	case packed.err != nil:
		e.retry = temporary(packed.err)
		return fmt.Errorf("read layer %s: %w", e.in.name, packed.err)
	case drainErr != nil:
		return fmt.Errorf("read layer %s: %w", e.in.name, drainErr)
	case !packed.ok():
		return errdefs.ErrDataLoss.WithMessage("filesystem layer verification failed for digest " + e.in.digest.String())
	case unpackErr != nil:
		e.bad = true
		return fmt.Errorf("failed to register layer %s: %w", e.in.name, unpackErr)
	}
	return nil
}

func (e *extraction) unpack(packed io.Reader, split *os.File, dest string, options *archive.TarOptions, out *drivers.DriverWithDifferOutput) error {
	plain, _, err := compression.AutoDecompress(packed)
	if err != nil {
		return err
	}
	defer plain.Close()
	algorithm := digest.Canonical
	if e.in.diffID != "" {
		algorithm = e.in.diffID.Algorithm()
	}
	diffID := algorithm.Digester()
	seen := newHeaders()
	log, err := tarlog.NewLogger(seen.add)
	if err != nil {
		return err
	}
	metadata := bufio.NewWriterSize(split, 64<<10)
	counted := &countingReader{Reader: plain}
	ahead := readAhead(io.TeeReader(counted, io.MultiWriter(diffID.Hash(), log)))
	defer ahead.Close() // before plain is
	payload, done, err := asm.NewInputTarStreamWithDone(ahead, splitstorage.NewJSONPacker(metadata), splitstorage.NewDiscardFilePutter())
	if err != nil {
		return errors.Join(err, log.Close())
	}
	unpackErr := unpack(payload, dest, options)
	if unpackErr == nil {
		if e.in.verifying != nil {
			e.in.verifying()
		}
		_, unpackErr = io.Copy(io.Discard, payload) // the padding belongs to the digest
	}
	payload.Close()
	splitErr := <-done
	if err := errors.Join(unpackErr, log.Close()); err != nil {
		return err
	}
	if err := errors.Join(splitErr, metadata.Flush()); err != nil {
		return err
	}
	out.UncompressedDigest = diffID.Digest()
	if e.in.diffID != "" && out.UncompressedDigest != e.in.diffID {
		return errdefs.ErrDataLoss.WithMessage(fmt.Sprintf("layers from manifest don't match image configuration: layer %s holds %s, the config says %s", e.in.name, out.UncompressedDigest, e.in.diffID))
	}
	e.entries = seen.entries
	if e.in.done != nil {
		e.in.done()
	}
	return seen.fill(out, counted.n)
}

// headers notes what the store wants to know of an archive's entries.
type headers struct {
	uids, gids map[uint32]bool
	size       int64
	entries    int // the root folder does not count
	root       *os.FileMode
}

func newHeaders() *headers { return &headers{uids: map[uint32]bool{}, gids: map[uint32]bool{}} }

func (h *headers) add(entry *tar.Header) {
	isRoot := entry.Typeflag == tar.TypeDir && path.Clean("/"+entry.Name) == "/"
	if !isRoot {
		h.entries++
	}
	if strings.HasPrefix(path.Base(entry.Name), archive.WhiteoutPrefix) {
		return
	}
	h.uids[uint32(entry.Uid)], h.gids[uint32(entry.Gid)] = true, true
	switch entry.Typeflag {
	case tar.TypeReg, tar.TypeRegA:
		h.size += entry.Size
	case tar.TypeSymlink:
		h.size += int64(len(entry.Linkname))
	case tar.TypeDir:
		if isRoot {
			mode := entry.FileInfo().Mode()
			h.root = &mode
		}
	}
}

func (h *headers) fill(out *drivers.DriverWithDifferOutput, tarSize int64) error {
	info, err := json.Marshal(layerInfo{Size: h.size})
	out.Metadata, out.Size, out.RootDirMode = string(info), tarSize, h.root
	out.UIDs, out.GIDs = sortedIDs(h.uids), sortedIDs(h.gids)
	return err
}

func sortedIDs(set map[uint32]bool) []uint32 {
	out := make([]uint32, 0, len(set))
	for id := range set {
		out = append(out, id)
	}
	slices.Sort(out)
	return out
}

type countingReader struct {
	io.Reader
	n int64
}

func (c *countingReader) Read(b []byte) (int, error) {
	n, err := c.Reader.Read(b)
	c.n += int64(n)
	return n, err
}

// verifiedReader hashes a blob and remembers the error that ended it. It never
// gives more bytes than the manifest promised.
type verifiedReader struct {
	io.Reader
	verifier digest.Verifier // nil: there is nothing to compare with
	size     int64           // negative: not known
	n        int64
	err      error
}

// newVerifiedReader takes an empty digest and a negative size for not known.
func newVerifiedReader(r io.Reader, d digest.Digest, size int64) *verifiedReader {
	v := &verifiedReader{Reader: r, size: size}
	if d != "" {
		v.verifier = d.Verifier()
	}
	return v
}

func (v *verifiedReader) Read(b []byte) (int, error) {
	n, err := v.Reader.Read(b)
	v.n += int64(n)
	if v.verifier != nil {
		v.verifier.Write(b[:n]) // a hash never fails
	}
	if v.size >= 0 && v.n > v.size {
		return 0, errdefs.ErrDataLoss.WithMessage(fmt.Sprintf("there is more than the %d bytes that the manifest says", v.size))
	}
	if err != nil && err != io.EOF {
		v.err = err
	}
	return n, err
}

func (v *verifiedReader) ok() bool { return v.verifier == nil || v.verifier.Verified() }
