package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/moby/sys/atomicwriter"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/backend"
)

// keepOwn are keys that an import never takes over: another engine's places are
// full of that engine's files.
var keepOwn = map[string]string{
	"data-root": "it holds the other engine's files; nacre keeps its own",
	"exec-root": "it holds the other engine's files; nacre keeps its own",
	"hosts":     "the other engine listens there; `nacre serve -H` chooses nacre's",
}

// Import takes over what a docker daemon.json says: its settings replace those
// of the same key and leave the others. name is what errors call the text.
func (f File) Import(name string, text []byte) (backend.ConfigImport, error) {
	var report backend.ConfigImport
	if len(text) > maxFile {
		return report, fmt.Errorf("configuration file %s: %d bytes are too many: %w", name, len(text), errdefs.ErrInvalidArgument)
	}
	if _, _, err := parse(name, text); err != nil {
		return report, err
	}
	theirs, err := split(name, text)
	if err != nil {
		return report, err
	}
	err = f.change(func(own []entry) ([]entry, error) {
		for _, e := range theirs {
			if why := notTaken(e.key); why != "" {
				report.Ignored = append(report.Ignored, backend.ConfigIgnored{Key: e.key, Why: why})
				continue
			}
			own = put(own, e)
			report.Took = append(report.Took, e.key)
		}
		return own, nil
	})
	return report, err
}

// notTaken says why an import leaves a key out; empty: it does not.
func notTaken(key string) string {
	if why, is := keepOwn[key]; is {
		return why
	}
	set, why := lookup(key)
	if set != nil {
		return ""
	}
	return strings.TrimPrefix(why, "has no effect here: ")
}

// Set changes one key. Words are a JSON value, a plain word, or the elements of
// a list. Errors are errdefs.ErrInvalidArgument and ErrNotFound (Remove of what
// is not there).
func (f File) Set(change backend.ConfigChange) error {
	set, why := lookup(change.Key)
	if set == nil {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%q %s", change.Key, why))
	}
	return f.change(func(own []entry) ([]entry, error) {
		at := slices.IndexFunc(own, func(e entry) bool { return e.key == change.Key })
		if change.Remove && len(change.Words) == 0 {
			if at < 0 {
				return nil, errdefs.ErrNotFound.WithMessage(change.Key + " is not set")
			}
			return slices.Delete(own, at, at+1), nil
		}
		words := change.Words
		if change.Add || change.Remove {
			var elements []string
			if at >= 0 && json.Unmarshal(own[at].value, &elements) != nil {
				return nil, errdefs.ErrInvalidArgument.WithMessage(change.Key + " is no list of words: `config set` replaces its value")
			}
			var err error
			if words, err = edit(elements, change); err != nil {
				return nil, err
			}
		}
		value, err := valueOf(set, words, change.Add || change.Remove)
		if err != nil {
			return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("%s: %s", change.Key, explain(err)))
		}
		return put(own, entry{key: change.Key, value: value}), nil
	})
}

// edit adds words to a list or takes them out.
func edit(elements []string, change backend.ConfigChange) ([]string, error) {
	for _, w := range change.Words {
		at := slices.Index(elements, w)
		switch {
		case change.Add && at < 0:
			elements = append(elements, w)
		case change.Remove && at < 0:
			return nil, errdefs.ErrNotFound.WithMessage(fmt.Sprintf("%s does not list %q", change.Key, w))
		case change.Remove:
			elements = slices.Delete(elements, at, at+1)
		}
	}
	return elements, nil
}

// valueOf turns words into the JSON value that the key takes.
func valueOf(set setter, words []string, list bool) (json.RawMessage, error) {
	var forms []json.RawMessage
	if len(words) == 1 && !list {
		if json.Valid([]byte(words[0])) {
			forms = append(forms, json.RawMessage(words[0]))
		}
		word, err := json.Marshal(words[0])
		if err != nil {
			return nil, err
		}
		forms = append(forms, word)
	}
	if words == nil {
		words = []string{}
	}
	all, err := json.Marshal(words)
	if err != nil {
		return nil, err
	}
	var reason error
	for _, form := range append(forms, all) {
		err := set(&Config{}, form)
		if err == nil {
			return form, nil
		}
		// What a key says about a value of its own kind helps more than that the kind is another.
		if reason == nil || !errors.As(err, new(*json.UnmarshalTypeError)) {
			reason = err
		}
	}
	return nil, reason
}

func put(entries []entry, e entry) []entry {
	for i := range entries {
		if entries[i].key == e.key {
			entries[i].value = e.value
			return entries
		}
	}
	return append(entries, e)
}

// Show returns the file's path, its settings, and what a person should know about it.
func (f File) Show() (backend.ConfigReport, error) {
	text, err := f.read()
	if err != nil {
		return backend.ConfigReport{}, err
	}
	_, warnings, err := parse(f.Path, text)
	if err != nil {
		return backend.ConfigReport{}, err
	}
	entries, err := split(f.Path, text)
	if err != nil {
		return backend.ConfigReport{}, err
	}
	settings, err := format(entries)
	return backend.ConfigReport{Path: f.Path, Settings: settings, Warnings: warnings}, err
}

// change rewrites the file, at once or not at all, while no other process does.
func (f File) change(edit func([]entry) ([]entry, error)) error {
	if err := os.MkdirAll(filepath.Dir(f.Path), 0o755); err != nil {
		return fmt.Errorf("write the configuration file: %w", err)
	}
	// The folder is locked, not a file beside it: nothing may stay behind in /etc.
	lock, err := os.Open(filepath.Dir(f.Path))
	if err != nil {
		return fmt.Errorf("lock the configuration file: %w", err)
	}
	defer lock.Close()
	if err := unix.Flock(int(lock.Fd()), unix.LOCK_EX); err != nil {
		return fmt.Errorf("lock the configuration file: %w", err)
	}
	before, err := f.read()
	if err != nil {
		return err
	}
	if _, _, err := parse(f.Path, before); err != nil {
		return err
	}
	entries, err := split(f.Path, before)
	if err != nil {
		return err
	}
	if entries, err = edit(entries); err != nil {
		return err
	}
	text, err := format(entries)
	if err != nil {
		return fmt.Errorf("write the configuration file: %w", err)
	}
	if err := atomicwriter.WriteFile(f.Path, text, 0o644); err != nil {
		return fmt.Errorf("write the configuration file: %w", err)
	}
	return nil
}

// format writes settings as a person would, in their order.
func format(entries []entry) ([]byte, error) {
	var out bytes.Buffer
	out.WriteString("{")
	for i, e := range entries {
		if i > 0 {
			out.WriteString(",")
		}
		key, err := json.Marshal(e.key)
		if err != nil {
			return nil, err
		}
		out.WriteString("\n  ")
		out.Write(key)
		out.WriteString(": ")
		if err := json.Indent(&out, e.value, "  ", "  "); err != nil {
			return nil, err
		}
	}
	if len(entries) > 0 {
		out.WriteString("\n")
	}
	out.WriteString("}\n")
	return out.Bytes(), nil
}
