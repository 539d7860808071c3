package logs

import (
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strconv"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// file is one file of the log. A compressed one is unpacked when it is read.
type file struct {
	*os.File
	packed *gzip.Reader // nil: plain, or unpacked by now
	id     string       // of a compressed one: the shimapi.LogID of what is in it
}

// is tells whether two are the same part of the log; one may have been
// compressed after the other was opened.
func (f *file) is(other *file) bool {
	if f.id == "" && other.id == "" {
		a, errA := f.Stat()
		b, errB := other.Stat()
		return errA == nil && errB == nil && os.SameFile(a, b)
	}
	id := f.identity()
	return id != "" && id == other.identity()
}

func (f *file) identity() string {
	if f.id != "" {
		return f.id
	}
	id, err := shimapi.LogID(f.File)
	if err != nil {
		return ""
	}
	return id
}

// listTries bounds how often a log is listed anew because it was rotated meanwhile.
const listTries = 100

// openAll opens the log's files, oldest first, as they were at one moment: the
// newest has to be the same before and after, or names have shifted more than
// one place and the order would be wrong.
func openAll(path string) ([]*file, error) {
	for try := 0; ; try++ {
		files, whole, err := listFiles(path)
		if err != nil {
			closeAll(files)
			return nil, fmt.Errorf("open the log: %w", err)
		}
		if whole || try == listTries {
			return files, nil
		}
		closeAll(files)
		time.Sleep(time.Millisecond) // a rotation takes some renames
	}
}

// listFiles opens all files, and tells whether no rotation has ended meanwhile.
// One that is on its way shifts each file by one: it may be met twice, one
// after the other, and leaves one gap in the numbers.
func listFiles(path string) (files []*file, whole bool, err error) {
	newest, err := openFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		newest, err = nil, nil // between the two steps of a rotation, or nothing written yet
	}
	if err != nil {
		return nil, false, err
	}
	if newest != nil {
		files = []*file{newest}
	}
	for i, gap := 1, false; ; i++ {
		f, err := openNumber(path, i)
		if errors.Is(err, fs.ErrNotExist) {
			if gap {
				break
			}
			gap = true
			continue
		}
		if err != nil {
			return files, false, err
		}
		gap = false
		if len(files) > 0 && files[0].is(f) {
			f.Close()
			continue
		}
		files = append([]*file{f}, files...)
	}
	again, err := openFile(path)
	if errors.Is(err, fs.ErrNotExist) {
		return files, len(files) == 0, nil
	}
	if err != nil {
		return files, false, err
	}
	defer again.Close()
	return files, newest != nil && again.is(newest), nil
}

func closeAll(files []*file) {
	for _, f := range files {
		f.Close()
	}
}

// openNumber opens a file that was rotated. While one is being compressed it is
// there twice; the plain one is whole.
func openNumber(path string, i int) (*file, error) {
	path += "." + strconv.Itoa(i)
	f, err := openFile(path)
	if !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	if f, err = openPacked(path + shimapi.LogPacked); !errors.Is(err, fs.ErrNotExist) {
		return f, err
	}
	return openFile(path) // it may have been shifted from the one name before the other was asked for
}

func openFile(path string) (*file, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	return &file{File: f}, nil
}

func openPacked(path string) (*file, error) {
	f, err := os.Open(path)
	if err != nil {
		return nil, err
	}
	z, err := gzip.NewReader(f)
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("%s: %w", path, err)
	}
	return &file{File: f, id: z.Comment, packed: z}, nil
}

// unpack puts the content of a compressed file into memory, where it can be
// read from the end, too.
func (f *file) unpack() error {
	if f.packed == nil {
		return nil
	}
	fd, err := unix.MemfdCreate("log", unix.MFD_CLOEXEC)
	if err != nil {
		return fmt.Errorf("unpack a log: %w", err)
	}
	plain := os.NewFile(uintptr(fd), "log")
	_, err = io.Copy(plain, f.packed)
	if err == nil {
		_, err = plain.Seek(0, io.SeekStart)
	}
	if err != nil {
		plain.Close()
		return fmt.Errorf("unpack a log: %w", err)
	}
	f.File.Close()
	f.File, f.packed = plain, nil
	return nil
}
