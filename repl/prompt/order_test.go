package prompt_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	goprompt "github.com/c-bata/go-prompt"
)

// What the editor takes for granted about the library: its version, and the
// order of its calls. A new version has to be read before it is taken.

func TestLibraryVersion(t *testing.T) {
	mod, err := os.ReadFile("../../go.mod")
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), "github.com/c-bata/go-prompt v0.2.6\n") {
		t.Error("go-prompt is not v0.2.6: read its source, then repl/prompt/library.go")
	}
}

func TestLibraryCallOrder(t *testing.T) {
	s := start(t, config{env: []string{"TEST_ORDER=1"}, rows: 12, cols: 120})
	s.Until("the calls", func() bool { return strings.Contains(s.Output(), "Input=") })
	got := strings.TrimSpace(strings.ReplaceAll(s.Output(), "\r", ""))
	want := strings.Join([]string{
		"Setup GetWinSize Flush", // the first frame; the reader does not live yet
		"Read:x work Complete Flush",
		"Read:x work Complete Flush",
		"Read:\\n Flush", // Enter, on which the reader is stopped
		"TearDown Flush", "Input=text",
	}, " ")
	if got != want {
		t.Errorf("the library calls\n%s\nwanted\n%s", got, want)
	}
}

// orderChild runs one line of the bare library and prints its calls. Reads that
// give nothing are left out: how many there are is a matter of time.
func orderChild() int {
	calls := &recorder{reads: []string{"\x00x", "\x00x", "\n"}}
	p := goprompt.New(func(string) {}, func(goprompt.Document) []goprompt.Suggest {
		calls.add("Complete")
		return nil
	},
		goprompt.OptionParser(calls), goprompt.OptionWriter(order{calls}),
		goprompt.OptionAddASCIICodeBind(goprompt.ASCIICodeBind{ASCIICode: []byte("\x00x"), Fn: func(b *goprompt.Buffer) {
			calls.add("work")
			if b.Text() == "" {
				b.InsertText("text", false, true)
			}
		}}),
	)
	text := p.Input()
	names := strings.Join(slices.Compact(calls.names), " ")
	// The menu is reset before a sequence is looked up.
	names = strings.ReplaceAll(names, "Complete work", "work")
	names = strings.ReplaceAll(names, "Complete Flush TearDown", "Flush TearDown")
	fmt.Printf("%s Input=%s\n", names, text)
	return 0
}

type recorder struct {
	mu    sync.Mutex
	names []string
	reads []string
}

func (r *recorder) add(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.names = append(r.names, name)
}

func (r *recorder) Setup() error    { r.add("Setup"); return nil }
func (r *recorder) TearDown() error { r.add("TearDown"); return nil }
func (r *recorder) GetWinSize() *goprompt.WinSize {
	r.add("GetWinSize")
	return &goprompt.WinSize{Row: 1000, Col: 1000}
}

func (r *recorder) Read() ([]byte, error) {
	if len(r.reads) == 0 {
		return nil, os.ErrDeadlineExceeded
	}
	r.awaitRest()
	b := r.reads[0]
	r.reads = r.reads[1:]
	r.add("Read:" + strings.NewReplacer("\x00", "", "\n", "\\n").Replace(b))
	return []byte(b), nil
}

// awaitRest waits until the loop has drawn what it was given.
func (r *recorder) awaitRest() {
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(time.Millisecond) {
		r.mu.Lock()
		n := len(r.names)
		rests := n > 0 && r.names[n-1] == "Flush"
		r.mu.Unlock()
		if rests {
			return
		}
	}
}

// order is a writer of which only Flush is recorded.
type order struct{ *recorder }

func (o order) Flush() error                       { o.add("Flush"); return nil }
func (order) WriteRaw([]byte)                      {}
func (order) Write([]byte)                         {}
func (order) WriteRawStr(string)                   {}
func (order) WriteStr(string)                      {}
func (order) EraseScreen()                         {}
func (order) EraseUp()                             {}
func (order) EraseDown()                           {}
func (order) EraseStartOfLine()                    {}
func (order) EraseEndOfLine()                      {}
func (order) EraseLine()                           {}
func (order) ShowCursor()                          {}
func (order) HideCursor()                          {}
func (order) CursorGoTo(int, int)                  {}
func (order) CursorUp(int)                         {}
func (order) CursorDown(int)                       {}
func (order) CursorForward(int)                    {}
func (order) CursorBackward(int)                   {}
func (order) AskForCPR()                           {}
func (order) SaveCursor()                          {}
func (order) UnSaveCursor()                        {}
func (order) ScrollDown()                          {}
func (order) ScrollUp()                            {}
func (order) SetTitle(string)                      {}
func (order) ClearTitle()                          {}
func (order) SetColor(_, _ goprompt.Color, _ bool) {}
