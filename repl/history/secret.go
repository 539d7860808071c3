package history

import (
	"regexp"
	"strings"
	"sync"
)

// secretName matches names of variables and flags whose values are secrets.
const secretName = `[A-Za-z0-9_-]*(?i:passw(?:or)?d|passphrase|secret|token|api_?-?key|access_?-?key|private_?-?key|credential)[A-Za-z0-9_]*`

// The expressions are made when the first line is looked at: most runs of the
// program look at none, and it takes them half a millisecond.

var secretForms = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		// NAME=value: typed before a command, after -e, --env, --build-arg, or in an argument such as a label.
		regexp.MustCompile(`(?:^|[\s;&|('"=])(?:-e)?` + secretName + `=`),
		// --password x, --token=x; a value read from standard input or a file is none.
		regexp.MustCompile(`(?:^|\s)--?` + secretName + `(?:[\s=]|$)`),
		// login -p x, login -px, login -u me -p x
		regexp.MustCompile(`(?:^|[\s;&|(])login\s(?:[^;&|\n]*\s)?-[A-Za-z]*p`),
		// https://user:password@host
		regexp.MustCompile(`://[^/\s:@]+:[^/\s@]+@`),
		regexp.MustCompile(`(?i)authorization:\s*\S+`),
		// programs that take a password as an argument: curl -u me:pw, mysql -ppw, sshpass -p, htpasswd -b
		regexp.MustCompile(`(?:^|[\s!])curl\s.*(?:-u|--user)[\s=]*[^\s:]+:\S`),
		regexp.MustCompile(`(?:^|[\s!])(?:mysql|mysqldump|mysqladmin|mariadb)\s(?:.*\s)?-p\S`),
		regexp.MustCompile(`(?:^|[\s!])sshpass\s+-p`),
		regexp.MustCompile(`(?:^|[\s!])htpasswd\s(?:.*\s)?-[A-Za-z]*b`),
		// tokens known by their form: GitHub, GitLab, Docker Hub, npm, Slack, AWS, JSON web tokens, private keys
		regexp.MustCompile(`\b(?:gh[pousr]_[A-Za-z0-9]{20}|github_pat_\w{20}|glpat-[\w-]{16}|dckr_[po]at_[\w-]{16}|npm_[A-Za-z0-9]{20}|xox[abpr]-[\w-]{8}|A[KS]IA[A-Z0-9]{16}|eyJ[\w-]{10,}\.eyJ)`),
		regexp.MustCompile(`-----BEGIN [A-Z ]*PRIVATE KEY`),
	}
})

// pipedForms are what is given to --password-stdin, and to a secret that is read from standard input.
var pipedForms = sync.OnceValue(func() []*regexp.Regexp {
	return []*regexp.Regexp{
		regexp.MustCompile(`(?:echo|printf)\s[^|]*\|.*--password-stdin`),
		regexp.MustCompile(`--password-stdin.*<<<?`),
		regexp.MustCompile(`(?:echo|printf)\s[^|]*\|\s*(?:(?:docker|nacre)\s+)?secret\s+create\b`),
	}
})

// harmless are flags whose names look like secrets and whose values are none.
var harmless = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`--(?:password-stdin|secret)\b`) })

// Secret tells whether a line must not be stored: it holds a password or a
// token, or its writer asked for it with a leading space.
func Secret(line string) bool {
	if strings.HasPrefix(line, " ") {
		return true
	}
	plain := harmless().ReplaceAllString(line, "")
	for _, form := range secretForms() {
		if form.MatchString(plain) {
			return true
		}
	}
	for _, form := range pipedForms() {
		if form.MatchString(line) {
			return true
		}
	}
	return false
}
