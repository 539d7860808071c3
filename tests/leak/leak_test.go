//go:build leak

package leak

import (
	"bytes"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"
)

// The suite is answerable for what it leaves, not for what was there before it:
// a first run, for which recordTo names a file, writes down what it finds, and
// the run behind the suite, for which recorded names that file, finds fault
// with the rest.
const (
	recordTo = "NACRE_LEAKS_RECORD"
	recorded = "NACRE_LEAKS_BEFORE"
)

// ours are the names that only nacre gives.
var ours = regexp.MustCompile(`(?i)\bnacre`)

// ourVeth are the host's ends of containers' interfaces; docker's have seven digits.
var ourVeth = regexp.MustCompile(`^veth[0-9a-f]{11}$`)

// patience is the time that the kernel may take to clear away, on a busy machine.
const patience = time.Minute

func TestMain(m *testing.M) {
	if file := os.Getenv(recordTo); file != "" {
		if err := os.WriteFile(file, nil, 0o644); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	}
	os.Exit(m.Run())
}

// before tells whether something was there before the suite.
func before(t *testing.T) func(entry string) bool {
	t.Helper()
	file := os.Getenv(recorded)
	if file == "" {
		return func(string) bool { return false }
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	lines := strings.Split(string(text), "\n")
	return func(entry string) bool { return slices.Contains(lines, entry) }
}

// judge finds fault with what is left, or writes it down. look is repeated
// until nothing is left or time is up: the kernel needs a moment.
func judge(t *testing.T, what string, look func() []string) {
	t.Helper()
	entries := func() (list []string) {
		for _, thing := range look() {
			list = append(list, what+": "+strings.ReplaceAll(thing, "\n", " "))
		}
		return list
	}
	if file := os.Getenv(recordTo); file != "" {
		record(t, file, entries())
		return
	}
	known := before(t)
	var left []string
	for deadline := time.Now().Add(patience); ; time.Sleep(100 * time.Millisecond) {
		if left = slices.DeleteFunc(entries(), known); len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			break
		}
	}
	t.Errorf("left behind:\n%s", strings.Join(left, "\n"))
}

func record(t *testing.T, file string, entries []string) {
	t.Helper()
	f, err := os.OpenFile(file, os.O_APPEND|os.O_WRONLY, 0)
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		_, werr := fmt.Fprintln(f, e)
		err = errors.Join(err, werr)
	}
	if err := errors.Join(err, f.Close()); err != nil {
		t.Fatal(err)
	}
}

// TestNoProcess looks for processes named nacre…, told by their arguments.
func TestNoProcess(t *testing.T) {
	judge(t, "process", func() (list []string) {
		commands, err := filepath.Glob("/proc/[0-9]*/comm")
		if err != nil || len(commands) == 0 {
			t.Fatalf("list processes: %d found, %v", len(commands), err)
		}
		for _, file := range commands {
			name, err := os.ReadFile(file)
			if err != nil || !strings.HasPrefix(string(name), "nacre") {
				continue // it has ended, or is somebody else's
			}
			args, err := os.ReadFile(filepath.Join(filepath.Dir(file), "cmdline"))
			if err != nil || len(args) == 0 {
				continue // it has ended, and the system's init has not reaped it
			}
			list = append(list, filepath.Dir(file)+" "+string(bytes.ReplaceAll(args, []byte{0}, []byte{' '})))
		}
		return list
	})
}

func TestNoMount(t *testing.T) {
	judge(t, "mount", func() (list []string) {
		mounts, err := os.ReadFile("/proc/self/mountinfo")
		if err != nil {
			t.Fatal(err)
		}
		for line := range strings.Lines(string(mounts)) {
			if fields := strings.Fields(line); ours.MatchString(fields[4]) {
				list = append(list, fields[4])
			}
		}
		return list
	})
}

func TestNoInterface(t *testing.T) {
	judge(t, "interface", func() (list []string) {
		links, err := netlink.LinkList()
		if err != nil && !errors.Is(err, netlink.ErrDumpInterrupted) {
			t.Fatal(err)
		}
		for _, l := range links {
			if ours.MatchString(l.Attrs().Name) || ourVeth.MatchString(l.Attrs().Name) {
				list = append(list, l.Type()+" "+l.Attrs().Name)
			}
		}
		return list
	})
}

func TestNoPacketRules(t *testing.T) {
	judge(t, "packet rules", func() (list []string) {
		tables, err := exec.Command("nft", "list", "tables").CombinedOutput()
		if err != nil {
			t.Fatalf("nft list tables: %v: %s", err, tables)
		}
		for line := range strings.Lines(string(tables)) {
			if ours.MatchString(line) {
				list = append(list, strings.TrimSpace(line))
			}
		}
		return list
	})
}

func TestNoNamedNamespace(t *testing.T) {
	judge(t, "network namespace", func() (list []string) {
		entries, err := os.ReadDir("/run/netns")
		if err != nil && !os.IsNotExist(err) {
			t.Fatal(err)
		}
		for _, e := range entries {
			if ours.MatchString(e.Name()) {
				list = append(list, e.Name())
			}
		}
		return list
	})
}

// Cgroups of containers lie below a folder `nacre`; the folder itself may stay.
func TestNoCgroup(t *testing.T) {
	judge(t, "cgroup", func() (list []string) {
		err := filepath.WalkDir("/sys/fs/cgroup", func(path string, e fs.DirEntry, err error) error {
			if err != nil {
				return nil // it went while we looked
			}
			if e.IsDir() && ours.MatchString(filepath.Base(filepath.Dir(path))) {
				list = append(list, path)
			}
			return nil
		})
		if err != nil {
			t.Fatal(err)
		}
		return list
	})
}
