package xargs

import (
	"errors"
	"fmt"
	"strings"
	"unicode"
)

// items splits the input. Each group is one line's items, because -L and -I
// count lines; with a delimiter every item is a group.
func (o *options) items(text string) ([][]string, error) {
	switch {
	case o.null:
		return single(text, "\x00"), nil
	case o.delimiter != "":
		d, err := unescape(o.delimiter)
		if err != nil {
			return nil, err
		}
		return single(text, d), nil
	case o.replace != "":
		var groups [][]string
		for line := range strings.Lines(text) {
			if line = strings.TrimLeftFunc(strings.TrimSuffix(line, "\n"), unicode.IsSpace); line != "" {
				groups = append(groups, []string{line})
			}
		}
		return groups, nil
	}
	return quoted(text)
}

func single(text, delimiter string) [][]string {
	if text == "" {
		return nil
	}
	var groups [][]string
	for _, item := range strings.Split(strings.TrimSuffix(text, delimiter), delimiter) {
		groups = append(groups, []string{item})
	}
	return groups
}

func unescape(d string) (string, error) {
	switch d {
	case `\n`:
		return "\n", nil
	case `\t`:
		return "\t", nil
	case `\0`:
		return "\x00", nil
	case `\\`:
		return `\`, nil
	}
	if len(d) != 1 {
		return "", fmt.Errorf("xargs: invalid delimiter %q: want one character or \\n, \\t, \\0", d)
	}
	return d, nil
}

// quoted splits at blanks and newlines; quotes and backslashes keep them. A
// line that ends in a blank goes on in the next, as POSIX has it for -L.
func quoted(text string) ([][]string, error) {
	var groups [][]string
	var line []string
	var word strings.Builder
	inWord, quote, escaped, blank := false, rune(0), false, false
	endWord := func() {
		if inWord {
			line = append(line, word.String())
			word.Reset()
			inWord = false
		}
	}
	for _, c := range text {
		switch {
		case escaped:
			word.WriteRune(c)
			escaped = false
		case quote != 0 && c == quote:
			quote = 0
		case quote != 0 && c == '\n':
			return nil, errors.New("xargs: unmatched quote; quotes are special to xargs unless you use the -0 option")
		case quote != 0:
			word.WriteRune(c)
		case c == '\\':
			escaped, inWord = true, true
		case c == '\'' || c == '"':
			quote, inWord = c, true
		case c == '\n':
			endWord()
			if len(line) > 0 && !blank {
				groups = append(groups, line)
				line = nil
			}
		case c == ' ' || c == '\t':
			endWord()
		default:
			inWord = true
			word.WriteRune(c)
		}
		blank = c == ' ' || c == '\t'
	}
	if quote != 0 {
		return nil, errors.New("xargs: unmatched quote; quotes are special to xargs unless you use the -0 option")
	}
	if endWord(); len(line) > 0 {
		groups = append(groups, line)
	}
	return groups, nil
}

// lines makes the command lines to run.
func (o *options) lines(words []string, groups [][]string) ([][]string, error) {
	if o.replace != "" {
		var lines [][]string
		for _, g := range groups {
			line := []string{}
			for _, w := range words {
				line = append(line, strings.ReplaceAll(w, o.replace, g[0]))
			}
			lines = append(lines, line)
		}
		return lines, nil
	}
	if len(groups) == 0 {
		if o.noRunIfEmpty {
			return nil, nil
		}
		return [][]string{words}, nil
	}
	return o.pack(words, groups)
}

// pack fills each command line up to the limits of -n, -L and -s.
func (o *options) pack(words []string, groups [][]string) ([][]string, error) {
	base := 0
	for _, w := range words {
		base += len(w) + 1
	}
	var lines [][]string
	line, size, inputLines := append([]string{}, words...), base, 0
	flush := func() {
		if len(line) > len(words) {
			lines = append(lines, line)
		}
		line, size, inputLines = append([]string{}, words...), base, 0
	}
	for _, g := range groups {
		for _, item := range g {
			if base+len(item)+1 > o.chars {
				return nil, errors.New("xargs: argument line too long")
			}
			full := o.perRun > 0 && len(line)-len(words) >= o.perRun
			if tooLong := size+len(item)+1 > o.chars; tooLong && o.exitTooBig && o.perLine > 0 {
				return nil, errors.New("xargs: argument line too long")
			} else if full || tooLong {
				flush()
			}
			line = append(line, item)
			size += len(item) + 1
		}
		if inputLines++; o.perLine > 0 && inputLines >= o.perLine {
			flush()
		}
	}
	flush()
	return lines, nil
}
