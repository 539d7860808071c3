// Package discover finds the plugins that are not built in, Lua files and
// executables, in the folders of nacre and docker, and loads them after the
// built-in ones. Without such folders it costs a few look-ups in the file
// system; no file is read before one is there.
package discover

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"github.com/containerd/errdefs"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/lua"
	"github.com/nacre-sh/nacre/plugins/process"
)

// Options say where to look.
type Options struct {
	Env    []string
	Self   string    // path of nacre, for executables that call back
	Stderr io.Writer // for what a Lua plugin prints while it is loaded
}

// ConfigDir is nacre's configuration folder, "" when there is no home.
func ConfigDir(env []string) string { return home(env, "XDG_CONFIG_HOME", ".config") }

func cacheDir(env []string) string { return home(env, "XDG_CACHE_HOME", ".cache") }

// home is the folder nacre below an XDG folder; relative ones do not count, as
// the XDG specification says.
func home(env []string, variable, otherwise string) string {
	if dir := lookup(env, variable); filepath.IsAbs(dir) {
		return filepath.Join(dir, "nacre")
	}
	if dir := lookup(env, "HOME"); filepath.IsAbs(dir) {
		return filepath.Join(dir, otherwise, "nacre")
	}
	return ""
}

func lookup(env []string, name string) string {
	value := ""
	for _, e := range env {
		if n, v, _ := strings.Cut(e, "="); n == name {
			value = v
		}
	}
	return value
}

// Load finds and loads the plugins. Each error is one plugin that did not come
// in and whose user should know; `plugin ls` lists all of them. An executable
// whose name is taken is no such error: built-in commands win.
func Load(ctx context.Context, r *plugins.Registry, o Options) []error {
	warnings := loadLua(ctx, r, o)
	found, failed, news := process.Find(ctx, process.Options{
		Dirs: executableDirs(o.Env), Cache: cacheFile(o.Env), Env: o.Env, Self: o.Self,
	})
	for _, f := range failed {
		r.Reject(f)
	}
	for _, f := range news {
		warnings = append(warnings, fmt.Errorf("plugin %s (%s): %w", f.Name, f.Info.Source, f.Err))
	}
	for _, p := range found {
		if err := r.Load(ctx, p); err != nil {
			r.Reject(plugins.Failure{Name: p.Name(), Info: p.Info(), Err: err})
			if !errdefs.IsAlreadyExists(err) {
				warnings = append(warnings, err)
			}
		}
	}
	return warnings
}

func loadLua(ctx context.Context, r *plugins.Registry, o Options) (warnings []error) {
	config := ConfigDir(o.Env)
	if config == "" {
		return nil
	}
	found, err := lua.Find(filepath.Join(config, "plugins"), o.Env, o.Stderr)
	if err != nil {
		return []error{fmt.Errorf("look for plugins: %w", err)}
	}
	lua.Read(ctx, found)
	for _, p := range found {
		if err := r.Load(ctx, p); err != nil {
			r.Reject(plugins.Failure{Name: p.Name(), Info: p.Info(), Err: err})
			warnings = append(warnings, err)
		}
	}
	return warnings
}

func cacheFile(env []string) string {
	if dir := cacheDir(env); dir != "" {
		return filepath.Join(dir, "plugins.json")
	}
	return ""
}

// executableDirs lists the folders of executables: nacre's own, then docker's
// in docker's order.
func executableDirs(env []string) []string {
	var dirs []string
	if config := ConfigDir(env); config != "" {
		dirs = append(dirs, filepath.Join(config, "plugins", "bin"))
	}
	docker := lookup(env, "DOCKER_CONFIG")
	if h := lookup(env, "HOME"); docker == "" && h != "" {
		docker = filepath.Join(h, ".docker")
	}
	if docker != "" {
		dirs = append(dirs, extraDirs(filepath.Join(docker, "config.json"))...)
		dirs = append(dirs, filepath.Join(docker, "cli-plugins"))
	}
	return append(dirs, process.SystemDirs()...)
}

// extraDirs reads docker's setting for more folders. Whatever is wrong with
// the file, docker's commands report it when they read it.
func extraDirs(file string) []string {
	text, err := os.ReadFile(file)
	if err != nil {
		return nil
	}
	var config struct {
		CLIPluginsExtraDirs []string `json:"cliPluginsExtraDirs"`
	}
	var bad *json.SyntaxError
	if err := json.Unmarshal(text, &config); errors.As(err, &bad) {
		return nil
	}
	return config.CLIPluginsExtraDirs
}
