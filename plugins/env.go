package plugins

import (
	"context"
	"strings"
)

type envKey struct{}

// Getenv gives a variable of the invocation that runs with this context; "" for
// none. Commands of libraries that know only their context ask here, not the
// process: the shell's variables are its own.
func Getenv(ctx context.Context, name string) string {
	env, _ := ctx.Value(envKey{}).([]string)
	return LookupEnv(env, name)
}

// Getenv gives a variable of the invocation, "" for none.
func (inv *Invocation) Getenv(name string) string { return LookupEnv(inv.Env, name) }

// LookupEnv returns the last value of a name in an environment, "" without one.
func LookupEnv(env []string, name string) string {
	for i := len(env) - 1; i >= 0; i-- {
		if value, found := strings.CutPrefix(env[i], name+"="); found {
			return value
		}
	}
	return ""
}
