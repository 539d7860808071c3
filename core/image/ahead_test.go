package image

import (
	"bytes"
	"errors"
	"io"
	"testing"
	"testing/iotest"
)

func TestReadAhead(t *testing.T) {
	content := bytes.Repeat([]byte("0123456789abcdef"), 20*aheadBlock/16)
	for name, from := range map[string]func() io.Reader{
		"whole":         func() io.Reader { return bytes.NewReader(content) },
		"halves":        func() io.Reader { return iotest.HalfReader(bytes.NewReader(content)) },
		"data with EOF": func() io.Reader { return iotest.DataErrReader(bytes.NewReader(content)) },
	} {
		a := readAhead(from())
		got, err := io.ReadAll(a)
		if err != nil || !bytes.Equal(got, content) {
			t.Errorf("%s: %d of %d bytes, %v", name, len(got), len(content), err)
		}
		if n, err := a.Read(make([]byte, 1)); n != 0 || err != io.EOF {
			t.Errorf("%s: after the end: %d, %v", name, n, err)
		}
		a.Close()
	}
	a := readAhead(bytes.NewReader(content))
	defer a.Close()
	if err := iotest.TestReader(a, content); err != nil {
		t.Error(err)
	}
}

func TestReadAheadFails(t *testing.T) {
	broken := errors.New("broken")
	a := readAhead(io.MultiReader(bytes.NewReader([]byte("good")), iotest.ErrReader(broken)))
	got, err := io.ReadAll(a)
	if string(got) != "good" || !errors.Is(err, broken) {
		t.Errorf("%q, %v", got, err)
	}
	a.Close()
}

// After Close the other reader is somebody else's, wherever reading was.
func TestReadAheadLetsGo(t *testing.T) {
	for _, taken := range []int{0, 1, aheadBlock, 3 * aheadBlock} {
		from := bytes.NewReader(make([]byte, 50*aheadBlock))
		a := readAhead(from)
		if _, err := io.CopyN(io.Discard, a, int64(taken)); err != nil {
			t.Fatal(err)
		}
		a.Close()
		if _, err := io.Copy(io.Discard, from); err != nil || from.Len() != 0 { // with -race: nobody else reads
			t.Fatal(err)
		}
	}
}
