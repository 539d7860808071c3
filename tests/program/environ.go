package program

import (
	"os"
	"slices"
	"strings"
)

// said are the variables by which somebody's shell speaks to nacre, to docker's
// clients and to what prints for a person; a name that ends in _ stands for all
// that begin with it.
var said = []string{
	"BUILDKIT_", "COMPOSE_", "DOCKER_", "LC_", "NACRE_", "OTEL_", "REGISTRY_", "XDG_",
	"CLICOLOR", "CLICOLOR_FORCE", "COLORTERM", "COLUMNS", "EDITOR", "FORCE_COLOR", "GREP_OPTIONS", "LANG", "LANGUAGE", "LESS", "LINES", "LS_COLORS",
	"MANPAGER", "NO_COLOR", "PAGER", "TZ", "VISUAL",
	"HTTP_PROXY", "HTTPS_PROXY", "FTP_PROXY", "ALL_PROXY", "NO_PROXY", "http_proxy", "https_proxy", "ftp_proxy", "all_proxy", "no_proxy",
}

// ours begin the names of variables by which tests speak to each other.
var ours = []string{"NACRE_TEST_", "NACRE_LEAKS_"}

// Environ is this process's environment without what the shell that started
// the tests says to nacre and other programs, and with more.
func Environ(more ...string) []string {
	env := slices.DeleteFunc(os.Environ(), func(variable string) bool {
		name, _, _ := strings.Cut(variable, "=")
		return isSaid(name)
	})
	return append(env, more...)
}

// Isolate takes the same variables out of this process, for what its tests
// read themselves and for programs that they start without an environment.
func Isolate() error {
	for _, variable := range os.Environ() {
		if name, _, _ := strings.Cut(variable, "="); isSaid(name) {
			if err := os.Unsetenv(name); err != nil {
				return err
			}
		}
	}
	return nil
}

func isSaid(name string) bool {
	begins := func(prefix string) bool { return strings.HasPrefix(name, prefix) }
	if slices.ContainsFunc(ours, begins) {
		return false
	}
	return slices.ContainsFunc(said, func(s string) bool { return name == s || strings.HasSuffix(s, "_") && begins(s) })
}
