package docker

import (
	"net/netip"
	"reflect"
	"testing"

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
