package show

import (
	"strings"
	"testing"

	"github.com/containerd/errdefs"
)

func TestSort(t *testing.T) {
	rows := [][]string{
		{"IMAGE ID", "NAMES", "CREATED", "SIZE"},
		{"100000000001", "b", "About an hour ago", "9.5MB"},
		{"000000000002", "A", "2 days ago", "1.2GB"},
		{"200000000003", "c", "Less than a second ago", ""},
		{"300000000004", "d", "3 weeks ago", "12kB (virtual 3GB)"},
	}
	for order, want := range map[string]string{
		"size": "d b A c", "-size": "A b d c", "names": "A b c d", "-name": "d c b A", "created": "d A b c", "-created": "c b A d", "id": "A b c d", "image_id": "A b c d",
	} {
		text, err := Sort(docker(rows), order)
		if err != nil {
			t.Fatal(err)
		}
		var got []string
		for line := range strings.Lines(text) {
			got = append(got, strings.Fields(line)[1])
			if !strings.Contains(docker(rows), line) {
				t.Errorf("a line has changed: %q", line)
			}
		}
		if text := strings.Join(got[1:], " "); text != want {
			t.Errorf("by %s: %s, want %s", order, text, want)
		}
	}
	if _, err := SortRows(rows, "color"); !errdefs.IsInvalidArgument(err) || !strings.Contains(err.Error(), "image-id, names, created, size") {
		t.Errorf("a column that is not there: %v", err)
	}
}
