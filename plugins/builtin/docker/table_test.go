package docker

import (
	"bytes"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/docker/cli/cli/command/formatter"
	"github.com/moby/moby/api/types/container"
	"github.com/moby/moby/api/types/image"
)

// ages are far from where their wording changes, so that the clock may go on
// between docker's table and ours.
var ages = []time.Duration{90 * time.Minute, 30 * time.Hour, 10*24*time.Hour + 5*time.Hour, 100 * 24 * time.Hour, 900 * 24 * time.Hour}

func id(n int) string { return fmt.Sprintf("%064x", uint64(n+1)*0x9e3779b97f4a7c15) }

func TestTablesOfContainers(t *testing.T) {
	now := time.Now()
	images := []string{"busybox", "busybox:1.36", "127.0.0.1:5000/library/busybox:latest", "docker.io/library/nginx", "ghcr.io/a/b@sha256:" + id(7),
		"busybox:1@sha256:" + id(8), "sha256:" + id(9), id(9)[:12], "", "UPPER case is no reference", "localhost:5000/x"}
	commands := []string{"", "sh", "sleep 1000", `sh -c "echo 'quoted'"`, "一二三四五六七八九十一二三四五六七八九十", "tab\there", strings.Repeat("x", 21), strings.Repeat("y", 20)}
	ports := [][]container.PortSummary{nil, {{PrivatePort: 80, Type: "tcp"}},
		{{IP: netip.MustParseAddr("0.0.0.0"), PrivatePort: 80, PublicPort: 8080, Type: "tcp"}, {IP: netip.MustParseAddr("::"), PrivatePort: 80, PublicPort: 8080, Type: "tcp"}},
		{{PrivatePort: 81, Type: "udp"}, {PrivatePort: 82, Type: "udp"}, {PrivatePort: 83, Type: "udp"}}}
	status := []string{"Created", "Up 3 hours", "Exited (137) 8 days ago", "Restarting (1) 2 seconds ago", "Up 2 minutes (healthy)"}
	var docker []container.Summary
	var ours []containerRow
	for i := range 500 {
		created := now.Add(-ages[i%len(ages)]).Unix()
		s := container.Summary{
			ID: id(1000 + i), Names: []string{fmt.Sprintf("/name_%d", i)}, Image: images[i%len(images)], ImageID: "sha256:" + id(9),
			Command: commands[i%len(commands)], Created: created, Ports: ports[i%len(ports)], Status: status[i%len(status)],
		}
		docker = append(docker, s)
		ours = append(ours, containerRow{ID: s.ID, Image: s.Image, ImageID: s.ImageID, Command: s.Command, Created: created, Status: s.Status, Ports: s.Ports, Name: s.Names[0][1:]})
	}
	for _, short := range []bool{true, false} {
		for _, quiet := range []bool{false, true} {
			var want bytes.Buffer
			err := formatter.ContainerWrite(formatter.Context{Output: &want, Format: formatter.NewContainerFormat("", quiet, false), Trunc: short}, docker)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, want.String(), written(t, containerTable(ours, now, short), quiet), false)
		}
	}
}

func TestTablesOfImages(t *testing.T) {
	now := time.Now()
	names := [][2][]string{ // tags and digests
		{{"busybox:latest"}, nil}, {{"busybox:1", "busybox:2"}, {"busybox@sha256:" + id(1)}}, {nil, nil}, {nil, {"quay.io/x/y@sha256:" + id(2)}},
		{{"127.0.0.1:5000/a/b:c"}, {"127.0.0.1:5000/a/b@sha256:" + id(3)}}, {{"localhost:5000/x:latest", "y:1", "z/z:1"}, {"w@sha256:" + id(4), "w@sha256:" + id(5)}},
	}
	sizes := []int64{0, 999, 1000, 123456, 1234567, 4260000, 98765432101}
	var docker []image.Summary
	var ours []imageRow
	for i := range 300 {
		created := now.Add(-ages[i%len(ages)]).Unix()
		if i == 17 {
			created = 0
		}
		s := image.Summary{ID: "sha256:" + id(i), RepoTags: names[i%len(names)][0], RepoDigests: names[i%len(names)][1], Created: created, Size: sizes[i%len(sizes)]}
		docker = append(docker, s)
		ours = append(ours, imageRow{ID: s.ID, Tags: s.RepoTags, Digests: s.RepoDigests, Created: created, Size: s.Size})
	}
	for _, short := range []bool{true, false} {
		for _, quiet := range []bool{false, true} {
			var want bytes.Buffer
			format := formatter.NewImageFormat(formatter.TableFormatKey, quiet, false)
			err := formatter.ImageWrite(formatter.ImageContext{Context: formatter.Context{Output: &want, Format: format, Trunc: short}}, docker)
			if err != nil {
				t.Fatal(err)
			}
			compare(t, want.String(), written(t, imageTable(ours, now, short), quiet), true)
		}
	}
}

func written(t *testing.T, rows [][]string, quiet bool) string {
	t.Helper()
	if quiet {
		rows = ids(rows)
	}
	var text bytes.Buffer
	if err := writeTable(&text, rows, quiet); err != nil {
		t.Fatal(err)
	}
	return text.String()
}

// compare compares two tables line by line. Docker shows the repositories of
// one image in no certain order.
func compare(t *testing.T, want, got string, anyOrder bool) {
	t.Helper()
	wanted, lines := strings.Split(want, "\n"), strings.Split(got, "\n")
	if wanted[0] != lines[0] {
		t.Errorf("got  %q\nwant %q", lines[0], wanted[0])
	}
	if anyOrder {
		slices.Sort(wanted)
		slices.Sort(lines)
	}
	if len(wanted) != len(lines) {
		t.Fatalf("got %d lines, want %d", len(lines), len(wanted))
	}
	for i := range wanted {
		if wanted[i] != lines[i] {
			t.Fatalf("got  %q\nwant %q", lines[i], wanted[i])
		}
	}
}
