//go:build cgo

package shim

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"os"
	"strconv"
	"time"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// rotate shifts <path>.1 to <path>.2 and so on, as many as MaxFiles leaves
// beside the current one, compressed where that is asked for; with one file
// alone its content goes.
func (w *logWriter) rotate() error {
	if w.opts.MaxFiles <= 1 {
		if err := w.file.Truncate(0); err != nil {
			return fmt.Errorf("rotate the log: %w", err)
		}
		w.size = 0
		return nil
	}
	w.packer.Wait() // or the names would shift under it
	if err := w.shift(); err != nil {
		return fmt.Errorf("rotate the log: %w", err)
	}
	w.file.Close()
	if w.opts.Compress {
		w.packer.Go(func() {
			if err := pack(w.opts.Path + ".1"); err != nil {
				warnf("compress the log: %v", err)
			}
		})
	}
	return w.open()
}

func (w *logWriter) shift() error {
	name := func(i int) string { return w.opts.Path + "." + strconv.Itoa(i) }
	oldest := name(w.opts.MaxFiles - 1)
	for _, old := range []string{oldest, oldest + shimapi.LogPacked} { // either may be there, by what was asked for then
		if err := os.Remove(old); err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
	}
	for i := w.opts.MaxFiles - 1; i > 1; i-- {
		for _, ending := range []string{"", shimapi.LogPacked} {
			if err := os.Rename(name(i-1)+ending, name(i)+ending); err != nil && !errors.Is(err, os.ErrNotExist) {
				return err
			}
		}
	}
	if err := os.Rename(w.opts.Path, name(1)); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	return nil
}

// pack compresses a file that is written no more. Its identity goes into the
// header: a reader that was in the middle of it knows it again.
func pack(path string) error {
	from, err := os.Open(path)
	if err != nil {
		return err
	}
	defer from.Close()
	id, err := shimapi.LogID(from)
	if err != nil {
		return err
	}
	tmp := path + shimapi.LogPacked + ".new"
	to, err := os.OpenFile(tmp, os.O_WRONLY|os.O_CREATE|os.O_TRUNC, 0o640)
	if err != nil {
		return err
	}
	z, _ := gzip.NewWriterLevel(to, gzip.BestSpeed) // a level that exists
	z.Comment, z.ModTime = id, time.Now()
	_, err = io.Copy(z, from)
	if err = errors.Join(err, z.Close(), to.Close()); err == nil {
		err = os.Rename(tmp, path+shimapi.LogPacked)
	}
	if err != nil {
		return errors.Join(err, os.Remove(tmp))
	}
	return os.Remove(path)
}
