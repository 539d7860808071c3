package main

import (
	"fmt"
	"os"

	"github.com/nacre-sh/nacre/plugins/discover"
	"github.com/nacre-sh/nacre/repl/history"
)

const welcome = `nacre: docker's commands, without docker. Try: pull busybox, run -it busybox sh, images, ps -a
Tab completes, Ctrl-R searches what was typed, F1 explains the command under the cursor, help lists all of them.
doctor says whether this machine is ready; ~/.config/nacre/init.lua holds your settings; exit or Ctrl-D leaves.
`

// greet shows three lines to somebody who is here for the first time: without a
// history and without a configuration folder.
func (p *program) greet() {
	env := expandEnv(p.environment)
	for _, path := range []string{history.Path(env), discover.ConfigDir(p.environment)} {
		if path == "" {
			return
		}
		if _, err := os.Lstat(path); !os.IsNotExist(err) {
			return
		}
	}
	fmt.Fprint(p.out, welcome)
}
