package config

import (
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/nacre-sh/nacre/core/backend"
)

func write(t *testing.T, text string) File {
	t.Helper()
	f := File{Path: filepath.Join(t.TempDir(), "daemon.json")}
	if err := os.WriteFile(f.Path, []byte(text), 0o644); err != nil {
		t.Fatal(err)
	}
	return f
}

const full = `{
  "data-root": "/srv/nacre/",
  "debug": true,
  "labels": ["rack=3"],
  "insecure-registries": ["reg.lan:5000", "10.1.0.0/16", "http://old.lan"],
  "registry-mirrors": ["https://mirror.example/", "http://127.0.0.1:5001"],
  "proxies": {"http-proxy": "http://proxy:3128"},
  "log-opts": {"max-size": "10m"},
  "dns": ["1.1.1.1", "2606:4700::1111"],
  "bip": "172.30.0.1/16",
  "default-address-pools": [{"base": "10.10.0.0/16", "size": 24}],
  "default-ulimits": {"nofile": {"Name": "nofile", "Hard": 64000, "Soft": 1024}},
  "default-shm-size": "128M",
  "default-runtime": "crun",
  "runtimes": {"crun": {"path": "/usr/bin/crun", "runtimeArgs": ["--debug"]}}
}`

func TestDockersWordsAreRead(t *testing.T) {
	c, err := write(t, full).Load()
	if err != nil {
		t.Fatal(err)
	}
	if c.DataRoot != "/srv/nacre" || !c.Debug || !slices.Equal(c.Labels, []string{"rack=3"}) ||
		!slices.Equal(c.RegistryMirrors, []string{"https://mirror.example", "http://127.0.0.1:5001"}) ||
		c.Proxies.HTTP != "http://proxy:3128" || c.LogOpts["max-size"] != "10m" || c.DNS[1] != netip.MustParseAddr("2606:4700::1111") ||
		c.BIP.String() != "172.30.0.1/16" || c.DefaultAddressPools[0].Size != 24 || c.DefaultUlimits["nofile"].Hard != 64000 || c.DefaultShmSize != 128<<20 ||
		c.DefaultRuntime != "crun" || c.Runtimes["crun"].Path != "/usr/bin/crun" || !slices.Equal(c.Runtimes["crun"].Args, []string{"--debug"}) {
		t.Errorf("read %+v", c)
	}
}

func TestAFileThatSaysNothing(t *testing.T) {
	missing := File{Path: filepath.Join(t.TempDir(), "none.json")}
	for name, f := range map[string]File{"missing": missing, "empty": write(t, " \n"), "no keys": write(t, "{}")} {
		if c, warnings, err := f.Check(); err != nil || len(warnings) > 0 || c.Debug || c.DNS != nil {
			t.Errorf("%s: %+v, %q, %v", name, c, warnings, err)
		}
	}
}

func TestErrorsNameLineAndReason(t *testing.T) {
	for text, want := range map[string][]string{
		"{\n  \"debug\": true,\n  \"hosts\" [\"unix:///x\"]\n}": {"line 3"},
		"{\n  \"debug\": true\n":                                {"line 3", "ends in the middle"},
		"{\n\"labels\": [\"a=b\",\n\"c=d\",]\n}":                {"line 3", "invalid character ']'"},
		"[]":                                                    {"line 1", "want a JSON object"},
		"{} {}":                                                 {"line 1", "after the closing brace"},
		"{\n\n \"insecure-registries\": \"reg.lan\"}":                             {"line 3", "insecure-registries: want a list of strings, not a string"},
		"{\"insecure-registries\": [\"reg.lan/path\"]}":                           {"insecure-registries: \"reg.lan/path\": want host, host:port or a subnet"},
		"{\"registry-mirrors\": [\"mirror.example\"]}":                            {"registry-mirrors: \"mirror.example\": want http://"},
		"{\"registry-mirrors\": [\"https://a.example\", \"https://u:p@b\"]}":      {"credentials do not belong"},
		"{\"dns\": [\"1.1.1.300\"]}":                                              {"dns: \"1.1.1.300\": no IP address"},
		"{\"bip\": \"172.30.0.1\"}":                                               {"bip: \"172.30.0.1\": want an address with the length"},
		"{\"default-address-pools\": [{\"base\": \"10.0.0.0/16\", \"size\": 8}]}": {"size 8 of base 10.0.0.0/16"},
		"{\"runtimes\": {\"x\": {\"runtimeType\": \"io.containerd.kata.v2\"}}}":   {"runtimes: ", "no containerd"},
		"{\"default-ulimits\": {\"nofile\": {\"Hard\": 1, \"Soft\": 2}}}":         {"default-ulimits: "},
		"{\"default-shm-size\": \"lots\"}":                                        {"want a size"},
		"{\"debug\": \"yes\"}":                                                    {"debug: want true or false, not a string"},
		"{\"data-root\": \"here\"}":                                               {"want an absolute path"},
		"{\"labels\": [\"rack\"]}":                                                {"want NAME=VALUE"},
		"{\"max-download-attempts\": 0}":                                          {"must be at least 1"},
	} {
		f := write(t, text)
		_, err := f.Load()
		if !errdefs.IsInvalidArgument(err) {
			t.Errorf("%s: %v, want an invalid argument", text, err)
			continue
		}
		for _, part := range append(want, f.Path) {
			if !strings.Contains(err.Error(), part) {
				t.Errorf("%s: error %q does not say %q", text, err, part)
			}
		}
	}
}

func TestKeysWithoutEffectAreNamed(t *testing.T) {
	c, warnings, err := write(t, "{\n\"debug\": true,\n\"storage-driver\": \"overlay2\",\n\"insecure_registry\": [\"x\"],\n\"colour\": 1, \"debug\": false}").Check()
	if err != nil || c.Debug {
		t.Fatalf("%+v, %v: want the last debug to count", c, err)
	}
	for i, want := range []string{`:3: "storage-driver" has no effect here`, `:4: "insecure_registry" is an unknown key; did you mean "insecure-registries"?`, `:5: "colour" is an unknown key`, `:5: "debug" stands there more than once`} {
		if len(warnings) <= i || !strings.Contains(warnings[i], want) {
			t.Errorf("warnings %q, want number %d to say %q", warnings, i, want)
		}
	}
}

// What is documented as pending or without effect must not be the same thing twice.
func TestTablesAgree(t *testing.T) {
	for key := range without {
		if keys[key] != nil {
			t.Errorf("%s is said to have no effect and is read", key)
		}
	}
	for _, key := range pending {
		if keys[key] == nil {
			t.Errorf("%s is pending and cannot be read", key)
		}
	}
}

func TestInsecureRegistries(t *testing.T) {
	c, err := write(t, full).Load()
	if err != nil {
		t.Fatal(err)
	}
	lookup := func(host string) ([]net.IP, error) {
		if host == "inside.lan" {
			return []net.IP{net.ParseIP("10.1.2.3")}, nil
		}
		return nil, &net.DNSError{Err: "no such host", Name: host}
	}
	for host, want := range map[string]bool{
		"localhost:5000": true, "127.0.0.9": true, "[::1]:5000": true, "reg.lan:5000": true, "REG.lan:5000": true, "old.lan:80": true, "old.lan": true,
		"10.1.9.9:443": true, "inside.lan:5000": true, "[::ffff:10.1.0.1]:5000": true,
		"reg.lan": false, "reg.lan:5001": false, "10.2.0.1": false, "other.lan": false, "docker.io": false,
	} {
		if got := c.InsecureRegistries.Allows(host, lookup); got != want {
			t.Errorf("%s: insecure %v, want %v", host, got, want)
		}
	}
}

func TestImportTakesOverWhatMeansSomething(t *testing.T) {
	f := write(t, `{"debug": false, "dns": ["1.1.1.1"]}`)
	report, err := f.Import("daemon.json", []byte(`{"data-root": "/var/lib/docker", "insecure-registries": ["a:1"], "debug": true, "userns-remap": "default", "nope": {}}`))
	if err != nil {
		t.Fatal(err)
	}
	if !slices.Equal(report.Took, []string{"insecure-registries", "debug"}) || len(report.Ignored) != 3 {
		t.Errorf("report %+v", report)
	}
	c, err := f.Load()
	if err != nil || !c.Debug || len(c.DNS) != 1 || c.DataRoot != "" || !c.InsecureRegistries.Allows("a:1", nil) {
		t.Errorf("after the import %+v, %v", c, err)
	}
	if _, err := f.Import("theirs.json", []byte("{\n\"debug\": 3}")); err == nil || !strings.Contains(err.Error(), "theirs.json, line 2: debug") {
		t.Errorf("a bad import: %v", err)
	}
}

func TestChangesOfOneKey(t *testing.T) {
	f := File{Path: filepath.Join(t.TempDir(), "new", "daemon.json")}
	for _, step := range []backend.ConfigChange{
		{Key: "debug", Words: []string{"true"}},
		{Key: "bip", Words: []string{"172.30.0.1/16"}},
		{Key: "insecure-registries", Words: []string{"a:1"}},
		{Key: "insecure-registries", Words: []string{"b:1", "a:1"}, Add: true},
		{Key: "log-opts", Words: []string{`{"max-size": "1m"}`}},
		{Key: "dns", Words: []string{"1.1.1.1", "8.8.8.8"}},
		{Key: "dns", Words: []string{"1.1.1.1"}, Remove: true},
		{Key: "bip", Remove: true},
	} {
		if err := f.Set(step); err != nil {
			t.Fatalf("%+v: %v", step, err)
		}
	}
	report, err := f.Show()
	const want = "{\n  \"debug\": true,\n  \"insecure-registries\": [\n    \"a:1\",\n    \"b:1\"\n  ],\n  \"log-opts\": {\n    \"max-size\": \"1m\"\n  },\n  \"dns\": [\n    \"8.8.8.8\"\n  ]\n}\n"
	if err != nil || string(report.Settings) != want {
		t.Errorf("settings %s, %v; want %s", report.Settings, err, want)
	}
	before, _ := os.ReadFile(f.Path)
	for _, step := range []backend.ConfigChange{
		{Key: "debug", Words: []string{"perhaps"}}, {Key: "nope", Words: []string{"1"}}, {Key: "storage-driver", Words: []string{"zfs"}},
		{Key: "dns", Words: []string{"nowhere"}, Add: true}, {Key: "dns", Words: []string{"9.9.9.9"}, Remove: true}, {Key: "bip", Remove: true},
		{Key: "debug", Words: []string{"x"}, Add: true},
	} {
		if err := f.Set(step); !errdefs.IsInvalidArgument(err) && !errdefs.IsNotFound(err) {
			t.Errorf("%+v: %v, want a refusal", step, err)
		}
	}
	if after, _ := os.ReadFile(f.Path); string(after) != string(before) {
		t.Errorf("refused changes left %s", after)
	}
	if left, _ := os.ReadDir(filepath.Dir(f.Path)); len(left) != 1 {
		t.Errorf("files beside the configuration: %v", left)
	}
}

func TestWhichFileCounts(t *testing.T) {
	env := map[string]string{}
	for _, step := range []struct{ given, dataRoot, env, want string }{
		{"", "", "", DefaultPath}, {"", "/d", "", "/d/daemon.json"}, {"", "/d", "/e.json", "/e.json"}, {"/g.json", "/d", "/e.json", "/g.json"},
	} {
		env[EnvPath] = step.env
		f, err := Locate(step.given, step.dataRoot, func(name string) string { return env[name] })
		if err != nil || f.Path != step.want {
			t.Errorf("%+v: %s, %v", step, f.Path, err)
		}
	}
}
