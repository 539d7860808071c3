package container

import (
	"slices"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
	"github.com/opencontainers/runtime-spec/specs-go"
)

func TestHealthCheckCommand(t *testing.T) {
	process := &specs.Process{Args: []string{"web"}, Cwd: "/srv", Env: []string{"A=1"}, Terminal: true}
	for name, c := range map[string]struct {
		test, shell, want []string
	}{
		"command":      {test: []string{"CMD", "curl", "-f", "localhost"}, want: []string{"curl", "-f", "localhost"}},
		"shell":        {test: []string{"CMD-SHELL", "a || b"}, want: []string{"/bin/sh", "-c", "a || b"}},
		"image's own":  {test: []string{"CMD-SHELL", "a"}, shell: []string{"/bin/ash", "-xc"}, want: []string{"/bin/ash", "-xc", "a"}},
		"taken away":   {test: []string{"NONE"}},
		"inherited":    {test: []string{}},
		"says nothing": {test: []string{"CMD"}},
	} {
		got := healthCheck(&container.Config{Shell: c.shell, Healthcheck: &container.HealthConfig{Test: c.test}}, process)
		if c.want == nil {
			if got != nil {
				t.Errorf("%s: %+v", name, got)
			}
			continue
		}
		if got == nil || !slices.Equal(got.Process.Args, c.want) || got.Process.Terminal || got.Process.Cwd != "/srv" {
			t.Errorf("%s: %+v", name, got)
		}
	}
	if process.Args[0] != "web" || !process.Terminal {
		t.Errorf("the container's own process was changed: %+v", process)
	}
	if healthCheck(&container.Config{}, process) != nil {
		t.Error("a check that nobody asked for")
	}
}

func TestHealthCheckMeasures(t *testing.T) {
	for want, h := range map[string]*container.HealthConfig{
		"": {Test: []string{"CMD", "true"}, Interval: time.Second},
		"Timeout in Healthcheck cannot be less than 1ms":                    {Timeout: time.Microsecond},
		"Retries in Healthcheck cannot be negative":                         {Retries: -1},
		`unknown type "SHELL" of Healthcheck: it is NONE, CMD or CMD-SHELL`: {Test: []string{"SHELL", "true"}},
		"StartInterval in Healthcheck cannot be less than 1ms":              {StartInterval: -time.Second},
	} {
		got := ""
		if err := checkHealth(h); err != nil {
			got = err.Error()
		}
		if got != want {
			t.Errorf("%+v: %q, want %q", h, got, want)
		}
	}
}
