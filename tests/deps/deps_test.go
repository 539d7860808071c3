// Package deps holds the rules of who may import whom, as a test. The folders
// of nacre are layers; a forbidden import is a design mistake, not a detail.
package deps

import (
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"slices"
	"strings"
	"testing"
)

const module = "github.com/nacre-sh/nacre/"

// rule says what the packages below a folder may import of this module (other
// than themselves). Patterns end in … for everything below.
type rule struct {
	from    string
	allowed []string
}

var modules = []string{"image", "container", "network", "volume", "build", "mirror", "registry", "system"}

func rules() []rule {
	shared := []string{"core/store", "core/event", "core/backend", "core/filter", "core/config", "core/access", "core/thread"}
	shared = append(shared, "core/trash", "core/apparmor", "core/inherit", "core/selinux")
	list := []rule{
		{"core/store", nil},
		{"core/filter", nil},
		{"core/thread", nil},
		{"core/thread/early", nil},
		{"core/inherit", nil},
		{"core/apparmor", nil},
		{"core/selinux", nil},
		{"core/event", []string{"core/filter", "core/store"}},
		{"core/backend", []string{"core/filter"}},
		{"core/config", []string{"core/backend"}},
		{"core/access", []string{"core/config"}},
		{"core/trash", []string{"core/backend"}},
		{"core/api", []string{"core/api…", "core/backend", "core/filter"}},
		{"core/runtime", []string{"core/runtime…", "core/shim/shimapi", "core/thread"}},
		{"core/shim", []string{"core/shim…", "core/runtime…", "core/event", "core/thread"}},
		{"core/engine", []string{"core…"}},
		{"core/registry/server", nil},
		{"plugins/builtin", []string{"plugins", "plugins/show", "plugins/builtin…"}},
		{"plugins", []string{"plugins", "plugins/show"}},
		{"plugins/show", nil},
		{"plugins/builtin/lua", []string{"plugins", "plugins/show", "plugins/builtin…", "scripting"}},
		{"plugins/discover", []string{"plugins", "plugins/lua", "plugins/process"}},
		{"plugins/lua", []string{"plugins", "scripting…"}},
		{"plugins/process", []string{"plugins"}},
		{"scripting", []string{"plugins", "scripting…"}},
		{"repl", []string{"repl…", "plugins", "plugins/show"}},
		{"cmd/nacre-registry", []string{"core/registry/server"}},
		{"cmd/nacre-shim", []string{"core/shim…", "core/runtime…", "core/thread", "core/inherit"}},
		{"cmd/nacre-resolver", []string{"core/network/resolver/server"}},
		{"cmd/nacre", []string{"repl…", "scripting…", "scripts", "plugins…", "core/engine", "core/store", "core/config", "core/thread…"}},
	}
	for _, m := range modules {
		list = append(list, rule{"core/" + m, append([]string{"core/" + m + "…", "core/shim/shimapi", "core/shim/sweep"}, shared...)})
	}
	return list
}

// owners are libraries that only these folders may import.
var owners = map[string][]string{
	"github.com/opencontainers/runc/libcontainer": {"core/runtime"},
	"github.com/opencontainers/cgroups":           {"core/runtime"},
	"github.com/opencontainers/selinux":           {"core/selinux"},
	"github.com/c-bata/go-prompt":                 {"repl/prompt"},
	"github.com/yuin/gopher-lua":                  {"scripting"},
	"go.podman.io/image/v5":                       {"core"},
	"go.podman.io/storage":                        {"core"},
	"modernc.org/sqlite":                          {"core/store", "repl/history"},
}

// exceptions are imports that a library's own rules force on us.
var exceptions = map[string]string{
	"cmd/nacre → go.podman.io/storage/pkg/reexec":                          "storage re-executes the program and must be asked first",
	"cmd/nacre-shim → github.com/opencontainers/runc/libcontainer":         "libcontainer's init hook belongs to main",
	"cmd/nacre-shim → github.com/opencontainers/runc/libcontainer/nsenter": "C code that must be linked into main",
}

type pkg struct {
	ImportPath string
	Imports    []string
}

func packages(t *testing.T) []pkg {
	t.Helper()
	list := exec.Command("go", "list", "-json=ImportPath,Imports", module+"...")
	list.Env = append(os.Environ(), "CGO_ENABLED=1") // the shim's files need it
	out, err := list.Output()
	if err != nil {
		t.Fatal(err)
	}
	var found []pkg
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p pkg
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			return found
		} else if err != nil {
			t.Fatal(err)
		}
		found = append(found, p)
	}
}

func TestImportsGoOneWay(t *testing.T) {
	seen := 0
	for _, p := range packages(t) {
		from := strings.TrimPrefix(p.ImportPath, module)
		if strings.HasPrefix(from, "tests/") {
			continue
		}
		seen++
		for _, to := range p.Imports {
			if reason, ok := exceptions[from+" → "+to]; ok && reason != "" {
				continue
			}
			if inside, ok := strings.CutPrefix(to, module); ok {
				checkInside(t, from, inside)
			} else {
				checkOwner(t, from, to)
			}
		}
	}
	if seen < 10 {
		t.Errorf("only %d packages seen: the list is not complete", seen)
	}
}

func checkInside(t *testing.T, from, to string) {
	t.Helper()
	r, ok := ruleFor(from)
	switch {
	case !ok && from == "plugins" && to == "plugins":
	case !ok:
		t.Errorf("%s imports %s, and no rule says what %s may import", from, to, from)
	case !allows(r, to):
		t.Errorf("%s must not import %s", from, to)
	}
}

// ruleFor finds the rule with the longest matching folder.
func ruleFor(from string) (best rule, ok bool) {
	for _, r := range rules() {
		if below(from, r.from) && len(r.from) >= len(best.from) {
			best, ok = r, true
		}
	}
	return best, ok
}

func allows(r rule, to string) bool {
	for _, pattern := range r.allowed {
		if folder, wide := strings.CutSuffix(pattern, "…"); wide && below(to, folder) || to == pattern {
			return true
		}
	}
	return false
}

func below(path, folder string) bool { return path == folder || strings.HasPrefix(path, folder+"/") }

func checkOwner(t *testing.T, from, to string) {
	t.Helper()
	for library, folders := range owners {
		if below(to, library) && !slices.ContainsFunc(folders, func(f string) bool { return below(from, f) }) {
			t.Errorf("%s must not import %s: only %s does", from, to, strings.Join(folders, " and "))
		}
	}
}

// The registry server is a program of its own: its library would slow every start of nacre.
func TestServerStaysOut(t *testing.T) {
	out, err := exec.Command("go", "list", "-deps", module+"cmd/nacre").Output()
	if err != nil {
		t.Fatal(err)
	}
	for dep := range strings.Lines(string(out)) {
		if below(strings.TrimSpace(dep), "github.com/distribution/distribution/v3") {
			t.Errorf("nacre links %s", dep)
		}
	}
}
