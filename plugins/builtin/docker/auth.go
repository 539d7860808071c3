package docker

import (
	"maps"
	"path/filepath"
	"slices"

	"github.com/docker/cli/cli/config"
	"github.com/moby/moby/api/pkg/authconfig"
	"github.com/moby/moby/api/types/registry"
)

// hubKey is where `login` keeps the credentials of Docker Hub.
const hubKey = "https://index.docker.io/v1/"

// Servers lists the registries that `login` has kept credentials for, with these
// options and this environment.
func Servers(options, env []string) []string {
	g := newGlobals()
	if g.flags.Parse(options) != nil {
		return nil
	}
	file, err := config.Load(filepath.Dir(configFile(g, env)))
	if err != nil {
		return nil
	}
	names := map[string]bool{}
	for name := range file.AuthConfigs {
		names[name] = true
	}
	for name := range file.CredentialHelpers {
		names[name] = true
	}
	delete(names, hubKey) // it is meant where none is named
	return slices.Sorted(maps.Keys(names))
}

// RegistryAuth is the value of docker's X-Registry-Auth header for a registry:
// the credentials that `login` has kept, with these options and this
// environment. It is "" where there are none.
func RegistryAuth(options, env []string, host string) string {
	g := newGlobals()
	if g.flags.Parse(options) != nil {
		return ""
	}
	file, err := config.Load(filepath.Dir(configFile(g, env)))
	if err != nil {
		return ""
	}
	if host == "docker.io" {
		host = hubKey
	}
	auth, err := file.GetAuthConfig(host)
	if err != nil || auth.Username == "" && auth.IdentityToken == "" && auth.RegistryToken == "" {
		return ""
	}
	encoded, err := authconfig.Encode(registry.AuthConfig{
		Username: auth.Username, Password: auth.Password, Auth: auth.Auth, ServerAddress: auth.ServerAddress,
		IdentityToken: auth.IdentityToken, RegistryToken: auth.RegistryToken,
	})
	if err != nil {
		return ""
	}
	return encoded
}
