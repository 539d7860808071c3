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
	"go.podman.io/image/v5/types"
	drivers "go.podman.io/storage/drivers"
	"go.podman.io/storage/pkg/archive"
	"go.podman.io/storage/pkg/tarlog"
)

// extraction is a drivers.Differ: it unpacks a layer while it comes from the
// registry, one decompression, and hashes both forms on the way. The files
// become a layer only if both digests are right.
type extraction struct {
	*pull
	ctx   context.Context
	src   types.ImageSource
	job   *layerJob
	retry bool // the failure was the connection's: another attempt may do
}

var _ drivers.Differ = (*extraction)(nil)

func (e *extraction) Close() error { return nil }

// ApplyDiff unpacks the layer into dest.
func (e *extraction) ApplyDiff(dest string, options *archive.TarOptions, _ *drivers.DifferOptions) (drivers.DriverWithDifferOutput, error) {
	var out drivers.DriverWithDifferOutput
	body, err := e.getBlob(e.ctx, e.src, e.job.blob)
	if err != nil {
		e.retry = temporary(err)
		return out, fmt.Errorf("download layer %s: %w", e.job.name, err)
	}
	defer body.Close()
	bar := &progressReader{Reader: body, report: e.report, id: e.job.name, text: "Downloading", total: e.job.blob.Size}
	packed := &verifiedReader{Reader: bar, verifier: e.job.blob.Digest.Verifier(), size: e.job.blob.Size}
	split, err := os.CreateTemp(e.store.Paths.Temp(), "tar-split-")
	if err != nil {
		return out, fmt.Errorf("unpack layer %s: %w", e.job.name, err)
	}
	os.Remove(split.Name()) // the descriptor is enough, and a crash leaves nothing
	unpackErr := e.unpack(packed, split, dest, options, &out)
	if err := e.judge(packed, unpackErr); err != nil {
		split.Close()
		return drivers.DriverWithDifferOutput{}, err
	}
	out.TarSplit, out.CompressedDigest, out.UncompressedDigest = split, e.job.blob.Digest, e.job.diffID
	return out, nil
}

// judge finds what really went wrong: a broken download shows up as a broken
// archive, so the download is asked first.
func (e *extraction) judge(packed *verifiedReader, unpackErr error) error {
	_, drainErr := io.Copy(io.Discard, packed)
	switch {
	case e.ctx.Err() != nil:
		return e.ctx.Err()
	case packed.err != nil:
		e.retry = temporary(packed.err)
		return fmt.Errorf("download layer %s: %w", e.job.name, packed.err)
	case drainErr != nil:
		return fmt.Errorf("download layer %s: %w", e.job.name, drainErr)
	case !packed.ok():
		return errdefs.ErrDataLoss.WithMessage("filesystem layer verification failed for digest " + e.job.blob.Digest.String())
	case unpackErr != nil:
		return fmt.Errorf("failed to register layer %s: %w", e.job.name, unpackErr)
	}
	return nil
}

func (e *extraction) unpack(packed io.Reader, split *os.File, dest string, options *archive.TarOptions, out *drivers.DriverWithDifferOutput) error {
	plain, _, err := compression.AutoDecompress(packed)
	if err != nil {
		return err
	}
	defer plain.Close()
	diffID := e.job.diffID.Algorithm().Digester()
	seen := newHeaders()
	log, err := tarlog.NewLogger(seen.add)
	if err != nil {
		return err
	}
	metadata := bufio.NewWriterSize(split, 64<<10)
	counted := &countingReader{Reader: plain}
	tee := io.TeeReader(counted, io.MultiWriter(diffID.Hash(), log))
	payload, done, err := asm.NewInputTarStreamWithDone(tee, splitstorage.NewJSONPacker(metadata), splitstorage.NewDiscardFilePutter())
	if err != nil {
		return errors.Join(err, log.Close())
	}
	unpackErr := unpack(payload, dest, options)
	if unpackErr == nil {
		e.report.status(e.job.name, "Verifying Checksum")
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
	if diffID.Digest() != e.job.diffID {
		return errdefs.ErrDataLoss.WithMessage(fmt.Sprintf("layers from manifest don't match image configuration: layer %s holds %s, the config says %s", e.job.name, diffID.Digest(), e.job.diffID))
	}
	e.report.status(e.job.name, "Download complete")
	e.report.progress(e.job.name, "Extracting", e.job.blob.Size, e.job.blob.Size)
	return seen.fill(out, counted.n)
}

// headers notes what the store wants to know of an archive's entries.
type headers struct {
	uids, gids map[uint32]bool
	size       int64
	root       *os.FileMode
}

func newHeaders() *headers { return &headers{uids: map[uint32]bool{}, gids: map[uint32]bool{}} }

func (h *headers) add(entry *tar.Header) {
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
		if path.Clean("/"+entry.Name) == "/" {
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
	verifier digest.Verifier
	size     int64 // negative: not known
	n        int64
	err      error
}

func (v *verifiedReader) Read(b []byte) (int, error) {
	n, err := v.Reader.Read(b)
	v.n += int64(n)
	v.verifier.Write(b[:n]) // a hash never fails
	if v.size >= 0 && v.n > v.size {
		return 0, errdefs.ErrDataLoss.WithMessage(fmt.Sprintf("the registry sent more than the %d bytes that the manifest says", v.size))
	}
	if err != nil && err != io.EOF {
		v.err = err
	}
	return n, err
}

func (v *verifiedReader) ok() bool { return v.verifier.Verified() }
