package system

import (
	"context"
	"path/filepath"
	"strings"
	"testing"

	"github.com/nacre-sh/nacre/core/store"
)

func open(t *testing.T, cfg Config) *System {
	t.Helper()
	dir := t.TempDir()
	st, err := store.Open(t.Context(), store.Paths{Data: filepath.Join(dir, "data"), Exec: filepath.Join(dir, "run")})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { st.Close() })
	cfg.Store = st
	return New(cfg)
}

func TestInfoTellsOfMirrorsAndCounts(t *testing.T) {
	s := open(t, Config{
		Version: "1.2.3",
		Count: func(context.Context) (Counts, error) {
			return Counts{Running: 1, Paused: 2, Stopped: 3, Images: 4}, nil
		},
		Mirrors: func(context.Context) (map[string][]string, error) {
			return map[string][]string{"docker.io": {"https://m1/"}, "127.0.0.1:5000": {"http://m2/"}}, nil
		},
		Getenv: func(name string) string {
			return map[string]string{"https_proxy": "http://u:secret@proxy:3128", "NO_PROXY": "localhost"}[name]
		},
	})
	info, err := s.Info(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if info.Containers != 6 || info.ContainersRunning != 1 || info.Images != 4 || info.ServerVersion != "1.2.3" {
		t.Errorf("counts: %+v", info)
	}
	config := info.RegistryConfig
	if strings.Join(config.Mirrors, " ") != "https://m1/" || config.IndexConfigs["127.0.0.1:5000"].Secure || len(config.InsecureRegistryCIDRs) == 0 {
		t.Errorf("registries: %+v", config)
	}
	if strings.Contains(info.HTTPSProxy, "secret") || !strings.Contains(info.HTTPSProxy, "proxy:3128") || info.NoProxy != "localhost" {
		t.Errorf("proxies: %q %q", info.HTTPSProxy, info.NoProxy)
	}
}
