package compat

import (
	"bytes"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/tests/program"
)

// dockerd runs Debian's docker engine without networks, with everything of its
// own, and returns its address.
func dockerd(t *testing.T) string {
	t.Helper()
	dir, err := os.MkdirTemp("", "nacre-dd-") // short: sockets lie below
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "daemon.json"), []byte("{}"), 0o600); err != nil {
		t.Fatal(err)
	}
	socket := "unix://" + filepath.Join(dir, "s")
	var log bytes.Buffer
	daemon := exec.Command("dockerd", "--config-file", filepath.Join(dir, "daemon.json"), "--bridge=none", "--iptables=false", "--ip-forward=false",
		"--data-root", filepath.Join(dir, "d"), "--exec-root", filepath.Join(dir, "r"), "--pidfile", filepath.Join(dir, "pid"), "--host", socket)
	daemon.Stdout, daemon.Stderr = &log, &log
	daemon.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGTERM}
	if err := daemon.Start(); err != nil {
		t.Fatalf("dockerd (Debian's package docker.io): %v", err)
	}
	gone := make(chan struct{})
	go func() { daemon.Wait(); close(gone) }()
	t.Cleanup(func() {
		daemon.Process.Signal(syscall.SIGTERM)
		<-gone
		unix.Unmount(filepath.Join(dir, "d"), unix.MNT_DETACH) // it mounts its folder on itself
		unix.Unmount(filepath.Join(dir, "r/netns/default"), unix.MNT_DETACH)
		if err := os.RemoveAll(dir); err != nil {
			t.Error(err)
		}
	})
	for deadline := time.Now().Add(2 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if exec.Command("docker", "--host", socket, "version").Run() == nil {
			return socket
		}
		select {
		case <-gone:
			t.Fatalf("dockerd ended at once:\n%s", &log)
		default:
		}
		if time.Now().After(deadline) {
			t.Fatal("dockerd does not answer")
		}
	}
}

// Archives go from nacre to Debian's docker and back; ids and names stay.
func TestArchivesWithDocker(t *testing.T) {
	host := dockerd(t)
	dir := t.TempDir()
	docker := func(host string, args ...string) string {
		t.Helper()
		cmd := exec.Command("docker", append([]string{"--host", host}, args...)...)
		cmd.Env = program.Environ("DOCKER_CONFIG=" + dir)
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("docker %s: %v\n%s", strings.Join(args, " "), err, out)
		}
		return strings.TrimSpace(string(out))
	}
	ids := func(host string) string {
		lines := strings.Split(docker(host, "images", "--no-trunc", "--format", "{{.Repository}}:{{.Tag}} {{.ID}}", "archived"), "\n")
		slices.Sort(lines) // they are equally old
		return strings.Join(lines, "\n")
	}
	more := setup.image + ":more"
	for _, name := range []string{setup.image, more} {
		docker(setup.host, "pull", "-q", name)
		docker(setup.host, "tag", name, "archived:"+strings.TrimPrefix(strings.TrimPrefix(name, setup.image)+":latest", ":")[:4])
	}
	archive := filepath.Join(dir, "archive.tar")
	docker(setup.host, "save", "-o", archive, "archived")
	want := ids(setup.host)
	if strings.Count(want, "\n") != 1 {
		t.Fatalf("images %q, want two", want)
	}
	docker(host, "load", "-i", archive)
	if got := ids(host); got != want {
		t.Errorf("docker loaded\n%s\nwant\n%s", got, want)
	}
	docker(host, "save", "-o", archive, "archived:more", "archived:late")
	docker(setup.host, "rmi", "-f", setup.image, more, "archived:more", "archived:late")
	said := docker(setup.host, "load", "-i", archive)
	if got := ids(setup.host); got != want || !strings.Contains(said, "Loaded image: archived:more") {
		t.Errorf("loaded again\n%s\nwant\n%s\nsaid %s", got, want, said)
	}
	docker(setup.host, "rmi", "archived:more", "archived:late")
}
