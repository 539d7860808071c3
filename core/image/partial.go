package image

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"reflect"
	"time"

	"github.com/containerd/errdefs"
	"github.com/opencontainers/go-digest"
	"go.podman.io/image/v5/types"
	"golang.org/x/sys/unix"
)

// A layer is unpacked while it is downloaded, so what a killed pull had of it
// is worth nothing by itself. Therefore the archive's bytes are kept beside,
// for as long as the layer is not complete; the next attempt, of this pull or
// of a later one, unpacks them from the disk and asks the registry for the
// rest. The digest of the whole says whether both belong together.
//
// Keeping costs time only where the registry is quicker than the unpacking, and
// there it gains nothing: to unpack the kept bytes again would take as long as
// to fetch them again. So it ends early for such a layer.
const (
	worthKeeping = 1 << 20 // bytes; smaller blobs are fetched again
	tasted       = 4 << 20 // bytes after which it is known whether the registry is the slow part
)

// partial is what there is of one blob. The zero value keeps nothing.
type partial struct {
	held  *lock // on the file; nil: nothing is kept
	start int64 // so many bytes are there and need not be fetched
}

// openPartial finds what is kept of a blob, or begins to keep it. Nothing is
// kept while another pull does so.
func (s *Service) openPartial(blob types.BlobInfo) (*partial, error) {
	if blob.Size < worthKeeping || blob.Digest.Validate() != nil || len(blob.URLs) > 0 {
		return &partial{}, nil
	}
	dir := s.store.Paths.Downloads()
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return &partial{}, unlessFull(fmt.Errorf("keep a download: %w", err))
	}
	file := &locks{file: filepath.Join(dir, partialName(blob.Digest))}
	for {
		held, err := file.try(unix.F_WRLCK, 0)
		if held == nil || err != nil {
			return &partial{}, unlessFull(err)
		}
		p := &partial{held: held}
		if gone, err := p.measure(blob.Size); err != nil {
			p.close()
			return &partial{}, err
		} else if !gone {
			return p, nil
		}
		p.close() // removed between opening and locking
	}
}

func partialName(d digest.Digest) string { return d.Algorithm().String() + "-" + d.Encoded() }

// unlessFull: a full disk keeps nothing from being downloaded; what needs the
// room will say so itself.
func unlessFull(err error) error {
	if noSpace(err) {
		return nil
	}
	return err
}

// measure counts what is there and says whether the file has been removed.
func (p *partial) measure(size int64) (gone bool, err error) {
	var st unix.Stat_t
	if err := unix.Fstat(int(p.held.f.Fd()), &st); err != nil {
		return false, fmt.Errorf("look at a kept download: %w", err)
	}
	if st.Nlink == 0 {
		return true, nil
	}
	if p.start = st.Size; p.start > size {
		return false, p.clear()
	}
	return false, nil
}

// next prepares another attempt: it starts where this one ended.
func (p *partial) next(size int64) error {
	if p.held == nil {
		p.start = 0
		return nil
	}
	_, err := p.measure(size)
	return err
}

// clear forgets the content and keeps what comes from now on.
func (p *partial) clear() error {
	p.start = 0
	if p.held == nil {
		return nil
	}
	if err := p.held.f.Truncate(0); err != nil {
		return fmt.Errorf("forget a kept download: %w", err)
	}
	return nil
}

// drop removes what is kept, and keeps nothing more.
func (p *partial) drop() error {
	if p.held == nil {
		return nil
	}
	err := os.Remove(p.held.f.Name())
	p.close()
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	return err
}

// close leaves what is kept to a later pull.
func (p *partial) close() {
	if p.held != nil {
		p.held.release()
		p.held = nil
	}
}

// keptBody is a blob's content: first the kept bytes, then what the registry
// sends, which is kept, too.
type keptBody struct {
	*partial
	size int64
	rest func(offset int64) (io.ReadCloser, error) // asks the registry
	body io.ReadCloser                             // its answer, once it was asked
	err  error                                     // that it gave none; it is asked once only

	offset int64
	began  time.Time
	waited time.Duration // for the registry
	judged bool          // whether keeping pays
}

func (k *keptBody) Read(b []byte) (int, error) {
	if k.held != nil && k.offset < k.start {
		n, err := k.held.f.ReadAt(b[:min(int64(len(b)), k.start-k.offset)], k.offset)
		k.offset += int64(n)
		if n > 0 {
			return n, nil
		}
		return 0, fmt.Errorf("read a kept download: %w", err)
	}
	if err := k.ask(); err != nil {
		return 0, err
	}
	asked := time.Now()
	n, err := k.body.Read(b)
	k.waited += time.Since(asked)
	if keepErr := k.keep(b[:n]); keepErr != nil {
		return n, keepErr
	}
	return n, err
}

// ask asks the registry for what is missing, once.
func (k *keptBody) ask() error {
	if k.body != nil || k.err != nil {
		return k.err
	}
	if k.offset > 0 && k.offset == k.size {
		return io.EOF // killed between the last byte and the layer
	}
	k.body, k.err = k.rest(k.offset)
	k.began = time.Now()
	return k.err
}

// keep writes down what came. That there is no room for it is no failure.
func (k *keptBody) keep(b []byte) error {
	at := k.offset
	k.offset += int64(len(b))
	if k.held == nil {
		return nil
	}
	if !k.judged && k.offset-k.start >= tasted {
		k.judged = true
		if k.start == 0 && k.waited < time.Since(k.began)/2 {
			return k.drop()
		}
	}
	if _, err := k.held.f.WriteAt(b, at); err != nil {
		return errors.Join(unlessFull(fmt.Errorf("keep a download: %w", err)), k.drop())
	}
	return nil
}

func (k *keptBody) Close() error {
	if k.body == nil {
		return nil
	}
	return k.body.Close()
}

// blobFrom asks for the end of a blob. The image library can do that, but
// wants a type that it keeps to itself (private.ImageSourceChunk), hence the
// reflection. Where a registry sends the whole in spite of being asked for a
// part, the library leaves the beginning out.
func blobFrom(ctx context.Context, src types.ImageSource, blob types.BlobInfo, offset int64) (io.ReadCloser, error) {
	method := reflect.ValueOf(src).MethodByName("GetBlobAt")
	if !method.IsValid() {
		return nil, errdefs.ErrNotImplemented.WithMessage("this source cannot continue a download")
	}
	chunks := reflect.MakeSlice(method.Type().In(2), 1, 1)
	chunks.Index(0).FieldByName("Offset").SetUint(uint64(offset))
	chunks.Index(0).FieldByName("Length").SetUint(math.MaxUint64) // to the end
	out := method.Call([]reflect.Value{reflect.ValueOf(ctx), reflect.ValueOf(blob), chunks})
	if err, _ := out[2].Interface().(error); err != nil {
		return nil, err
	}
	streams, errs := out[0].Interface().(chan io.ReadCloser), out[1].Interface().(chan error)
	select {
	case stream, ok := <-streams:
		if !ok {
			return nil, io.ErrUnexpectedEOF
		}
		return stream, nil
	case err, ok := <-errs:
		if !ok {
			err = io.ErrUnexpectedEOF
		}
		return nil, err
	case <-ctx.Done():
		go discard(streams, errs)
		return nil, ctx.Err()
	}
}

// discard lets the library's sender end when nobody wants its answer any more.
func discard(streams chan io.ReadCloser, errs chan error) {
	for streams != nil || errs != nil {
		select {
		case stream, ok := <-streams:
			if !ok {
				streams = nil
				continue
			}
			stream.Close()
		case _, ok := <-errs:
			if !ok {
				errs = nil
			}
		}
	}
}

// clearDownloads removes kept downloads that nobody has written to since.
func (s *Service) clearDownloads(since time.Time) error {
	dir := s.store.Paths.Downloads()
	left, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("look for kept downloads: %w", err)
	}
	for _, entry := range left {
		info, err := entry.Info()
		if err != nil || info.ModTime().After(since) {
			continue // it has just been removed, or is young
		}
		held, err := (&locks{file: filepath.Join(dir, entry.Name())}).try(unix.F_WRLCK, 0)
		if err != nil {
			return err
		}
		if held == nil {
			continue // a pull is at it
		}
		if err := (&partial{held: held}).drop(); err != nil {
			return fmt.Errorf("remove a kept download: %w", err)
		}
	}
	return nil
}

// oldDownloads says whether there is something for clearDownloads.
func (s *Service) oldDownloads(since time.Time) bool {
	left, _ := os.ReadDir(s.store.Paths.Downloads()) // without the folder there are none
	for _, entry := range left {
		if info, err := entry.Info(); err == nil && !info.ModTime().After(since) {
			return true
		}
	}
	return false
}

// DropDownloads removes all that interrupted pulls have kept, for whoever needs the room.
func (s *Service) DropDownloads() error { return s.clearDownloads(time.Now()) }
