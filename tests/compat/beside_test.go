package compat

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"
)

// TestBesideDocker runs the same lines of shell against Debian's dockerd and
// against nacre, and compares what each prints, and with which status it ends.
// The scripts lie in the folder beside: a line of each is run by sh -c in a
// folder of its own, with DOCKER_HOST set and $IMG naming busybox. `#` begins
// a comment, an empty line means nothing, a line that begins with a space goes
// on with the one before.
//
// Where the two may differ, a line before says so, with the reason:
//
//	~ REASON   nacre's answer is another, as the lines after the command say:
//	1> ...     what nacre writes to standard output
//	2> ...     what nacre writes to standard error
//	?> N       its status, 0 if left out
//	- REASON   the answer is not looked at
//
// Newer releases of docker are the reference: Debian's is 20.10, and where
// docker 28 and 29 have other words, nacre has theirs.
func TestBesideDocker(t *testing.T) {
	host := dockerd(t)
	scripts, err := filepath.Glob("beside/*.txt")
	if err != nil || len(scripts) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	for _, path := range scripts {
		t.Run(strings.TrimSuffix(filepath.Base(path), ".txt"), func(t *testing.T) {
			steps := readSteps(t, path)
			docker := make(chan []result, 1)
			go func() { docker <- runSteps(t, host, steps) }()
			nacre := runSteps(t, setup.host, steps)
			compareSteps(t, path, steps, <-docker, nacre)
		})
	}
}

// step is one line of a script.
type step struct {
	line    int
	command string
	differs string  // why nacre's answer is another
	ignored string  // why it is not looked at
	want    *result // nacre's answer, where it differs
}

func readSteps(t *testing.T, path string) (steps []step) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var next step
	for i, line := range strings.Split(string(text), "\n") {
		var last *step
		if len(steps) > 0 {
			last = &steps[len(steps)-1]
		}
		mark, rest, _ := strings.Cut(line, " ")
		switch {
		case mark == "#" || line == "":
		case line[0] == ' ':
			last.command += "\n" + line
		case mark == "~":
			next.differs = rest
		case mark == "-":
			next.ignored = rest
		case mark == "1>":
			last.want.out += rest + "\n"
		case mark == "2>":
			last.want.err += rest + "\n"
		case mark == "?>":
			if last.want.code, err = strconv.Atoi(rest); err != nil {
				t.Fatalf("%s:%d: %v", path, i+1, err)
			}
		default:
			next.line, next.command = i+1, line
			if next.differs != "" {
				next.want = &result{}
			}
			steps = append(steps, next)
			next = step{}
		}
	}
	return steps
}

// runSteps runs a script on one engine, and removes what it leaves: other tests
// expect to begin without images.
func runSteps(t *testing.T, host string, steps []step) (results []result) {
	dir, err := os.MkdirTemp("", "nacre-beside-")
	if err != nil {
		t.Error(err)
		return nil
	}
	defer os.RemoveAll(dir)
	env := append(os.Environ(), "DOCKER_HOST="+host, "DOCKER_CONFIG="+filepath.Join(dir, ".docker"), "IMG="+setup.image, "LC_ALL=C", "TZ=UTC")
	run := func(command string) result {
		ctx, cancel := context.WithTimeout(t.Context(), 3*time.Minute)
		defer cancel()
		var out, errs bytes.Buffer
		cmd := exec.CommandContext(ctx, "sh", "-c", command)
		cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr, cmd.WaitDelay = dir, env, &out, &errs, time.Second
		err := cmd.Run()
		var exit *exec.ExitError
		if err != nil && !errors.As(err, &exit) {
			fmt.Fprintln(&errs, err)
		}
		return result{out.String(), errs.String(), cmd.ProcessState.ExitCode()}
	}
	if r := run("docker pull -q $IMG && docker pull -q $IMG:more"); r.code != 0 {
		t.Errorf("pull on %s: %s", host, r.err)
		return nil
	}
	defer run("docker ps -aq | xargs -r docker rm -f -v; docker network ls -q -f type=custom | xargs -r docker network rm; docker volume ls -q | xargs -r docker volume rm; docker images -aq | sort -u | xargs -r docker rmi -f")
	for _, s := range steps {
		results = append(results, run(s.command))
	}
	return results
}

func compareSteps(t *testing.T, path string, steps []step, docker, nacre []result) {
	t.Helper()
	if len(docker) != len(steps) || len(nacre) != len(steps) {
		t.Fatal("a script did not run")
	}
	for i, s := range steps {
		theirs, ours := plain(docker[i]), plain(nacre[i])
		show := func(what string, want result) {
			t.Errorf("%s:%d: %s: %s\nwant %s\ngot  %s", path, s.line, what, s.command, want.text(), ours.text())
		}
		switch {
		case s.ignored != "":
		case s.want != nil && ours != plain(*s.want):
			show("nacre's own words", plain(*s.want))
		case s.want != nil && ours == theirs:
			t.Errorf("%s:%d: no difference any more: %s", path, s.line, s.command)
		case s.want == nil && ours != theirs:
			show("docker", theirs)
		}
	}
}

func (r result) text() string {
	var b strings.Builder
	fmt.Fprintf(&b, "status %d", r.code)
	for mark, text := range map[string]string{"1> ": r.out, "2> ": r.err} {
		for line := range strings.Lines(text) {
			b.WriteString("\n  " + mark + strings.TrimSuffix(line, "\n"))
		}
	}
	return b.String()
}

// volatile is what differs from run to run, and the word that stands for it.
var volatile = []struct {
	pattern *regexp.Regexp
	word    string
}{
	{regexp.MustCompile(`\b[0-9a-f]{64}\b`), "ID"},
	{regexp.MustCompile(`\b[0-9a-f]{12}\b`), "SHORTID"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?(Z|[+-]\d\d:\d\d)`), "TIME"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? [+-]\d{4} [A-Z]+`), "TIME"},
	{regexp.MustCompile(`(Less than a|About a|\d+) (second|minute)s?`), "N seconds"},
	{regexp.MustCompile(`/tmp/nacre-beside-\d+`), "DIR"},
	{regexp.MustCompile(`127\.0\.0\.1:\d+\b`), "127.0.0.1:PORT"},
	{regexp.MustCompile(`(?m)^(root +)\d+ +\d+ +\d+ +[0-9:A-Za-z]+ `), "$1 PID PPID C STIME "},
	{regexp.MustCompile(`(?m)^ *\d+ +\?`), "PID ?"},
	{regexp.MustCompile(` +`), " "}, // columns are as wide as what stands in them
}

func plain(r result) result {
	for _, v := range volatile {
		r.out, r.err = v.pattern.ReplaceAllString(r.out, v.word), v.pattern.ReplaceAllString(r.err, v.word)
	}
	r.err = strings.ToLower(r.err) // docker 23 and later begin their errors with small letters
	return r
}
