//go:build cgo

package shim

import "testing"

// The parts of a long line belong together, each stream's for itself; other
// lines have no part's fields.
func TestJournalParts(t *testing.T) {
	j := &journalLog{fields: map[string]string{"CONTAINER_NAME": "x"}, long: map[string]*partialLine{}}
	first := j.entry("stdout", false)
	other := j.entry("stderr", true)
	last := j.entry("stdout", true)
	next := j.entry("stdout", true)
	for _, c := range []struct {
		fields                                 map[string]string
		ordinal, part, partial, last, whatPart string
	}{
		{first, "1", first["CONTAINER_PARTIAL_ID"], "true", "false", "1"},
		{other, "2", "", "", "", ""},
		{last, "3", first["CONTAINER_PARTIAL_ID"], "", "true", "2"},
		{next, "4", "", "", "", ""},
	} {
		for name, want := range map[string]string{
			"CONTAINER_NAME": "x", "CONTAINER_LOG_ORDINAL": c.ordinal, "CONTAINER_PARTIAL_ID": c.part,
			"CONTAINER_PARTIAL_MESSAGE": c.partial, "CONTAINER_PARTIAL_LAST": c.last, "CONTAINER_PARTIAL_ORDINAL": c.whatPart,
		} {
			if got := c.fields[name]; got != want {
				t.Errorf("entry %s: %s is %q, want %q", c.ordinal, name, got, want)
			}
		}
	}
	if first["CONTAINER_PARTIAL_ID"] == "" {
		t.Error("a part has no id")
	}
}
