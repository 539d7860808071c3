package main

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/repl"
	"github.com/nacre-sh/nacre/repl/history"
	"github.com/nacre-sh/nacre/repl/prompt"
)

// journal is the history of the session, and the last line for !! — also one
// that the history does not keep.
type journal struct {
	*history.Store
	mu   sync.Mutex
	last string
}

// Began implements repl.Journal.
func (j *journal) Began(line, dir string) (func(int) error, error) {
	j.mu.Lock()
	if text := strings.TrimSpace(line); text != "" {
		j.last = text
	}
	j.mu.Unlock()
	return j.Store.Began(line, dir)
}

// expand is what Enter makes of !! and !$.
func (j *journal) expand(text string) string {
	j.mu.Lock()
	defer j.mu.Unlock()
	return repl.ExpandHistory(text, j.last)
}

// search looks through the history for Ctrl-R.
func (p *program) search(shell *repl.Shell, lines *history.Store, query string, f prompt.Filter) []prompt.Found {
	return found(lines.Find(query, p.narrowed(shell, f)))
}

func (p *program) searchAll(ctx context.Context, shell *repl.Shell, lines *history.Store, query string, f prompt.Filter) []prompt.Found {
	return found(lines.FindAll(ctx, query, p.narrowed(shell, f)))
}

func (p *program) narrowed(shell *repl.Shell, f prompt.Filter) history.Query {
	q := history.Query{Failed: f.Failed}
	if f.Here {
		dir := shell.Dir()
		q.Dir = &dir
	}
	if f.Engine {
		engine := p.engineName()
		q.Engine = &engine
	}
	return q
}

func found(list []history.Entry) []prompt.Found {
	out := make([]prompt.Found, len(list))
	for i, e := range list {
		out[i] = prompt.Found{Text: e.Text, Dir: e.Dir, When: e.Start, Failed: e.Ended && e.Status != 0}
	}
	return out
}

// runnable are the words that run something beside nacre's commands and the host's programs.
func (p *program) runnable(shell *repl.Shell) []plugins.Candidate {
	list := p.abbreviations.Candidates()
	for name, about := range shell.Words() {
		list = append(list, plugins.Candidate{Text: name, Description: about})
	}
	return list
}

// editOutside lets $VISUAL or $EDITOR edit a line at the terminal. The text
// lies in a file that only the user can read, and not longer than that.
func (p *program) editOutside(shell *repl.Shell, text string) (string, error) {
	getenv := expandEnv(shell.Env())
	editor := firstOf(getenv("VISUAL"), getenv("EDITOR"), "vi")
	dir, err := os.MkdirTemp("", "nacre-line-") // 0700
	if err != nil {
		return "", fmt.Errorf("edit the line: %w", err)
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "line.sh")
	if err := os.WriteFile(file, []byte(text+"\n"), 0o600); err != nil {
		return "", fmt.Errorf("edit the line: %w", err)
	}
	// The variable may hold options, as in every shell.
	cmd := exec.Command("/bin/sh", "-c", editor+` "$1"`, "sh", file)
	cmd.Dir, cmd.Env = shell.Dir(), shell.Env()
	cmd.Stdin, cmd.Stdout, cmd.Stderr = p.in, p.out, p.err
	if err := cmd.Run(); err != nil {
		return "", fmt.Errorf("edit the line with %s: %w", editor, err)
	}
	data, err := os.ReadFile(file)
	if err != nil {
		return "", fmt.Errorf("edit the line: %w", err)
	}
	return strings.TrimRight(string(data), "\n"), nil
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}
