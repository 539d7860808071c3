package complete

import (
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/nacre-sh/nacre/plugins"
)

// runners are words before a host's program: what follows them is completed as if they were not there.
var runners = []string{"command", "sudo", "nohup", "nice"}

// hostCommand takes off what says that a program of the host is meant.
func hostCommand(before []string) (rest []string, host bool) {
	for len(before) > 0 {
		switch w := before[0]; {
		case strings.HasPrefix(w, "!") && len(w) > 1:
			return append([]string{w[1:]}, before[1:]...), true
		case strings.Contains(w, "/"):
			return before, true
		case slices.Contains(runners, w):
			before, host = before[1:], true
		default:
			return before, host
		}
	}
	return before, host
}

// processes are programs whose arguments are numbers of processes.
var processPrograms = []string{"kill", "renice", "strace", "gdb", "ltrace", "pidstat", "nsenter", "taskset", "pmap", "pstree"}

// hostArgument completes an argument of a host's program.
func (c *Completer) hostArgument(p place, words []string) (int, []plugins.Candidate, plugins.Directive) {
	if slices.Contains(processPrograms, words[0]) && !strings.HasPrefix(p.word, "-") && !strings.Contains(p.word, "/") {
		if list := Choose(hostProcesses(), p.word); len(list) > 0 {
			return p.start, list, plugins.Directive{NoFiles: true, KeepOrder: true}
		}
		return p.start, byName(hostProcesses(), p.word), plugins.Directive{NoFiles: true, KeepOrder: true}
	}
	return c.files(p, plugins.Directive{Files: true})
}

// byName finds processes whose description holds the word.
func byName(list []plugins.Candidate, word string) []plugins.Candidate {
	return slices.DeleteFunc(list, func(c plugins.Candidate) bool { return word == "" || !strings.Contains(c.Description, word) })
}

// hostProcesses lists the processes, newest first, with their command lines.
func hostProcesses() []plugins.Candidate {
	entries, err := os.ReadDir("/proc")
	if err != nil {
		return nil
	}
	var pids []int
	for _, e := range entries {
		if pid, err := strconv.Atoi(e.Name()); err == nil {
			pids = append(pids, pid)
		}
	}
	slices.SortFunc(pids, func(a, b int) int { return b - a })
	var list []plugins.Candidate
	for _, pid := range pids {
		data, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/cmdline")
		if err != nil || len(data) == 0 { // gone, or a thread of the kernel
			continue
		}
		about := strings.TrimSpace(strings.ReplaceAll(string(data), "\x00", " "))
		list = append(list, plugins.Candidate{Text: strconv.Itoa(pid), Description: about})
	}
	return list
}

// variables completes `$NA` and `${NA` at the end of a text.
func (c *Completer) variables(text string) (start int, _ []plugins.Candidate, ok bool) {
	at := strings.LastIndexByte(text, '$')
	if at < 0 || strings.Count(text[:at], "'")%2 == 1 || at > 0 && text[at-1] == '\\' {
		return 0, nil, false
	}
	name := text[at+1:]
	end := ""
	if strings.HasPrefix(name, "{") {
		name, end = name[1:], "}"
	}
	if strings.Trim(name, nameLetters) != "" || text[at:] == "$" {
		return 0, nil, false
	}
	var list []plugins.Candidate
	for _, v := range environmentNames(c.options.Env()) {
		list = append(list, plugins.Candidate{Text: text[at:len(text)-len(name)] + v.Text + end, Description: v.Description})
	}
	return at, list, true
}

const nameLetters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_"

// environmentNames lists the exported variables. Values are not shown: some are secrets.
func environmentNames(env []string) []plugins.Candidate {
	var names []string
	for _, v := range env {
		if name, _, _ := strings.Cut(v, "="); name != "" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	var list []plugins.Candidate
	for _, n := range slices.Compact(names) {
		list = append(list, plugins.Candidate{Text: n})
	}
	return list
}

// shellArgument completes the arguments of the shell's own words. Where a
// container may be meant too (export), only a variable that was begun counts.
func (c *Completer) shellArgument(command, word string, ours bool) []plugins.Candidate {
	var list []plugins.Candidate
	switch command {
	case "unset", "export", "readonly", "declare", "local":
		list = environmentNames(c.options.Env())
	case "alias", "unalias", "type":
		if c.options.Words != nil {
			list = c.options.Words()
		}
	}
	list = c.ranked(list, word, command, false)
	if ours && (word == "" || len(list) > 0 && !strings.HasPrefix(list[0].Text, word)) {
		return nil
	}
	return list
}

// programs remembers what the folders of PATH hold for as long as they do not change.
type programs struct {
	mu   sync.Mutex
	dirs map[string]folder
}

type folder struct {
	mtime time.Time
	names []string
}

// list gives the programs of a PATH whose names begin with a prefix.
func (p *programs) list(path, prefix string) []string {
	p.mu.Lock()
	defer p.mu.Unlock()
	var names []string
	for _, dir := range filepath.SplitList(path) {
		for _, name := range p.in(dir) {
			if strings.HasPrefix(name, prefix) {
				names = append(names, name)
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (p *programs) in(dir string) []string {
	info, err := os.Stat(dir)
	if err != nil {
		return nil
	}
	if f, ok := p.dirs[dir]; ok && f.mtime.Equal(info.ModTime()) {
		return f.names
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil
	}
	var names []string
	for _, e := range entries {
		if e.IsDir() {
			continue
		}
		if info, err := os.Stat(filepath.Join(dir, e.Name())); err == nil && info.Mode()&0o111 != 0 && !info.IsDir() {
			names = append(names, e.Name())
		}
	}
	if p.dirs == nil {
		p.dirs = map[string]folder{}
	}
	p.dirs[dir] = folder{info.ModTime(), names}
	return names
}
