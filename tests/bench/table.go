package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

func (l *lab) printHead(out io.Writer) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; medians of %d runs in turn", machine(), l.runs)
	for _, e := range l.engines {
		fmt.Fprintf(&b, "; %s %s", e.name, e.version)
	}
	b.WriteString(".\n\n| | nacre | docker | podman | docker ÷ nacre | podman ÷ nacre | budget | |\n|---|--:|--:|--:|--:|--:|---|---|\n")
	_, err := io.WriteString(out, b.String())
	return err
}

func (r row) print(out io.Writer, v values) error {
	verdict := ""
	if r.met != nil {
		verdict = "met"
		if !r.met(v) {
			verdict = "**missed**"
		}
	}
	_, err := fmt.Fprintf(out, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", r.line, number(v.nacre, r.unit), number(v.docker, r.unit),
		number(v.podman, r.unit), ratio(v.docker, v.nacre), ratio(v.podman, v.nacre), r.budget, verdict)
	return err
}

func number(v float64, unit string) string {
	switch {
	case v == 0:
		return "–"
	case unit == "":
		return fmt.Sprintf("%.0f", v)
	case v < 10:
		return fmt.Sprintf("%.1f %s", v, unit)
	}
	return fmt.Sprintf("%.0f %s", v, unit)
}

func ratio(other, nacre float64) string {
	if other == 0 || nacre == 0 {
		return "–"
	}
	return fmt.Sprintf("%.1f", other/nacre)
}

// machine says what kind of machine this is.
func machine() string {
	version := "v1"
	if _, err := os.Stat(cgroupRoot + "/cgroup.controllers"); err == nil {
		version = "v2"
	}
	var name unix.Utsname
	release := "unknown"
	if unix.Uname(&name) == nil {
		release = unix.ByteSliceToString(name.Release[:])
		release, _, _ = strings.Cut(release, "-")
	}
	return fmt.Sprintf("%d cores, Linux %s, cgroup %s", runtime.NumCPU(), release, version)
}
