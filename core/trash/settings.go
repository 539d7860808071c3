// Package trash is the rule by which removed things wait before they are
// erased: for how long, how much of the disk they may take, and in which order
// they come back or go for good. What waits belongs to the modules (images,
// containers, volumes), each of which is a Part.
package trash

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/docker/go-units"
	"golang.org/x/sys/unix"
)

// Settings say how long removed things wait and how much of the disk they may take.
type Settings struct {
	Keep time.Duration // 0: nothing waits
	Size string        // bytes as docker writes them (500MB), or a share of the free space (10%); 0: nothing waits
}

// Default are docker-like removals with ten minutes to change one's mind.
var Default = Settings{Keep: 10 * time.Minute, Size: "10%"}

// Off is true when removed things are erased at once.
func (s Settings) Off() bool { return s.Keep <= 0 || s.Size == "0" }

// Limit is the number of bytes that may wait on a disk with free bytes left.
func (s Settings) Limit(free int64) int64 {
	share, isShare := strings.CutSuffix(s.Size, "%")
	if isShare {
		percent, err := strconv.ParseFloat(share, 64)
		if err != nil {
			return 0
		}
		return int64(float64(free) * percent / 100)
	}
	size, err := units.FromHumanSize(s.Size)
	if err != nil {
		return 0
	}
	return size
}

// Validate fails with errdefs.ErrInvalidArgument on a setting that means nothing.
func (s Settings) Validate() error {
	if s.Keep < 0 || s.Keep > 365*24*time.Hour {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid time %s for the trash: it must be between 0 and a year", s.Keep))
	}
	if share, isShare := strings.CutSuffix(s.Size, "%"); isShare {
		if percent, err := strconv.ParseFloat(share, 64); err != nil || !(percent >= 0 && percent <= 100) {
			return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid size %q for the trash: a share is between 0%% and 100%%", s.Size))
		}
		return nil
	}
	if size, err := units.FromHumanSize(s.Size); err != nil || size < 0 {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("invalid size %q for the trash\nhint: write bytes as 500MB, or a share of the free space as 10%%", s.Size))
	}
	return nil
}

// File is where the settings lie; every removal reads them afresh.
type File struct {
	Path string

	mu   sync.Mutex
	seen fs.FileInfo
	last Settings
}

type document struct {
	Keep string `json:"keep"`
	Size string `json:"size"`
}

// Load reads the settings; without a file they are the default. A file that
// cannot be read is an error: guessing could erase what was to be kept.
func (f *File) Load() (Settings, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	info, err := os.Stat(f.Path)
	if errors.Is(err, fs.ErrNotExist) {
		return Default, nil
	}
	if err != nil {
		return Settings{}, fmt.Errorf("read the settings of the trash: %w", err)
	}
	if f.seen != nil && os.SameFile(f.seen, info) && f.seen.ModTime().Equal(info.ModTime()) {
		return f.last, nil
	}
	s, err := read(f.Path)
	if err != nil {
		return s, err
	}
	f.seen, f.last = info, s
	return s, nil
}

func read(path string) (s Settings, err error) {
	content, err := os.ReadFile(path)
	if err != nil {
		return s, fmt.Errorf("read the settings of the trash: %w", err)
	}
	d := document{Keep: Default.Keep.String(), Size: Default.Size}
	if err := json.Unmarshal(content, &d); err != nil {
		return s, fmt.Errorf("read the settings of the trash in %s: %w", path, err)
	}
	if s.Keep, err = time.ParseDuration(d.Keep); err != nil {
		return s, fmt.Errorf("read the settings of the trash in %s: %w", path, err)
	}
	s.Size = d.Size
	return s, s.Validate()
}

// Save replaces the settings in one step.
func (f *File) Save(s Settings) error {
	if err := s.Validate(); err != nil {
		return err
	}
	content, err := json.Marshal(document{Keep: s.Keep.String(), Size: s.Size})
	if err != nil {
		return err
	}
	temp, err := os.CreateTemp(filepath.Dir(f.Path), ".trash-*")
	if err != nil {
		return fmt.Errorf("save the settings of the trash: %w", err)
	}
	defer os.Remove(temp.Name()) // it is gone after the rename
	_, err = temp.Write(append(content, '\n'))
	if err = errors.Join(err, temp.Close()); err == nil {
		err = os.Rename(temp.Name(), f.Path)
	}
	if err != nil {
		return fmt.Errorf("save the settings of the trash: %w", err)
	}
	return nil
}

// FreeSpace is what the disk of a folder has left for us, in bytes.
func FreeSpace(dir string) (int64, error) {
	var st unix.Statfs_t
	if err := unix.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("look for free space: %w", err)
	}
	return int64(st.Bavail) * st.Bsize, nil
}
