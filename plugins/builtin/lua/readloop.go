package lua

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"strings"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/scripting"
)

// readLoop reads and runs Lua line by line. A line that is an expression is
// printed; one that is not whole yet is continued. The end of the input
// (Ctrl-D) or os.exit ends it; an error does not.
func readLoop(ctx context.Context, inv *plugins.Invocation) error {
	in := bufio.NewReader(scripting.Interruptible(ctx, inv.In))
	s := scripting.New(ctx, inv)
	status, err := loop(s, inv, in)
	return outcome(ctx, status, errors.Join(err, s.Close()))
}

func loop(s *scripting.State, inv *plugins.Invocation, in *bufio.Reader) (int, error) {
	text := ""
	for {
		prompt := "lua> "
		if text != "" {
			prompt = "...> "
		}
		if _, err := fmt.Fprint(inv.Err, prompt); err != nil {
			return 1, err
		}
		line, err := in.ReadString('\n')
		if err != nil && (line == "" || !errors.Is(err, io.EOF)) {
			fmt.Fprintln(inv.Err)
			if errors.Is(err, io.EOF) {
				return 0, nil
			}
			return 1, err
		}
		text += line
		ended, incomplete, err := s.Line(text)
		if incomplete {
			continue
		}
		text = ""
		if ended {
			return s.ExitStatus(err)
		}
		if err != nil {
			fmt.Fprintln(inv.Err, strings.TrimSpace(err.Error()))
		}
	}
}
