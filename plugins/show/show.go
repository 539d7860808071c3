// Package show is how a command's output looks to a person: tables that fit the
// window, colours, hyperlinks, long text page by page. Who reads the output
// through a pipe, or at a terminal that can only print, gets the bytes that the
// command has made.
//
// Way of a table: the text that docker's formatter has aligned is taken apart
// again (parse.go), or the rows come as they are; columns get widths (fit.go),
// cells become pieces of these widths (text.go), the pieces get colours and
// links (dress.go). A window too narrow for columns shows one field per row
// (records.go).
package show

import (
	"bytes"
	"io"
	"os"

	"golang.org/x/sys/unix"
	"golang.org/x/term"
)

// Window is the part of a terminal that shapes output.
type Window struct {
	Cols, Rows int
	Colours    bool
	Links      *Links // nil: none
}

// Terminal is a writer that ends at a terminal without being its file.
type Terminal interface {
	io.Writer
	// Terminal is the terminal's file.
	Terminal() *os.File
}

// FileOf is the terminal that a writer ends at, nil where it is none.
func FileOf(out io.Writer) *os.File {
	f, _ := out.(*os.File)
	if t, ok := out.(Terminal); ok {
		f = t.Terminal()
	}
	if f == nil || !term.IsTerminal(int(f.Fd())) {
		return nil
	}
	return f
}

// WindowOf describes the terminal that out ends at; ok is false where there is
// none, or one that can only print, or does not know its size.
func WindowOf(out io.Writer, getenv func(string) string) (w Window, ok bool) {
	f := FileOf(out)
	if f == nil {
		return w, false
	}
	return WindowAt(f.Fd(), getenv)
}

// WindowAt is WindowOf for a terminal's descriptor.
func WindowAt(fd uintptr, getenv func(string) string) (w Window, ok bool) {
	if kind := getenv("TERM"); kind == "" || kind == "dumb" {
		return w, false
	}
	size, err := unix.IoctlGetWinsize(int(fd), unix.TIOCGWINSZ)
	if err != nil || size.Col == 0 {
		return w, false
	}
	return Window{Cols: int(size.Col), Rows: int(size.Row), Colours: getenv("NO_COLOR") == "", Links: linksOf(getenv)}, true
}

// Fitted lets write print a table, which comes out as wide as the window at
// most. Output that goes elsewhere is not touched.
func Fitted(out io.Writer, getenv func(string) string, write func(io.Writer) error) error {
	window, ok := WindowOf(out, getenv)
	if !ok {
		return write(out)
	}
	var text bytes.Buffer
	failed := write(&text)
	if _, err := io.WriteString(out, window.Fit(text.String())); err != nil {
		return err
	}
	return failed
}
