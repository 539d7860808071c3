package process

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nacre-sh/nacre/plugins"
)

// Options say where executables are looked for and how they are asked.
type Options struct {
	Dirs  []string // in order: the first executable of a name is the one
	Cache string   // file that keeps the answers; "" for none
	Env   []string
	Self  string        // path of nacre
	Limit time.Duration // for one answer; 0: five seconds
}

const (
	defaultLimit = 5 * time.Second
	metadataWord = "docker-cli-plugin-metadata"
)

// prefixes of file names; nacre's own comes first.
var prefixes = []string{"nacre-", "docker-"}

// SystemDirs are the folders that docker looks into after the user's.
func SystemDirs() []string {
	return []string{
		"/usr/local/lib/docker/cli-plugins",
		"/usr/local/libexec/docker/cli-plugins",
		"/usr/lib/docker/cli-plugins",
		"/usr/libexec/docker/cli-plugins",
	}
}

// Find lists the executables that gave valid metadata, and those that did not.
// news are the failures that this call found: to warn about one at every start
// would be too much.
func Find(ctx context.Context, o Options) (found []*Plugin, failed, news []plugins.Failure) {
	files := candidates(o.Dirs)
	if len(files) == 0 {
		return nil, nil, nil
	}
	if o.Limit == 0 {
		o.Limit = defaultLimit
	}
	known := readCache(o.Cache)
	answers := make([]answer, len(files))
	var asked sync.WaitGroup
	changed := len(known) != len(files)
	for i, f := range files {
		if a, ok := known[f.path]; ok && a.fresh(f) {
			answers[i] = a
			continue
		}
		changed = true
		asked.Go(func() { answers[i] = ask(ctx, f, o) })
	}
	asked.Wait()
	if changed && ctx.Err() == nil {
		// A home that cannot be written to costs asking again, not a warning at every start.
		_ = writeCache(o.Cache, files, answers)
	}
	for i, f := range files {
		p := &Plugin{name: f.name, path: f.path, self: o.Self, metadata: answers[i].Metadata}
		if answers[i].Problem == "" {
			found = append(found, p)
			continue
		}
		failure := plugins.Failure{Name: f.name, Info: p.Info(), Err: errors.New(answers[i].Problem)}
		failed = append(failed, failure)
		if _, old := known[f.path]; !old || !known[f.path].fresh(f) {
			news = append(news, failure)
		}
	}
	return found, failed, news
}

// candidate is a file that is named like a plugin.
type candidate struct {
	name, path string
	modified   time.Time
	size       int64
}

// candidates lists the files of the folders, the first of each name, by name.
// Folders that cannot be read have none, as in docker.
func candidates(dirs []string) []candidate {
	seen := map[string]bool{}
	var list []candidate
	for _, dir := range dirs {
		entries, err := os.ReadDir(dir)
		if err != nil {
			continue
		}
		for _, prefix := range prefixes {
			for _, e := range entries {
				name, ok := strings.CutPrefix(e.Name(), prefix)
				if !ok || seen[name] || !nameForm().MatchString(name) {
					continue
				}
				path := filepath.Join(dir, e.Name())
				info, err := os.Stat(path) // through a link, as docker does
				if err != nil || !info.Mode().IsRegular() || info.Mode().Perm()&0o111 == 0 {
					continue
				}
				seen[name] = true
				list = append(list, candidate{name: name, path: path, modified: info.ModTime(), size: info.Size()})
			}
		}
	}
	slices.SortFunc(list, func(a, b candidate) int { return strings.Compare(a.name, b.name) })
	return list
}

// ask runs an executable for its metadata.
func ask(ctx context.Context, f candidate, o Options) answer {
	limited, cancel := context.WithTimeout(ctx, o.Limit)
	defer cancel()
	a := answer{Modified: f.modified, Size: f.size, Asked: time.Now()}
	out, err := output(limited, f.path, []string{metadataWord}, o.Env, "/")
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		a.Problem = fmt.Sprintf("it did not tell its metadata within %s", o.Limit)
	case err != nil:
		a.Problem = fmt.Sprintf("failed to fetch metadata: %s", reason(err))
	default:
		a.Metadata, err = parseMetadata(out)
		if err != nil {
			a.Problem = err.Error()
		}
	}
	return a
}

// reason is an error of an executable without its path, which is shown beside it.
func reason(err error) string {
	var start *fs.PathError
	if errors.As(err, &start) {
		return start.Err.Error()
	}
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		return exit.ProcessState.String()
	}
	return err.Error()
}

// parseMetadata reads and checks an answer as docker does.
func parseMetadata(out []byte) (metadata, error) {
	var m metadata
	if err := json.Unmarshal(out, &m); err != nil {
		return m, fmt.Errorf("invalid metadata: %w", err)
	}
	if err := checkSchema(m.SchemaVersion); err != nil {
		return m, err
	}
	if m.Vendor == "" {
		return m, errors.New("plugin metadata does not define a vendor")
	}
	m.ShortDescription = oneLine(m.ShortDescription)
	m.Version, m.Vendor = oneLine(m.Version), oneLine(m.Vendor)
	return m, nil
}

// checkSchema accepts 0.x and 1.x: docker promises compatibility below 2.0.0.
func checkSchema(version string) error {
	if version == "" {
		return errors.New("plugin SchemaVersion version cannot be empty")
	}
	major, _, ok := strings.Cut(version, ".")
	n, err := strconv.Atoi(major)
	if !ok || err != nil {
		return fmt.Errorf("plugin SchemaVersion %q has wrong format: must be <major>.<minor>.<patch>", version)
	}
	if n > 1 {
		return fmt.Errorf("plugin SchemaVersion %q is not supported: must be lower than 2.0.0", version)
	}
	return nil
}

// oneLine keeps control characters of a plugin off the user's terminal.
func oneLine(s string) string {
	return strings.Map(func(r rune) rune {
		if r < ' ' || r == 0x7f {
			return ' '
		}
		return r
	}, s)
}
