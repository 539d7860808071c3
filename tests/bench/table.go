package main

import (
	"fmt"
	"io"
	"os"
	"runtime"
	"strings"

	"golang.org/x/sys/unix"
)

// row is a line of the table: what it says and when it is good enough.
type row struct {
	line, unit, budget string
	met                func(nacre, docker, podman float64) bool // an absent engine is 0; nil: no budget
}

// rows are the budgets of the foundation.
func (s samples) rows() []row {
	alone, _ := s.median(oneShotRun, "nacre")
	return []row{
		{promptRun, "ms", "docker ≥ 6 ×, podman ≥ 6 ×", func(n, d, p float64) bool { return (d == 0 || d >= 6*n) && (p == 0 || p >= 6*n) }},
		{oneShotRun, "ms", "docker ≥ 5 ×", func(n, d, _ float64) bool { return d == 0 || d >= 5*n }},
		{parallelRun, "ms", "≤ 4 × one alone", func(n, _, _ float64) bool { return n <= 4*alone }},
		{"`ps -a` one-shot, 100 containers", "ms", "≤ docker's", func(n, d, _ float64) bool { return d == 0 || n <= d }},
		{"`images` one-shot, 100 names", "ms", "≤ docker's", func(n, d, _ float64) bool { return d == 0 || n <= d }},
		{"`ps -a` at the prompt, 100 containers", "ms", "< 2 ms", func(n, _, _ float64) bool { return n < 2 }},
		{"`images` at the prompt, 100 names", "ms", "< 2 ms", func(n, _, _ float64) bool { return n < 2 }},
		{"start to prompt", "ms", "< 60 ms", func(n, _, _ float64) bool { return n < 60 }},
		{"private memory per idle shim", "MiB", "≤ 3 MiB", func(n, _, _ float64) bool { return n <= 3 }},
		{"processes for 3 idle containers", "", "3", func(n, _, _ float64) bool { return n <= 3 }},
	}
}

func (l *lab) print(out io.Writer, s samples) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%s; medians of %d runs in turn", machine(), l.runs)
	for _, e := range l.engines {
		fmt.Fprintf(&b, "; %s %s", e.name, e.version)
	}
	b.WriteString(".\n\n| | nacre | docker | podman | docker ÷ nacre | podman ÷ nacre | budget | |\n|---|--:|--:|--:|--:|--:|---|---|\n")
	for _, r := range s.rows() {
		nacre, ok := s.median(r.line, "nacre")
		if !ok {
			continue
		}
		docker, _ := s.median(r.line, "docker")
		podman, _ := s.median(r.line, "podman")
		verdict := "met"
		if !r.met(nacre, docker, podman) {
			verdict = "**missed**"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s | %s | %s | %s |\n", r.line, number(nacre, r.unit), number(docker, r.unit), number(podman, r.unit),
			ratio(docker, nacre), ratio(podman, nacre), r.budget, verdict)
	}
	b.WriteString(l.slowdowns(s))
	_, err := io.WriteString(out, b.String())
	return err
}

// slowdowns says how much longer one of 16 takes than one alone.
func (l *lab) slowdowns(s samples) string {
	var parts []string
	for _, e := range l.engines {
		alone, ok1 := s.median(oneShotRun, e.name)
		slowest, ok2 := s.median(parallelRun, e.name)
		if ok1 && ok2 {
			parts = append(parts, fmt.Sprintf("%s %.1f ×", e.name, slowest/alone))
		}
	}
	if parts == nil {
		return ""
	}
	return fmt.Sprintf("\nThe slowest of %d at once, against one alone: %s.\n", atOnce, strings.Join(parts, ", "))
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
