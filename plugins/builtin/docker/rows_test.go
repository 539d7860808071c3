package docker

import (
	"net/netip"
	"reflect"
	"testing"
	"time"

	"github.com/moby/moby/api/types/container"
)

func TestReadContainerLines(t *testing.T) {
	got, err := readContainerLines("c1\tweb\tbusybox\tsha256:1\t7\tUp 2 hours\t\"sh -c 'a\\n\\tb'\"\t" +
		`[{"IP":"127.0.0.1","PrivatePort":80,"PublicPort":8080,"Type":"tcp"}]` + "\nc2\tjob\tbusybox\tsha256:1\t8\tCreated\t\"\"\t\n")
	want := []containerRow{
		{ID: "c1", Name: "web", Image: "busybox", ImageID: "sha256:1", Created: 7, Status: "Up 2 hours", Command: "sh -c 'a\n\tb'",
			Ports: []container.PortSummary{{IP: netip.MustParseAddr("127.0.0.1"), PrivatePort: 80, PublicPort: 8080, Type: "tcp"}}},
		{ID: "c2", Name: "job", Image: "busybox", ImageID: "sha256:1", Created: 8, Status: "Created"},
	}
	if err != nil || !reflect.DeepEqual(got, want) {
		t.Errorf("%+v, %v", got, err)
	}
	for _, text := range []string{"[]\n", "c1\tweb\tbusybox\tsha256:1\t7\tCreated\tunquoted\t\n", "c1\tweb\tbusybox\tsha256:1\t7\tCreated\t\"\"\t{\n", "\n"} {
		if got, err := readContainerLines(text); err == nil {
			t.Errorf("%q: %+v", text, got)
		}
	}
}

// Texts that are kept are those that are made anew, around every border that docker's words have.
func TestAgeTextsOfLongLists(t *testing.T) {
	now := time.Unix(2_000_000_000, 0)
	text := agoTexts(now)
	for _, border := range []time.Duration{0, time.Second, time.Minute, time.Hour, 48 * time.Hour, 14 * 24 * time.Hour, 61 * 24 * time.Hour, 2 * 365 * 24 * time.Hour} {
		for _, off := range []time.Duration{-90 * time.Minute, -time.Hour, -30 * time.Minute, -29 * time.Minute, -time.Second, 0, time.Second, 30 * time.Minute, 59 * time.Minute, time.Hour, 100 * 24 * time.Hour} {
			created := now.Add(-border - off).Unix()
			if got, want := text(created), ago(created, now); got != want {
				t.Errorf("%v and %v ago: %q, want %q", border, off, got, want)
			}
		}
	}
	for minutes := range int64(5000) {
		created := now.Unix() - minutes*61
		if got, want := text(created), ago(created, now); got != want {
			t.Fatalf("%d s ago: %q, want %q", minutes*61, got, want)
		}
	}
}
