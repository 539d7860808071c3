package api

import (
	"bytes"
	"testing"

	"github.com/moby/moby/api/pkg/stdcopy"
)

func TestUnframer(t *testing.T) {
	var stream bytes.Buffer
	for i, text := range []string{"one ", "", "two ", "three"} {
		if _, err := (frames{&stream, []stdcopy.StdType{stdcopy.Stdout, stdcopy.Stderr}[i%2]}).Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	for size := 1; size <= stream.Len(); size++ { // however it is cut
		var u unframer
		var got []byte
		for rest := stream.Bytes(); len(rest) > 0; {
			n := min(size, len(rest))
			for _, piece := range u.push(rest[:n]) {
				got = append(got, piece...)
			}
			rest = rest[n:]
		}
		if string(got) != "one two three" {
			t.Fatalf("in pieces of %d: %q", size, got)
		}
	}
}
