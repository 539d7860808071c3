package docker

import (
	"encoding/json"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/docker/cli/cli/command"

	"github.com/nacre-sh/nacre/plugins"
)

// EngineNamer tells which engine commands without options of their own go to.
// It is asked at every key: docker's config file is read again only when it has
// changed. It is safe for concurrent use.
type EngineNamer struct {
	mu      sync.Mutex
	file    string
	mtime   time.Time
	size    int64
	context string
}

// Name returns "" for the embedded engine, else the host or the name of the
// context that these options before the command and this environment mean.
func (n *EngineNamer) Name(options, env []string) string {
	g := newGlobals()
	if g.flags.Parse(options) != nil {
		return ""
	}
	o := g.options
	if len(o.Hosts) == 0 && o.Context == "" {
		if host := plugins.LookupEnv(env, "DOCKER_HOST"); host != "" {
			return host
		}
		o.Context = plugins.LookupEnv(env, command.EnvOverrideContext)
	}
	switch {
	case len(o.Hosts) > 0:
		return o.Hosts[0]
	case o.Context == "":
		o.Context = n.current(configFile(g, env))
	}
	if o.Context == command.DefaultContextName {
		return ""
	}
	return o.Context
}

func configFile(g *globals, env []string) string {
	dir := plugins.LookupEnv(env, "DOCKER_CONFIG")
	if g.flags.Changed("config") {
		dir = g.options.ConfigDir
	}
	if dir == "" {
		dir = filepath.Join(plugins.LookupEnv(env, "HOME"), ".docker")
	}
	return filepath.Join(dir, "config.json")
}

// current is the context that a config file names; a file that cannot be read
// names none, docker's commands will say why.
func (n *EngineNamer) current(file string) string {
	n.mu.Lock()
	defer n.mu.Unlock()
	info, err := os.Stat(file)
	if err != nil {
		n.file = ""
		return ""
	}
	if n.file == file && n.mtime.Equal(info.ModTime()) && n.size == info.Size() {
		return n.context
	}
	n.file, n.mtime, n.size, n.context = file, info.ModTime(), info.Size(), ""
	if data, err := os.ReadFile(file); err == nil {
		var c struct {
			CurrentContext string `json:"currentContext"`
		}
		if json.Unmarshal(data, &c) == nil {
			n.context = c.CurrentContext
		}
	}
	return n.context
}
