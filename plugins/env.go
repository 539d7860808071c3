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
	value := ""
	for _, v := range env {
		if rest, found := strings.CutPrefix(v, name+"="); found {
			value = rest
		}
	}
	return value
}
