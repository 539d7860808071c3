//go:build leak

package leak

import (
	"bytes"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// ours are the names that only nacre gives.
var ours = regexp.MustCompile(`(?i)\bnacre`)

// ourVeth are the host's ends of containers' interfaces; docker's have seven digits.
var ourVeth = regexp.MustCompile(`^veth[0-9a-f]{11}$`)

// patience is the time that processes may take to be reaped by the system's init.
const patience = 5 * time.Second

func TestNoProcess(t *testing.T) {
	var left []string
	for deadline := time.Now().Add(patience); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if left = processes(t); len(left) == 0 {
			return
		}
	}
	t.Errorf("processes left: %q", left)
}

// processes lists those named nacre… with their arguments.
func processes(t *testing.T) (list []string) {
	t.Helper()
	commands, err := filepath.Glob("/proc/[0-9]*/comm")
	if err != nil || len(commands) == 0 {
		t.Fatalf("list processes: %d found, %v", len(commands), err)
	}
	for _, file := range commands {
		name, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		if strings.HasPrefix(string(name), "nacre") {
			args, _ := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			list = append(list, filepath.Dir(file)+" "+string(bytes.ReplaceAll(args, []byte{0}, []byte{' '})))
		}
	}
	return list
}

func TestNoMount(t *testing.T) {
	mounts, err := os.ReadFile("/proc/self/mountinfo")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(mounts)) {
		if fields := strings.Fields(line); ours.MatchString(fields[4]) {
			t.Errorf("mount left: %s", line)
		}
	}
}

func TestNoInterface(t *testing.T) {
	links, err := netlink.LinkList()
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range links {
		if ours.MatchString(l.Attrs().Name) || ourVeth.MatchString(l.Attrs().Name) {
			t.Errorf("%s left: %s", l.Type(), l.Attrs().Name)
		}
	}
}

func TestNoPacketRules(t *testing.T) {
	tables, err := exec.Command("nft", "list", "tables").CombinedOutput()
	if err != nil {
		t.Fatalf("nft list tables: %v: %s", err, tables)
	}
	for line := range strings.Lines(string(tables)) {
		if ours.MatchString(line) {
			t.Errorf("packet rules left: %s", line)
		}
	}
}

func TestNoNamedNamespace(t *testing.T) {
	entries, err := os.ReadDir("/run/netns")
	if err != nil && !os.IsNotExist(err) {
		t.Fatal(err)
	}
	for _, e := range entries {
		if ours.MatchString(e.Name()) {
			t.Errorf("network namespace left: %s", e.Name())
		}
	}
}

// Cgroups of containers lie below a folder `nacre`; the folder itself may stay.
func TestNoCgroup(t *testing.T) {
	err := filepath.WalkDir("/sys/fs/cgroup", func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return nil // it went while we looked
		}
		if e.IsDir() && ours.MatchString(filepath.Base(filepath.Dir(path))) {
			t.Errorf("cgroup left: %s", path)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}
