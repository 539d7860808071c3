package process

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// answer is what an executable told, or why it did not, and the file that it was.
type answer struct {
	Modified time.Time
	Size     int64
	Asked    time.Time
	Metadata metadata
	Problem  string `json:",omitempty"`
}

// retryAfter is how long a failed answer counts: one that hangs must not delay
// every start, one that failed by accident must not be lost for ever.
const retryAfter = time.Hour

func (a answer) fresh(f candidate) bool {
	same := a.Modified.Equal(f.modified) && a.Size == f.size
	return same && (a.Problem == "" || time.Since(a.Asked) < retryAfter)
}

// readCache reads the answers by path. A cache that cannot be read is an empty
// one: it only costs asking again.
func readCache(path string) map[string]answer {
	known := map[string]answer{}
	if path == "" {
		return known
	}
	text, err := os.ReadFile(path)
	if err != nil || json.Unmarshal(text, &known) != nil {
		return map[string]answer{}
	}
	return known
}

// writeCache replaces the file at once, so that another nacre never reads half
// of it.
func writeCache(path string, files []candidate, answers []answer) error {
	if path == "" {
		return nil
	}
	known := map[string]answer{}
	for i, f := range files {
		known[f.path] = answers[i]
	}
	text, err := json.Marshal(known)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
		return fmt.Errorf("keep the plugins' metadata: %w", err)
	}
	tmp, err := os.CreateTemp(filepath.Dir(path), ".plugins-*")
	if err != nil {
		return fmt.Errorf("keep the plugins' metadata: %w", err)
	}
	defer os.Remove(tmp.Name()) // gone already when the rename worked
	_, err = tmp.Write(text)
	if closing := tmp.Close(); err == nil {
		err = closing
	}
	if err == nil {
		err = os.Rename(tmp.Name(), path)
	}
	if err != nil {
		return fmt.Errorf("keep the plugins' metadata: %w", err)
	}
	return nil
}
