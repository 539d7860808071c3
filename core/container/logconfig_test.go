package container

import (
	"maps"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/container"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

func TestLogDriver(t *testing.T) {
	for name, c := range map[string]struct {
		config container.LogConfig
		want   shimapi.Log
	}{
		"bounded":         {container.LogConfig{Type: "json-file"}, shimapi.Log{MaxSize: 10 << 20, MaxFiles: 3}},
		"sized":           {container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10k"}}, shimapi.Log{MaxSize: 10_000, MaxFiles: 1}},
		"sized, counted":  {container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "10k", "max-file": "4", "compress": "true"}}, shimapi.Log{MaxSize: 10_000, MaxFiles: 4, Compress: true}},
		"unbounded":       {container.LogConfig{Type: "json-file", Config: map[string]string{"max-size": "-1"}}, shimapi.Log{MaxFiles: 1}},
		"local":           {container.LogConfig{Type: "local"}, shimapi.Log{MaxSize: 20 << 20, MaxFiles: 5, Compress: true}},
		"nothing is kept": {container.LogConfig{Type: "none"}, shimapi.Log{MaxSize: 10 << 20, MaxFiles: 3}},
		"not waited for":  {container.LogConfig{Type: "json-file", Config: map[string]string{"mode": "non-blocking"}}, shimapi.Log{MaxSize: 10 << 20, MaxFiles: 3, MaxBuffer: 1 << 20}},
		"with a buffer":   {container.LogConfig{Type: "local", Config: map[string]string{"mode": "non-blocking", "max-buffer-size": "4m"}}, shimapi.Log{MaxSize: 20 << 20, MaxFiles: 5, Compress: true, MaxBuffer: 4 << 20}},
	} {
		c.want.Driver, c.want.Path = c.config.Type, "/l"
		got, err := logDriver(c.config, "/l")
		if err != nil || got.MaxSize != c.want.MaxSize || got.MaxFiles != c.want.MaxFiles || got.Compress != c.want.Compress ||
			got.MaxBuffer != c.want.MaxBuffer || got.Driver != c.want.Driver || got.Path != c.want.Path {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
	for want, c := range map[string]container.LogConfig{
		"unknown log opt 'x' for json-file log driver":      {Type: "json-file", Config: map[string]string{"x": "y"}},
		"unknown log opt 'tag' for log driver local":        {Type: "local", Config: map[string]string{"tag": "y"}},
		"max-file can only be used with max-size":           {Type: "json-file", Config: map[string]string{"max-file": "3", "max-size": "-1"}},
		`plugin "syslog" not found`:                         {Type: "syslog"},
		"compress cannot be true":                           {Type: "json-file", Config: map[string]string{"compress": "true", "max-size": "1k"}},
		"only supported with 'mode=non-blocking'":           {Type: "json-file", Config: map[string]string{"max-buffer-size": "1m"}},
		"logger: logging mode not supported: sometimes":     {Type: "json-file", Config: map[string]string{"mode": "sometimes"}},
		"failed to initialize logging driver: invalid size": {Type: "json-file", Config: map[string]string{"max-size": "much"}},
		"logging driver: max-file cannot be less than 1":    {Type: "json-file", Config: map[string]string{"max-file": "0"}},
		"logging driver: error parsing regexp":              {Type: "json-file", Config: map[string]string{"env-regex": "("}},
		"template: log-tag:1: unclosed action":              {Type: "json-file", Config: map[string]string{"tag": "{{"}},
	} {
		if _, err := logDriver(c, ""); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q, got %v", want, err)
		}
	}
}

func TestLogAttributes(t *testing.T) {
	r := &record{ID: strings.Repeat("ab", 32), Name: "web", Image: "busybox", ImageID: "sha256:" + strings.Repeat("cd", 32), Config: &container.Config{
		Cmd: []string{"sleep", "1"}, Labels: map[string]string{"tier": "front", "com.x": "1", "other": "2"}, Env: []string{"A=1", "B=2", "BB=3", "C"},
	}}
	got := logAttributes(map[string]string{"labels": "tier,absent", "labels-regex": "^com", "env": "A", "env-regex": "^B."}, r.Config)
	if want := map[string]string{"tier": "front", "com.x": "1", "A": "1", "BB": "3"}; !maps.Equal(got, want) {
		t.Errorf("got %v", got)
	}
	for text, want := range map[string]string{
		"": "abababababab", "plain": "plain", "{{.Name}}/{{.ID}}/{{.ImageName}}": "web/abababababab/busybox",
		"{{.ImageID}} {{upper .Command}} {{.DaemonName}}": "cdcdcdcdcdcd SLEEP 1 nacre",
	} {
		if got, err := logTag(text, r); err != nil || got != want {
			t.Errorf("%s: %q, %v", text, got, err)
		}
	}
	if _, err := logTag("{{.Password}}", r); err == nil {
		t.Error("a field that there is not")
	}
	fields := journalFields(map[string]string{"com.x": "1", "_PID": "7"}, "t", r)
	if fields["COM_X"] != "1" || fields["PID"] != "7" || fields["CONTAINER_NAME"] != "web" || fields["_PID"] != "" {
		t.Errorf("journal: %v", fields)
	}
}
