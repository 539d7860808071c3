//go:build cgo

package shim_test

import (
	"context"
	"errors"
	"strings"
	"testing"

	"github.com/containerd/errdefs"

	"github.com/nacre-sh/nacre/core/shim/shimapi"
)

func TestOutputAndExitCode(t *testing.T) {
	for name, test := range map[string]struct {
		args           []string
		code           int
		stdout, stderr string
	}{
		"echo":          {args: []string{"echo", "hi"}, stdout: "hi\n"},
		"both streams":  {args: []string{"sh", "-c", "echo out; echo err >&2"}, stdout: "out\n", stderr: "err\n"},
		"no newline":    {args: []string{"sh", "-c", "printf half"}, stdout: "half"},
		"false":         {args: []string{"false"}, code: 1},
		"own code":      {args: []string{"sh", "-c", "exit 42"}, code: 42},
		"loopback":      {args: []string{"sh", "-c", "ip -o addr show lo | grep -o 127.0.0.1/8"}, stdout: "127.0.0.1/8\n"},
		"reopen stdout": {args: []string{"sh", "-c", "echo again > /dev/stdout"}, stdout: "again\n"},
		"its own names": {args: []string{"hostname"}, stdout: "box\n"},
		"stdin is null": {args: []string{"cat"}},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, test.args...)
			b.launch()
			exit := b.wait()
			if exit.ExitCode != test.code {
				t.Errorf("exit code %d, want %d", exit.ExitCode, test.code)
			}
			if got := b.log("stdout"); got != test.stdout {
				t.Errorf("stdout %q, want %q", got, test.stdout)
			}
			if got := b.log("stderr"); got != test.stderr {
				t.Errorf("stderr %q, want %q", got, test.stderr)
			}
		})
	}
}

func TestCommandCannotRun(t *testing.T) {
	for name, test := range map[string]struct {
		command string
		code    int
		text    string
	}{
		"not in the path": {"nosuch", 127, `exec: "nosuch": executable file not found in $PATH`},
		"no such file":    {"/bin/nosuch", 127, `exec: "/bin/nosuch": stat /bin/nosuch: no such file or directory`},
		"not executable":  {"/etc/notexec", 126, `exec: "/etc/notexec": permission denied`},
		"a folder":        {"/etc", 126, `exec: "/etc": is a directory`},
	} {
		t.Run(name, func(t *testing.T) {
			b := newBox(t, test.command)
			b.bind()
			_, err := b.client.Start(context.Background(), &b.start)
			var e *shimapi.Error
			if !errors.As(err, &e) || e.Code != test.code || !strings.Contains(e.Message, test.text) {
				t.Errorf("got %v (%+v), want code %d and %q", err, e, test.code, test.text)
			}
			if !strings.HasPrefix(err.Error(), "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create failed: unable to start container process: ") {
				t.Errorf("not docker's words: %v", err)
			}
			if exit := b.wait(); exit.ExitCode != test.code || exit.Error != err.Error() || !exit.StartedAt.IsZero() {
				t.Errorf("exit record %+v", exit)
			}
		})
	}
}

func TestBindTwiceIsAConflict(t *testing.T) {
	b := newBox(t, "sleep", "100")
	b.launch()
	idle, err := shimapi.Spawn(context.Background(), shimBinary)
	if err != nil {
		t.Fatal(err)
	}
	_, err = idle.Bind(context.Background(), shimapi.Bind{ID: b.id, RunDir: b.runDir, StateDir: b.stateDir})
	if !errdefs.IsConflict(err) {
		t.Errorf("second bind: %v, want a conflict", err)
	}
}
