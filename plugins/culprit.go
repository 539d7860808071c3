package plugins

import (
	"errors"
	"fmt"
	"io"
	"regexp"
	"slices"
	"strings"
	"sync"

	"github.com/mattn/go-runewidth"
	"mvdan.cc/sh/v3/syntax"

	"github.com/nacre-sh/nacre/plugins/show"
)

// culprits match the errors that are about one word of the command line, the
// word being the one group that matches.
var culprits = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`unknown flag: (--[^\s]+)|unknown shorthand flag: '.' in (-[^\s]+)|unknown (?:docker )?command:? ["'](?:(?:docker|nacre) )?(?:[^"']* )?([^\s"']+)["']|` +
		`invalid argument "([^"]*)" for|flag needs an argument: .*(--?[A-Za-z][\w-]*)|(?i:no such (?:container|image|object|network|volume)): ?([^\s,]+)|get ([^\s,]+): no such volume|network ([^\s,]+) not found|invalid reference format.*"([^"]+)"|bad flag syntax: ([^\s]+)`)
})

// pointAt shows the command with a mark under the word that an error is about;
// "" when the error names none, or it is not among the arguments.
func pointAt(args []string, err error) string {
	word := ""
	for _, group := range culprits().FindStringSubmatch(err.Error()) {
		if group != "" {
			word = group
		}
	}
	var o *offered
	if word == "" && errors.As(err, &o) {
		word = o.offer.Word
	}
	if word == "" {
		return ""
	}
	i := indexOf(args, word)
	if i < 0 {
		return ""
	}
	var line strings.Builder
	from, width := 0, 0
	for j, a := range args {
		if j > 0 {
			line.WriteByte(' ')
		}
		shown, err := quoted(a)
		if err != nil || strings.ContainsAny(shown, "\n\x1b") {
			return ""
		}
		if j == i {
			from, width = runewidth.StringWidth(line.String()), runewidth.StringWidth(shown)
		}
		line.WriteString(shown)
	}
	return fmt.Sprintf("  %s\n  %s%s\n", line.String(), strings.Repeat(" ", from), strings.Repeat("^", max(width, 1)))
}

// indexOf finds the argument that a word of an error stands for: itself, a flag
// with its value, or an image's name without the tag that docker adds.
func indexOf(args []string, word string) int {
	return slices.IndexFunc(args, func(a string) bool {
		return a == word || strings.HasPrefix(word, "-") && strings.HasPrefix(a, word+"=") || a == strings.TrimSuffix(word, ":latest") ||
			a != "" && strings.HasSuffix(a, "="+word)
	})
}

// quoted writes a word as it can be typed.
func quoted(word string) (string, error) {
	if word != "" && !strings.ContainsAny(word, " \t\n'\"$`\\|&;()<>*?[]#~{}!") {
		return word, nil
	}
	return syntax.Quote(word, syntax.LangBash)
}

// shownTo tells whether a writer is a person's terminal.
func shownTo(w any) bool {
	out, ok := w.(io.Writer)
	return ok && show.FileOf(out) != nil
}
