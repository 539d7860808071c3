package show

import (
	"errors"
	"io"
	"os"
	"strings"
	"testing"
)

func TestRowsOf(t *testing.T) {
	for line, want := range map[string]int{
		"": 1, "0123456789": 1, "0123456789a": 2, "数据库备份": 1, "数据库备份一": 2, "\x1b[1m0123456789\x1b[0m": 1,
		"\x1b]8;;http://localhost:80\x1b\\0123456789\x1b]8;;\x1b\\": 1, "\tab": 1, "\tabc": 2, "a\tb": 1, "\x1b]0;title\a0123456789": 1, "\x1b": 1, "\x1b[": 1,
	} {
		if got := rowsOf(line, 10); got != want {
			t.Errorf("%q takes %d rows, want %d", line, got, want)
		}
	}
}

// written is a pager that keeps what it gets, until it is left.
type written struct {
	strings.Builder
	left, closed bool
}

func (w *written) Write(p []byte) (int, error) {
	if w.left {
		return 0, io.ErrClosedPipe
	}
	return w.Builder.Write(p)
}

func (w *written) Close() error { w.closed = true; return nil }

func TestPage(t *testing.T) {
	for _, c := range []struct {
		name  string
		parts []string
		paged bool
	}{
		{"nothing", nil, false},
		{"what fits", []string{"1\n2\n", "3\n4\n"}, false},
		{"a row too many", []string{"1\n2\n", "3\n", "4\n5\n", "6\n"}, true},
		{"a line that wraps", []string{"1\n2\n3\n0123456789a\n"}, true},
		{"one long line", []string{strings.Repeat("x", 2000)}, true},
		{"a line in pieces", []string{"1\n2", "\n3\n", "4", "\n"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			terminal, err := os.Create(t.TempDir() + "/terminal")
			if err != nil {
				t.Fatal(err)
			}
			defer terminal.Close()
			pager := &written{}
			p := NewPage(terminal, Window{Cols: 10, Rows: 5}, func() (io.WriteCloser, error) { return pager, nil })
			for _, part := range c.parts {
				if n, err := p.Write([]byte(part)); n != len(part) || err != nil {
					t.Fatalf("%d, %v", n, err)
				}
			}
			left, err := p.Close()
			if left || err != nil {
				t.Errorf("left %v, %v", left, err)
			}
			direct, err := os.ReadFile(terminal.Name())
			if err != nil {
				t.Fatal(err)
			}
			all := strings.Join(c.parts, "")
			wantDirect, wantPaged := all, ""
			if c.paged {
				wantDirect, wantPaged = "", all
			}
			if string(direct) != wantDirect || pager.String() != wantPaged || pager.closed != c.paged {
				t.Errorf("the terminal got %q, the pager %q (closed: %v)", direct, pager.String(), pager.closed)
			}
		})
	}
}

// TestPageLeft: who leaves the pager ends the output without an error of the
// terminal; a pager that cannot be started costs nothing but itself.
func TestPageLeft(t *testing.T) {
	pager := &written{}
	p := NewPage(os.Stdout, Window{Cols: 80, Rows: 2}, func() (io.WriteCloser, error) { return pager, nil })
	if _, err := p.Write([]byte("1\n2\n3\n")); err != nil {
		t.Fatal(err)
	}
	pager.left = true
	for range 2 {
		if _, err := p.Write([]byte("4\n")); !errors.Is(err, ErrLeft) {
			t.Errorf("error %v", err)
		}
	}
	if left, err := p.Close(); !left || err != nil {
		t.Errorf("left %v, %v", left, err)
	}

	terminal, err := os.Create(t.TempDir() + "/terminal")
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	p = NewPage(terminal, Window{Cols: 80, Rows: 2}, func() (io.WriteCloser, error) { return nil, errors.New("no pipe") })
	for _, text := range []string{"1\n2\n3\n", "4\n"} {
		if _, err := p.Write([]byte(text)); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := p.Close(); err != nil {
		t.Error(err)
	}
	if direct, err := os.ReadFile(terminal.Name()); err != nil || string(direct) != "1\n2\n3\n4\n" {
		t.Errorf("the terminal got %q, %v", direct, err)
	}
}
