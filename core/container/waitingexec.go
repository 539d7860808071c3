package container

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"time"

	"github.com/moby/moby/api/types/container"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

// waitingExec is an exec that was created and not started, in a file of its
// own among those of the container's run: any process may start it, whoever
// created it may be gone, and with the run it goes, too.
type waitingExec struct {
	Request container.ExecCreateRequest
	Keys    []byte `json:",omitempty"`
	Made    time.Time
}

var execID = regexp.MustCompile("^[0-9a-f]{64}$")

func (m *Module) waitingFile(p *prepared) string {
	return filepath.Join(m.paths.ContainerRun(p.container), shimapi.ExecsDir, p.id)
}

// keepWaiting writes an exec down. Nobody knows its id yet, so that nobody
// sees the file half written. Its variables may be secrets.
func (m *Module) keepWaiting(p *prepared) error {
	content, err := json.Marshal(waitingExec{Request: p.req, Keys: p.keys, Made: p.made})
	if err != nil {
		return err
	}
	file := m.waitingFile(p)
	err = os.Mkdir(filepath.Dir(file), 0o700)
	if err == nil || errors.Is(err, os.ErrExist) {
		err = os.WriteFile(file, content, 0o600)
	}
	if errors.Is(err, os.ErrNotExist) { // it has ended since
		return notRunning(&record{ID: p.container})
	}
	if errors.Is(err, unix.ENOSPC) || errors.Is(err, unix.EDQUOT) { // whoever makes room may need an exec for it
		p.unwritten = true
		_ = os.Remove(file)
		return nil
	}
	if err != nil {
		return fmt.Errorf("create an exec in container %s: %w", p.container, err)
	}
	return nil
}

// isWaiting wants p.mu.
func (m *Module) isWaiting(p *prepared) bool {
	if p.unwritten {
		return !p.started
	}
	_, err := os.Stat(m.waitingFile(p))
	return err == nil
}

// dropWaiting is for an exec that cannot be run; if it cannot be removed, it
// goes with the container's run.
func (m *Module) dropWaiting(p *prepared) { _ = os.Remove(m.waitingFile(p)) }

// findWaiting finds an exec that waits; nil where none does.
func (m *Module) findWaiting(id string) (*prepared, error) {
	if !execID.MatchString(id) {
		return nil, nil
	}
	runs, err := os.ReadDir(m.paths.ContainersRun())
	if err != nil {
		return nil, fmt.Errorf("look for exec %s: %w", id, err)
	}
	for _, run := range runs {
		p := &prepared{id: id, container: run.Name()}
		w, err := readJSON[waitingExec](m.waitingFile(p))
		if errors.Is(err, os.ErrNotExist) {
			continue
		}
		if err != nil {
			return nil, err
		}
		p.req, p.keys, p.made = w.Request, w.Keys, w.Made
		m.execs.add(p)
		return p, nil
	}
	return nil, nil
}

// waitingExecs lists those of a container.
func (m *Module) waitingExecs(id string) (ids []string) {
	entries, err := os.ReadDir(filepath.Join(m.paths.ContainerRun(id), shimapi.ExecsDir))
	if err != nil { // mostly there are none
		return nil
	}
	for _, e := range entries {
		ids = append(ids, e.Name())
	}
	return ids
}
