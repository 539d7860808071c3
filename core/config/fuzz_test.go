package config

import (
	"encoding/json"
	"testing"
)

// Whatever a configuration file holds, it is read or refused; what was
// accepted can be written again and means the same.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		"", "{}", "null", "[]", "\xef\xbb\xbf{}", `{"data-root": "/x", "data-root": "/y"}`,
		`{"insecure-registries": ["a:1", "10.0.0.0/8", "::1"], "registry-mirrors": ["https://m.example/"]}`,
		`{"default-address-pools": [{"base": "10.10.0.0/16", "size": 24}], "bip": "172.20.0.1/16"}`,
		`{"default-ulimits": {"nofile": {"Name": "nofile", "Hard": 64, "Soft": 32}}, "log-opts": {"max-size": "1k"}}`,
		`{"proxies": {"http-proxy": "http://u:p@h:1", "no-proxy": "*"}, "runtimes": {"r": {"path": "/r", "runtimeArgs": ["a"]}}}`,
		`{"max-concurrent-downloads": -1, "default-shm-size": "64M", "no-such-key": {"a": [1, {"b": null}]}}`, `{"a": 1} {"b": 2}`, "{\n\"dns\": [\n1]}",
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		_, warnings, err := parse("daemon.json", text)
		if err != nil {
			return
		}
		entries, err := split("daemon.json", text)
		if err != nil {
			t.Fatalf("parsed, but not split: %v", err)
		}
		again, err := format(entries)
		if err != nil || !json.Valid(again) {
			t.Fatalf("written again: %q, %v", again, err)
		}
		_, repeated, err := parse("daemon.json", again)
		if err != nil || len(repeated) != len(warnings) {
			t.Fatalf("%q became %q: %v, warnings %q and %q", text, again, err, warnings, repeated)
		}
	})
}
