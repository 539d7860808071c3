package prompt_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"strings"
	"testing"
	"time"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/repl/highlight"
	"github.com/nacre-sh/nacre/repl/history"
	"github.com/nacre-sh/nacre/repl/prompt"
	"golang.org/x/sys/unix"
	"mvdan.cc/sh/v3/syntax"
)

// The tests run this program under a pseudo-terminal: a small shell that
// prints what it reads. It is the test binary itself, started again.
const childVar = "NACRE_PROMPT_TEST_CHILD"

func TestMain(m *testing.M) {
	if os.Getenv("TEST_ORDER") != "" {
		os.Exit(orderChild())
	}
	if os.Getenv(childVar) != "" {
		os.Exit(child())
	}
	os.Exit(m.Run())
}

func child() int {
	// As shells do: keys typed ahead may be signals while a command runs.
	signal.Ignore(unix.SIGINT, unix.SIGTSTP)
	if os.Getenv("TEST_RANDOM") != "" {
		signal.Ignore(unix.SIGQUIT)
	}
	if os.Getenv("TEST_NOHUP") != "" {
		signal.Ignore(unix.SIGHUP)
	}
	h, err := history.Open(os.Getenv("TEST_HISTORY"), history.Options{})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	for _, line := range strings.Split(os.Getenv("TEST_LINES"), "|") {
		if _, err := h.Began(line, "/"); err != nil {
			fmt.Println(err)
			return 1
		}
	}
	e, err := prompt.New(prompt.Options{
		In: os.Stdin, Out: os.Stdout, Getenv: os.Getenv,
		Prompt:     func() string { return "\x1b[1;35mnacre\x1b[0m ❯ " },
		Complete:   complete,
		Highlight:  colour,
		Incomplete: incomplete,
		History:    h,
		Search:     func(query string, f prompt.Filter) []prompt.Found { return find(h, query, f) },
		Expand:     func(text string) string { return strings.ReplaceAll(text, "!!", last) },
		Abbreviation: func(before string) (string, int) {
			if before == "pa" {
				return "ps -a", 2
			}
			return "", 0
		},
		Edit: edit,
		Preview: func(ctx context.Context, text string) string {
			if what, ok := strings.CutPrefix(text, "rm "); ok {
				return "removes " + what
			}
			return ""
		},
	})
	if err != nil {
		fmt.Println(err)
		return 1
	}
	defer e.Close()
	for {
		line, err := e.ReadLine(context.Background())
		switch {
		case errors.Is(err, prompt.ErrInterrupted):
			continue
		case err == io.EOF:
			fmt.Println("bye")
			return 0
		case errors.Is(err, unix.EIO): // the terminal has gone, and the signal of that may be ignored
			return 1
		case err != nil:
			fmt.Println("error:", err)
			continue
		}
		if _, err := h.Began(line, "/"); err != nil {
			fmt.Println(err)
		}
		last = line
		if line == "exit" {
			return 0
		}
		run(line)
	}
}

// last is the line before, for !!.
var last string

// find marks lines that end in ! as failed.
func find(h *history.Store, query string, f prompt.Filter) (found []prompt.Found) {
	for _, e := range h.Find(query, history.Query{}) {
		failed := strings.HasSuffix(e.Text, "!")
		if !f.Failed || failed {
			found = append(found, prompt.Found{Text: e.Text})
		}
	}
	return found
}

// edit is another editor: it takes a line of the terminal, in the terminal's own mode.
func edit(text string) (string, error) {
	if os.Getenv("TEST_RANDOM") != "" { // one that reads would take the random keys for lines
		return text + " edited", nil
	}
	fmt.Printf("editing %q\n", text)
	buf := make([]byte, 100)
	n, err := os.Stdin.Read(buf)
	if string(buf[:n]) == "fail\n" {
		return "", errors.New("the editor failed")
	}
	return text + " " + string(buf[:n]) + "\n\n", err
}

func run(line string) {
	switch line {
	case "printf":
		fmt.Print("no newline")
	case "read": // a command that takes a line of its own
		time.Sleep(50 * time.Millisecond)
		buf := make([]byte, 100)
		n, err := os.Stdin.Read(buf)
		fmt.Printf("read %q %v\n", buf[:n], err)
	case "sleep":
		time.Sleep(300 * time.Millisecond)
	case "wait":
		awaitGo(context.Background())
	case "many":
		for i := range 12 {
			fmt.Println("output", i)
		}
	default:
		fmt.Printf("[%s]\n", strings.ReplaceAll(line, "\n", "⏎"))
	}
}

// awaitGo waits until the test lets the child go on by making a file (session.letGo);
// where the test has named none, for a while.
func awaitGo(ctx context.Context) {
	file := os.Getenv("TEST_GO")
	for waited := 0; ctx.Err() == nil; waited++ {
		if _, err := os.Stat(file); err == nil || file == "" && waited > 30 {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
}

func colour(text string) []highlight.Span {
	if strings.Contains(text, "panic now") {
		panic("highlighting failed")
	}
	return highlight.Line(text, func(words []string) bool { return words[0] == "pull" || words[0] == "images" }, nil)
}

func incomplete(text string) bool {
	if strings.HasSuffix(text, "\\") {
		return true
	}
	_, err := syntax.NewParser().Parse(strings.NewReader(text), "")
	return syntax.IsIncomplete(err)
}

var words = []plugins.Candidate{
	{Text: "images", Description: "List images"}, {Text: "import", Description: "Import a tarball"},
	{Text: "inspect", Description: "Return low-level information on Docker objects, which is a long description that is cut"},
	{Text: "ps", Description: "List containers"}, {Text: "pull", Description: "Download an image"}, {Text: "push", Description: "Upload an image"},
}

func complete(ctx context.Context, line string, cursor int) (int, []plugins.Candidate, plugins.Directive) {
	start := strings.LastIndexByte(line[:cursor], ' ') + 1
	word := line[start:cursor]
	var items []plugins.Candidate
	switch {
	case strings.HasPrefix(line, "slow"):
		awaitGo(ctx)
		if ctx.Err() != nil {
			return start, nil, plugins.Directive{}
		}
		return start, []plugins.Candidate{{Text: "late"}}, plugins.Directive{}
	case strings.HasPrefix(line, "crash"):
		panic("completion failed")
	case strings.HasPrefix(line, "many"):
		for i := range 40 {
			if text := fmt.Sprintf("item-%02d", i); strings.Contains(text, word) {
				items = append(items, plugins.Candidate{Text: text, Description: "number"})
			}
		}
		return start, items, plugins.Directive{}
	}
	for _, w := range words {
		if strings.HasPrefix(w.Text, word) {
			items = append(items, w)
		}
	}
	return start, items, plugins.Directive{NoSpace: strings.HasPrefix(line, "nospace")}
}
