// Command tour shows nacre's main job where no terminal is at hand: it starts a
// private registry on loopback, puts a busybox image into it, and types a
// session into one shell, line by line, each printed with its output. It works
// in folders of its own and takes everything away at the end.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/nacre-sh/nacre/tests/program"
	"github.com/nacre-sh/nacre/tests/registry"
)

// session is what is typed. REG stands for the registry's address.
const session = `pull REG/library/busybox
images
docker images -q | sort | uniq -c
run --rm REG/library/busybox echo hi
run -d --name web REG/library/busybox sh -c 'echo serving; sleep 1000'
ps
logs web
docker exec web hostname -i
inspect --format '{{.State.Status}} {{.HostConfig.NetworkMode}}' web
stop -t 1 web
ps -a --format '{{.Names}} {{.Status}}'
rm web
for name in one two three; do run -d --name $name REG/library/busybox sleep 1000; done
docker ps -aq | xargs docker rm -f
rmi -f $(images -aq)
images`

func main() {
	nacre := flag.String("nacre", "bin/nacre", "the program to show")
	flag.Parse()
	if err := tour(context.Background(), *nacre, os.Stdout); err != nil {
		fmt.Fprintln(os.Stderr, "tour:", err)
		os.Exit(1)
	}
}

func tour(ctx context.Context, nacre string, out io.Writer) (err error) {
	dir, err := os.MkdirTemp("", "nacre-tour-")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(dir)) }()

	reg, err := registry.Start(filepath.Join(dir, "registry"))
	if err != nil {
		return err
	}
	defer reg.Close()
	img, err := registry.Busybox("amd64")
	if err != nil {
		return err
	}
	if _, err := registry.Push(ctx, reg.Addr, "library/busybox", "latest", img); err != nil {
		return err
	}
	env := program.Environ("NACRE_DATA_ROOT="+filepath.Join(dir, "data"), "NACRE_EXEC_ROOT="+filepath.Join(dir, "run"))
	defer func() { err = errors.Join(err, reset(ctx, nacre, env)) }()
	return typeAll(ctx, nacre, env, strings.ReplaceAll(session, "REG", reg.Addr), out)
}

// typeAll feeds the lines to one shell and prints each before its output. The
// end of a line's output is known by a mark that the shell itself prints.
func typeAll(ctx context.Context, nacre string, env []string, lines string, out io.Writer) error {
	const mark = "\x01end of line "
	shell := exec.CommandContext(ctx, nacre)
	shell.Env = env
	stdin, err := shell.StdinPipe()
	if err != nil {
		return err
	}
	read, write, err := os.Pipe()
	if err != nil {
		return err
	}
	defer read.Close()
	shell.Stdout, shell.Stderr = write, write
	if err := shell.Start(); err != nil {
		return err
	}
	write.Close()
	var failed []string
	answers := bufio.NewReader(read)
	for line := range strings.Lines(lines) {
		line = strings.TrimSuffix(line, "\n")
		fmt.Fprintf(out, "nacre ❯ %s\n", line)
		fmt.Fprintf(stdin, "%s\necho \"%s$?\"\n", line, mark)
		status, err := copyUntil(out, answers, mark)
		if err != nil {
			return fmt.Errorf("after %q: %w", line, err)
		}
		if status != "0" {
			failed = append(failed, fmt.Sprintf("%q ended with status %s", line, status))
		}
	}
	fmt.Fprintln(out, "nacre ❯ exit")
	fmt.Fprintln(stdin, "exit")
	stdin.Close()
	if err := shell.Wait(); err != nil {
		return err
	}
	if failed != nil {
		return errors.New(strings.Join(failed, "; "))
	}
	return nil
}

func copyUntil(out io.Writer, answers *bufio.Reader, mark string) (status string, err error) {
	for {
		line, err := answers.ReadString('\n')
		if text, rest, found := strings.Cut(line, mark); found {
			io.WriteString(out, text)
			return strings.TrimSpace(rest), nil
		}
		io.WriteString(out, line)
		if err != nil {
			return "", err
		}
	}
}

func reset(ctx context.Context, nacre string, env []string) error {
	cmd := exec.CommandContext(ctx, nacre, "system", "reset", "--force")
	cmd.Env, cmd.Stderr = env, os.Stderr
	if err := cmd.Run(); err != nil {
		return fmt.Errorf("take the tour's engine away: %w", err)
	}
	return nil
}
