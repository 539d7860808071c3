package history

import (
	"regexp"
	"strings"
)

// secretName matches names of variables and flags whose values are secrets.
const secretName = `[A-Za-z0-9_-]*(?i:passw(?:or)?d|passphrase|secret|token|api_?-?key|access_?-?key|private_?-?key|credential)[A-Za-z0-9_]*`

var secretForms = []*regexp.Regexp{
	// NAME=value: typed before a command, after -e, --env, --build-arg, or in an argument such as a label.
	regexp.MustCompile(`(?:^|[\s;&|('"=])(?:-e)?` + secretName + `=`),
	// --password x, --token=x; a value read from standard input or a file is none.
	regexp.MustCompile(`(?:^|\s)--?` + secretName + `(?:[\s=]|$)`),
	// login -p x, login -px, login -u me -p x
	regexp.MustCompile(`(?:^|[\s;&|(])login\s(?:[^;&|\n]*\s)?-[A-Za-z]*p`),
	// https://user:password@host
	regexp.MustCompile(`://[^/\s:@]+:[^/\s@]+@`),
	regexp.MustCompile(`(?i)authorization:\s*\S+`),
}

// harmless are flags whose names look like secrets and whose values are none.
var harmless = regexp.MustCompile(`--(?:password-stdin|secret)\b`)

// Secret tells whether a line must not be stored: it holds a password or a
// token, or its writer asked for it with a leading space.
func Secret(line string) bool {
	if strings.HasPrefix(line, " ") {
		return true
	}
	line = harmless.ReplaceAllString(line, "")
	for _, form := range secretForms {
		if form.MatchString(line) {
			return true
		}
	}
	return false
}
