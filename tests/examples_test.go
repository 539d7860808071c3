package tests

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"
)

// TestExamples runs the examples of docs/*.md: blocks marked ```console, in
// which `nacre ❯ ` stands before what is typed and the output follows. Blocks of
// one file are one session on an engine of its own, in which an image `busybox`
// is. A … stands for any text within a line, one in a line of its own for any lines.
func TestExamples(t *testing.T) {
	if os.Geteuid() != 0 {
		t.Fatal("containers need root: run the tests as root")
	}
	files, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	s := newSuite(t)
	found := 0
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if list := examplesIn(string(text)); len(list) > 0 {
			found += len(list)
			t.Run(filepath.Base(file), func(t *testing.T) { s.runExamples(t, list) })
		}
	}
	if found == 0 {
		t.Error("no example was found")
	}
}

// example is what is typed, perhaps in several rows, and what that prints.
type example struct{ typed, want string }

const typedMark, rowMark = "nacre ❯ ", "  … "

func examplesIn(text string) (list []example) {
	for _, rest := range strings.Split(text, "```console\n")[1:] {
		block, _, _ := strings.Cut(rest, "```")
		for line := range strings.Lines(block) {
			typed, begins := strings.CutPrefix(line, typedMark)
			row, goesOn := strings.CutPrefix(line, rowMark)
			switch last := len(list) - 1; {
			case begins:
				list = append(list, example{typed: typed})
			case last < 0:
				list = append(list, example{want: line}) // a block that begins with output fails
			case goesOn && list[last].want == "":
				list[last].typed += row
			default:
				list[last].want += line
			}
		}
	}
	return list
}

// runExamples types all of a file's examples into one shell, with a mark
// between the outputs.
func (s *suite) runExamples(t *testing.T, list []example) {
	root, err := os.MkdirTemp("", "nacre-e")
	if err != nil {
		t.Fatal(err)
	}
	home := t.TempDir()
	environ := []string{
		"HOME=" + home, "PATH=" + s.bin + ":/usr/sbin:/usr/bin:/sbin:/bin", "TERM=dumb", "LANG=C.UTF-8",
		"NACRE_DATA_ROOT=" + filepath.Join(root, "d"), "NACRE_EXEC_ROOT=" + filepath.Join(root, "r"),
	}
	t.Cleanup(func() {
		if err := s.leave(root, environ); err != nil {
			t.Error(err)
		}
	})
	const mark = "---- next example ----"
	var script strings.Builder
	image := s.reg.Addr + "/library/busybox"
	fmt.Fprintf(&script, "pull -q %s && tag %s busybox && rmi %s\necho %s\n", image, image, image, mark)
	for _, e := range list {
		fmt.Fprintf(&script, "%s\necho %s\n", strings.TrimSuffix(e.typed, "\n"), mark)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
	defer cancel()
	cmd := exec.CommandContext(ctx, filepath.Join(s.bin, "nacre"))
	cmd.Env, cmd.Dir, cmd.Stdin = environ, home, strings.NewReader(script.String())
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err = cmd.Run()
	printed := strings.Split(out.String(), mark+"\n")
	if len(printed) != len(list)+2 {
		t.Fatalf("%d examples printed %d answers (%v):\n%s", len(list), len(printed)-2, err, out.String())
	}
	for i, e := range list {
		if got := printed[i+1]; !exampleForm(e.want).MatchString(got) {
			t.Errorf("%s%sprinted\n%s\nthe document says\n%s", typedMark, e.typed, got, e.want)
		}
	}
}

// exampleForm makes a pattern of an example's output. How wide a table's columns are does not count.
func exampleForm(want string) *regexp.Regexp {
	quoted := regexp.MustCompile(`(?m)^…\n`).ReplaceAllString(regexp.QuoteMeta(want), `(?:[^\n]*\n)*`)
	quoted = strings.ReplaceAll(quoted, "…", `[^\n]*`)
	return regexp.MustCompile(`^` + regexp.MustCompile(`  +`).ReplaceAllString(quoted, `  +`) + `$`)
}
