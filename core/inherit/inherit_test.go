package inherit

import (
	"os"
	"os/exec"
	"strings"
	"testing"
)

// TestMain is a program that is given two descriptors when the variable says so.
func TestMain(m *testing.M) {
	switch os.Getenv("DESCRIPTOR") {
	case "close":
		Close(3)
	case "keep":
		Keep()
	case "":
		os.Exit(m.Run())
	}
	child := exec.Command("/bin/sh", "-c", `[ -e /proc/self/fd/3 ] && echo 3; [ -e /proc/self/fd/4 ] && echo 4; true`)
	child.Stdout = os.Stdout
	if err := child.Run(); err != nil {
		panic(err)
	}
	os.Exit(0)
}

func TestInherited(t *testing.T) {
	null, err := os.Open(os.DevNull)
	if err != nil {
		t.Fatal(err)
	}
	defer null.Close()
	for what, want := range map[string]string{"nothing": "3 4", "close": "3", "keep": ""} {
		cmd := exec.Command(os.Args[0])
		cmd.Env = append(os.Environ(), "DESCRIPTOR="+what)
		cmd.ExtraFiles = []*os.File{null, null}
		out, err := cmd.CombinedOutput()
		if err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		if got := strings.Join(strings.Fields(string(out)), " "); got != want {
			t.Errorf("after %s a program of the process has %q, want %q", what, got, want)
		}
	}
}
