package shimapi

import (
	"bufio"
	"encoding/hex"
	"errors"
	"fmt"
	"hash/fnv"
	"io"
)

// Log drivers. local is json-file with other bounds; journald sends to
// systemd's journal and keeps a file to read from.
const (
	LogNone     = "none"
	LogJSONFile = "json-file"
	LogLocal    = "local"
	LogJournald = "journald"
)

// LogPacked ends the name of a rotated file that was compressed.
const LogPacked = ".gz"

// longestEntry bounds the first line of a log file: 16 KiB, each byte escaped, and attributes.
const longestEntry = 256 << 10

// LogID tells the files of a log apart, whatever their names are by now and
// whether they were compressed: a hash of the first entry, which has the time
// in nanoseconds. (Inode numbers are used again, and not every file system
// knows a file's birth.) It is the comment in a compressed file's header, and
// empty for a file without an entry.
func LogID(f io.ReaderAt) (string, error) {
	line, err := bufio.NewReader(io.NewSectionReader(f, 0, longestEntry)).ReadBytes('\n')
	if errors.Is(err, io.EOF) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("read the log: %w", err)
	}
	hash := fnv.New128a()
	hash.Write(line)
	return hex.EncodeToString(hash.Sum(nil)), nil
}

// Log is how the container's output is kept: docker's json-file by default.
// Driver none keeps nothing.
type Log struct {
	Driver   string
	Path     string // of the newest file; older ones are Path.1, Path.2 …
	MaxSize  int64  // bytes per file; 0: unbounded
	MaxFiles int
	Compress bool              `json:",omitempty"` // older files, which then end in LogPacked
	Attrs    map[string]string `json:",omitempty"` // of every entry: tag, labels, environment
	Journal  map[string]string `json:",omitempty"` // fields of every entry in the journal

	// MaxBuffer is how many bytes may wait to be written while the container
	// goes on; what does not fit is lost. 0: the container waits.
	MaxBuffer int64 `json:",omitempty"`
}
