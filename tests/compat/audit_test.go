package compat

import (
	"encoding/json"
	"fmt"
	"maps"
	"math/rand/v2"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// flagCase is one way to create a container.
type flagCase struct {
	flags  string            // separated by spaces; BUSYBOX follows unless an image is named
	differ map[string]string // fields that differ, and why
}

// args is the command line; names replaces what stands for something.
func (f flagCase) args(names *strings.Replacer) []string {
	args := append([]string{"create"}, strings.Fields(f.flags)...)
	if !strings.Contains(f.flags, "FULL") && !strings.Contains(f.flags, "BUSYBOX") {
		args = append(args, "BUSYBOX")
	}
	for i, a := range args {
		args[i] = names.Replace(a)
	}
	return args
}

// others makes on an engine what the cases refer to, and tells its names.
func (p peer) others() *strings.Replacer {
	t, dir := p.T, p.T.TempDir()
	subnet := p.network("audit")
	p.ok("create", "--name", "other", "-v", "audit-other:/othervol", "-v", dir+":/otherdir:ro", setup.image, "sleep", "1000")
	t.Cleanup(func() {
		p.T = t
		p.ok("rm", "-f", "-v", "other")
	})
	return strings.NewReplacer("FULL", auditImage(), "BUSYBOX", setup.image, "␣", " ", "''", "", "OTHER", "other", "NET", "audit",
		"DIR", dir, "VOLUME", "audit-vol", "SUBNET", subnet, "CIDFILE", filepath.Join(dir, "cid"),
		"ENVFILE", writeFile(t, "env", "# comment\nFROM_FILE=yes\nSPACED= a b \nNOT_SET_EITHER\n"),
		"LABELFILE", writeFile(t, "labels", "in.file=yes\n#no\nalone\n"),
		"SECCOMP", writeFile(t, "seccomp.json", `{"defaultAction": "SCMP_ACT_ALLOW"}`))
}

// network makes a network for the test and returns how its addresses begin:
// one of 198.18.0.0/15, which are there for tests, that nobody uses now.
func (p peer) network(name string) string {
	t := p.T
	for try := range 20 {
		subnet := fmt.Sprintf("198.%d.%d", 18+rand.IntN(2), rand.IntN(256))
		r := p.docker("network", "create", "--subnet", subnet+".0/24", name)
		if r.code == 0 {
			t.Cleanup(func() {
				p.T = t
				p.ok("network", "rm", name)
			})
			return subnet
		}
		if try == 19 {
			t.Fatalf("%s: %s", p.name, r.err)
		}
	}
	return ""
}

// TestCreateFlags creates a container with every flag on both engines, and
// compares all that inspect tells.
func TestCreateFlags(t *testing.T) {
	dockers, ours := peers(t)
	names := []*strings.Replacer{dockers.others(), ours.others()}
	for _, f := range createFlags {
		t.Run(strings.ReplaceAll(f.flags, "/", "_"), func(t *testing.T) {
			t.Parallel()
			compareCreate(t, dockers, ours, f, names)
		})
	}
}

func compareCreate(t *testing.T, dockers, ours peer, f flagCase, names []*strings.Replacer) {
	var found [2]map[string]string
	onBoth(t, dockers, ours, func(i int, p peer) {
		r := p.docker(f.args(names[i])...)
		if r.code != 0 {
			t.Fatalf("%s: exit %d: %s", p.name, r.code, r.err)
		}
		lines := strings.Split(strings.TrimSpace(r.out), "\n") // deprecated flags are told first
		id := lines[len(lines)-1]
		found[i] = fields(p.get("/containers/"+id+"/json"), id)
		p.remove(id)
	})
	for _, d := range differences(found[0], found[1]) {
		field, _, _ := strings.Cut(d, ":")
		if reason(field, f.differ) == "" {
			t.Error(d)
		}
	}
}

// always are the fields that differ between any two engines, or docker's newer ones.
var always = map[string]string{
	"GraphDriver.*": "layers lie elsewhere",
	"HostConfig.(MaskedPaths|ReadonlyPaths).*":         "newer docker masks more",
	"HostConfig.KernelMemory(TCP)?":                    "gone from newer docker",
	"HostConfig.NetworkMode":                           "newer docker says bridge",
	"NetworkSettings.Networks.*.(DNSNames|GwPriority)": "newer docker has it",
}

func reason(field string, more map[string]string) string {
	for _, m := range []map[string]string{always, more} {
		for pattern, why := range m {
			if ok, _ := regexp.MatchString("^(?:"+pattern+")$", field); ok {
				return why
			}
		}
	}
	return ""
}

// fields flattens an answer to one line per value, which keeps null, an empty
// list and a missing field apart. What names this container, its time and its
// engine's folders is replaced.
func fields(answer map[string]any, id string) map[string]string {
	flat := map[string]string{}
	answer = maps.Clone(answer)
	sortLists(answer)
	flatten(flat, "", answer)
	for k, v := range flat {
		v = strings.ReplaceAll(v, id, "<id>")
		v = strings.ReplaceAll(v, id[:12], "<id12>")
		for _, vary := range varying {
			v = vary.what.ReplaceAllString(v, vary.by)
		}
		flat[k] = v
	}
	return flat
}

// sortLists puts what docker tells in the order of a Go map, or its client
// sends so, into one order.
func sortLists(answer map[string]any) {
	by := func(key string) func(a, b any) int {
		return func(a, b any) int {
			if key != "" {
				a, b = a.(map[string]any)[key], b.(map[string]any)[key]
			}
			return strings.Compare(a.(string), b.(string))
		}
	}
	if mounts, ok := answer["Mounts"].([]any); ok {
		slices.SortFunc(mounts, by("Destination"))
	}
	if config, ok := answer["Config"].(map[string]any); ok {
		if env, ok := config["Env"].([]any); ok {
			slices.SortFunc(env, by(""))
		}
	}
}

var varying = []struct {
	what *regexp.Regexp
	by   string
}{
	{regexp.MustCompile(`/tmp/nacre-(dd|compat)-\d+/(d|data)/`), "<root>/"},
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "<64 digits>"},
	{regexp.MustCompile(`/[a-z]+_[a-z]+\d*\b`), "/<name>"},
	{regexp.MustCompile(`20\d\d-\d\d-\d\dT[0-9:.]+Z`), "<time>"},
	{regexp.MustCompile(`/tmp/\w*/cid`), "<cid>"},
	{regexp.MustCompile(`198\.1[89]\.\d+\.`), "<net>."},
	{regexp.MustCompile(`/tmp/Test[\w/]*`), "<dir>"},
}

func flatten(flat map[string]string, path string, value any) {
	switch v := value.(type) {
	case map[string]any:
		if len(v) == 0 {
			flat[path] = "{}"
		}
		for k, e := range v {
			flatten(flat, strings.TrimPrefix(path+"."+k, "."), e)
		}
	case []any:
		if len(v) == 0 {
			flat[path] = "[]"
		}
		for i, e := range v {
			flatten(flat, fmt.Sprintf("%s.%d", path, i), e)
		}
	default:
		text, _ := json.Marshal(v)
		flat[path] = string(text)
	}
}

// differences are docker's values and ours where they are not the same.
func differences(dockers, ours map[string]string) []string {
	var out []string
	keys := slices.Sorted(maps.Keys(dockers))
	for k := range ours {
		if _, ok := dockers[k]; !ok {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	for _, k := range keys {
		d, o := dockers[k], ours[k]
		if d != o {
			out = append(out, fmt.Sprintf("%s: docker %s, nacre %s", k, orAbsent(d), orAbsent(o)))
		}
	}
	return out
}

func orAbsent(s string) string {
	if s == "" {
		return "(absent)"
	}
	return s
}
