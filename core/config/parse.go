package config

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/containerd/errdefs"
)

// entry is one setting of a file.
type entry struct {
	key   string
	value json.RawMessage
	line  int
}

// parse reads a configuration; name is what errors call it.
func parse(name string, text []byte) (Config, []string, error) {
	var c Config
	entries, err := split(name, text)
	if err != nil {
		return Config{}, nil, err
	}
	var warnings []string
	seen := map[string]bool{}
	for _, e := range entries {
		if seen[e.key] {
			warnings = append(warnings, fmt.Sprintf("%s:%d: %q stands there more than once: the last one counts", name, e.line, e.key))
		}
		seen[e.key] = true
		set, why := lookup(e.key)
		if why != "" {
			warnings = append(warnings, fmt.Sprintf("%s:%d: %q %s", name, e.line, e.key, why))
		}
		if set == nil {
			continue
		}
		if err := set(&c, e.value); err != nil {
			return Config{}, nil, invalid(name, e.line, fmt.Sprintf("%s: %s", e.key, explain(err)))
		}
	}
	return c, warnings, nil
}

// split takes the top level of a JSON object apart, in order.
func split(name string, text []byte) ([]entry, error) {
	text = bytes.TrimPrefix(text, []byte("\xef\xbb\xbf")) // editors on Windows
	if len(bytes.TrimSpace(text)) == 0 {
		return nil, nil // as docker has it
	}
	dec := json.NewDecoder(bytes.NewReader(text))
	broken := func(err error) error {
		offset := dec.InputOffset()
		var syntax *json.SyntaxError
		if errors.As(err, &syntax) {
			// Offset counts the culprit itself; within Decode it counts from the value's start in some
			// versions of the library, so the later of the two is nearer.
			offset = max(offset, syntax.Offset)
		}
		if errors.Is(err, io.EOF) || errors.Is(err, io.ErrUnexpectedEOF) {
			return invalid(name, line(text, int64(len(text))), "the file ends in the middle")
		}
		return invalid(name, line(text, offset), explain(err))
	}
	if t, err := dec.Token(); err != nil {
		return nil, broken(err)
	} else if t != json.Delim('{') {
		return nil, invalid(name, line(text, dec.InputOffset()), "want a JSON object: { \"insecure-registries\": [\"host:5000\"] }")
	}
	var entries []entry
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, broken(err)
		}
		e := entry{key: fmt.Sprint(key), line: line(text, dec.InputOffset())}
		if err := dec.Decode(&e.value); err != nil {
			return nil, broken(err)
		}
		entries = append(entries, e)
	}
	if _, err := dec.Token(); err != nil {
		return nil, broken(err)
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		return nil, invalid(name, line(text, dec.InputOffset()), "there is something after the closing brace")
	}
	return entries, nil
}

// line counts from 1.
func line(text []byte, offset int64) int {
	offset = min(max(offset, 0), int64(len(text)))
	return 1 + bytes.Count(text[:offset], []byte("\n"))
}

func invalid(name string, line int, what string) error {
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("configuration file %s, line %d: %s", name, line, what))
}

// explain says what is wrong in the words of somebody who writes JSON by hand.
func explain(err error) string {
	var kind *json.UnmarshalTypeError
	if errors.As(err, &kind) {
		what := map[string]string{
			"[]string": "a list of strings", "string": "a string", "bool": "true or false", "int": "a whole number",
			"map[string]string": "an object of strings",
		}[kind.Type.String()]
		if what == "" {
			what = "something else"
		}
		return fmt.Sprintf("want %s, not %s", what, article(kind.Value))
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

func article(kind string) string {
	if strings.HasPrefix(kind, "array") || strings.HasPrefix(kind, "object") {
		return "an " + kind
	}
	return "a " + kind
}
