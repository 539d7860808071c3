// Package program gives the end-to-end tests the real nacre and nacre-shim.
package program

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Env names a folder with both programs, built before; `make test` sets it.
const Env = "NACRE_TEST_BIN"

// Build returns a folder with both programs, built as the Makefile does unless
// Env names one, and a function that removes what was built. Anyone may enter
// the folder. Whatever runs the programs is isolated first.
func Build() (dir string, clean func() error, err error) {
	if err := Isolate(); err != nil {
		return "", nil, err
	}
	if dir := os.Getenv(Env); dir != "" {
		return dir, func() error { return nil }, nil
	}
	dir, err = os.MkdirTemp("", "nacre-bin")
	if err != nil {
		return "", nil, err
	}
	clean = func() error { return os.RemoveAll(dir) }
	if err := os.Chmod(dir, 0o755); err != nil {
		return "", nil, err
	}
	root, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}").Output()
	if err != nil {
		return "", nil, fmt.Errorf("find the module's folder: %w", err)
	}
	make := exec.Command("make", "-s", "programs", "GOBIN="+dir)
	make.Dir = filepath.Clean(strings.TrimSpace(string(root)))
	if out, err := make.CombinedOutput(); err != nil {
		return "", nil, fmt.Errorf("build nacre: %w\n%s", err, out)
	}
	return dir, clean, nil
}
