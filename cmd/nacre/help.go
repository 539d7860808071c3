package main

import (
	"bytes"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/repl"
)

// help is the text for F1: the help of the command that the words belong to,
// else the list of commands.
func (p *program) help(shell *repl.Shell, words []string) string {
	for len(words) > 0 && (words[0] == "docker" || words[0] == "nacre") {
		words = words[1:]
	}
	words = slices.DeleteFunc(slices.Clone(words), func(w string) bool { return w == "" || strings.HasPrefix(w, "-") })
	if len(words) > 0 {
		if _, known := p.registry.Lookup(words[0]); !known {
			words = nil
		}
	}
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	var out bytes.Buffer
	shell.Exec(ctx, &plugins.Invocation{
		Args: append([]string{"help"}, words...), In: strings.NewReader(""), Out: &out, Err: &out,
		Dir: shell.Dir(), Env: shell.Env(), Globals: slices.Clone(p.options.globals),
	})
	return out.String()
}
