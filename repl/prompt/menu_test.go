package prompt_test

import (
	"fmt"
	"path/filepath"
	"strings"
	"testing"
)

func TestCompletionOfOneAndOfACommonPrefix(t *testing.T) {
	s := start(t, config{})
	s.Want(p)
	s.Send("pul\t")
	s.Want(p + "pull")
	s.WantCursor(13, 0) // a space follows
	s.Send("\x15nospace pul\t")
	s.Want(p + "nospace pull")
	s.WantCursor(20, 0)
	s.Send("\x15i\x08x\t")
	s.Until("the bell", func() bool { return strings.Contains(s.Output(), "\a") })
	s.Send("\x15im\t")
	s.Want(p+"im", " images  List images", " import  Import a tarball")
}

func TestMenu(t *testing.T) {
	s := start(t, config{})
	s.Want(p)
	s.Send("x i\t")
	all := []string{" images   List images", " import   Import a tarball", " inspect  Return low-level information on Docker objects, …"}
	menu := func(first string, items ...string) { t.Helper(); s.Want(append([]string{first}, items...)...) }
	menu(p+"x i", all...)
	s.Send("\t")
	menu(p+"x images", all...)
	s.Send("\t\x1b[B") // Tab, Down
	menu(p+"x inspect", all...)
	s.Send("\x1b[Z") // S-Tab
	menu(p+"x import", all...)
	s.Send("\x1b") // Esc: as typed
	menu(p + "x i")
	s.Send("\t")
	menu(p+"x i", all...)
	s.Send("n")
	menu(p+"x in", all[2])
	s.Send("\x7f")
	menu(p+"x i", all...)
	s.Send("\x1b[A\r") // Up: the last; Enter accepts and does not run
	menu(p + "x inspect")
	s.WantCursor(18, 0)
	s.Send("\r")
	s.Want(p+"x inspect", "[x inspect ]", p)
}

func TestMenuScrolls(t *testing.T) {
	s := start(t, config{cols: 30, rows: 6})
	s.Want(p)
	s.Send("many \t")
	s.Contains("1–4 of 40")
	s.Send(strings.Repeat("\t", 7))
	s.Contains(p + "many item-06")
	s.Contains("4–7 of 40")
	s.Send("\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A")
	s.Contains(p + "many item-39")
	s.Contains("37–40 of 40")
	s.Send("\x03")
	s.Contains("item-39^C")
	s.Until("the menu goes", func() bool { return !strings.Contains(s.Screen(), "of 40") })
}

func TestMenuOfSeveralColumns(t *testing.T) {
	s := start(t, config{cols: 60, rows: 20})
	s.Want(p)
	s.Send("many \t")
	s.Contains(p + "many item-\n item-00  number    item-14  number    item-28  number\n")
	s.Send("\t\x1b[C") // Tab, Right
	s.Contains(p + "many item-14\n")
	s.Send("\x1b[C\x1b[C\x1b[B") // there is no fourth column
	s.Contains(p + "many item-29\n")
	s.Send("\x1b[D\x1b[Z")
	s.Contains(p + "many item-14\n")
	s.Resize(24, 20) // one column fits
	s.Contains("7–15 of 40")
	s.Send("\r\r")
	s.Contains("[many item-14 ]")
	s.Send("many 07\t") // letters from the middle
	s.Contains(p + "many item-07")
	s.Send("\x15many \t")
	s.Contains("1–9 of 40")
	s.Send("9")
	s.Contains(p + "many item-9\n item-09  number")
}

func TestSlowCompletionBlocksNoKey(t *testing.T) {
	file := filepath.Join(t.TempDir(), "go")
	s := start(t, config{letGo: file})
	s.Want(p)
	s.Send("slow l\t")
	s.Send("a")
	s.Want(p + "slow la") // while the completion goes on; its answer is for another text
	create(t, file)
	s.Send("\t")
	s.Want(p + "slow late")
}

func TestCompletionThatPanics(t *testing.T) {
	s := start(t, config{})
	s.Want(p)
	s.Send("crash \tstill here\r")
	s.Contains("[crash still here]")
}

func TestTinyWindow(t *testing.T) {
	s := start(t, config{cols: 20, rows: 5})
	s.Want(p)
	s.Send("i\t\t")
	s.Want(p+"images", " images   List ima…", " import   Import a…", " inspect  Return l…")
	s.Send("\r\r")
	s.Contains("[images ]")
}

func TestGhost(t *testing.T) {
	s := start(t, config{lines: "pull nginx:1.25 --quiet|ps -a"})
	s.Want(p)
	s.Send("pu")
	s.Want(p + "pull nginx:1.25 --quiet")
	s.WantCursor(10, 0)
	s.Send("\x1b[1;5C") // C-Right: a word of it
	s.WantCursor(12, 0)
	s.Send("\x1bf")
	s.WantCursor(23, 0)
	s.Send("\x1b[C") // Right: all
	s.WantCursor(31, 0)
	s.Send("\x15ps\r") // what is only suggested is not entered
	s.Contains("[ps]")
}

func TestHistoryUpAndDown(t *testing.T) {
	s := start(t, config{lines: "pull a|ps|pull b"})
	s.Want(p)
	s.Send("\x1b[A")
	s.Want(p + "pull b")
	s.Send("\x10\x10") // C-p
	s.Want(p + "pull a")
	s.Send("\x1b[A\x1b[B\x0e") // at the end it stays; Down, C-n
	s.Want(p + "pull b")
	s.Send("\x1b[B")
	s.Want(p)
	s.Send("pu\x1b[A\x1b[A") // only what begins with it
	s.Want(p + "pull a")
	s.Send("\x1b[B\x1b[B")
	s.WantCursor(10, 0)
	s.Send("\x15\x1b[AX\r")
	s.Contains("[pull bX]")
	s.Send("\x1b[A")
	s.Until("the new line is the newest", func() bool { return strings.HasSuffix(s.Screen(), p+"pull bX") })
}

func TestSearch(t *testing.T) {
	s := start(t, config{lines: "pull nginx|ps -a|run nginx"})
	s.Want(p)
	s.Send("x\x12")
	s.Want(p+"x", "search:")
	s.Send("ngi")
	s.Want(p+"run nginx", "search: ngi", " run nginx", " pull nginx")
	s.WantCursor(12, 0)
	s.Send("\x12")
	s.Want(p+"pull nginx", "search: ngi", " run nginx", " pull nginx")
	s.Send("\x12\x13") // no older one; C-s goes back
	s.Want(p+"run nginx", "search: ngi", " run nginx", " pull nginx")
	s.Send("zz")
	s.Want(p+"x", "search, nothing found: ngizz")
	s.Send("\x7f\x7f\x07") // C-g gives up
	s.Want(p + "x")
	s.Send("\x12ps\x1b")
	s.Want(p + "ps -a")
	s.Send(" -q\r")
	s.Contains("[ps -a -q]")
	s.Send("\x12pull\r")
	s.Contains("[pull nginx]")
}

func TestSearchByLettersAndFilters(t *testing.T) {
	s := start(t, config{cols: 60, rows: 12, lines: "pull nginx|rm broken !|run --rm busybox true|images"})
	s.Want(p)
	s.Send("\x12rbt")
	s.Want(p+"run --rm busybox true", "search: rbt")
	s.Send("\x15\x1bf") // C-u empties the query; M-f: what failed
	s.Want(p+"rm broken !", "search (failed):")
	s.Send("\x1bf\x1bd")
	s.Contains("search (this folder):")
	s.Send("\x1be")
	s.Contains("search (this folder, this engine):")
	s.Send("\x07")
	s.Want(p)
}

// Many lines are found: the list scrolls, and leaves room for the line in a small window.
func TestSearchScrolls(t *testing.T) {
	lines := ""
	for i := range 20 {
		lines += fmt.Sprintf("|pull image-%02d", i)
	}
	s := start(t, config{cols: 30, rows: 5, lines: lines[1:]})
	s.Want(p)
	s.Send("\x12image")
	s.Want(p+"pull image-19", "?: image  1 of 20", " pull image-19", " pull image-18", " pull image-17")
	s.Send("\x12\x12\x12\x12")
	s.Want(p+"pull image-15", "?: image  5 of 20", " pull image-17", " pull image-16", " pull image-15")
	s.Send("\r")
	s.Contains("[pull image-15]")
}

func TestSessionsShareHistory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history.db")
	a, b := start(t, config{history: file}), start(t, config{history: file})
	a.Want(p)
	b.Want(p)
	a.Send("from a\r")
	a.Contains("[from a]")
	b.Send("\x1b[A")
	b.Want(p + "from a")
}

func TestSecretsAreNotRemembered(t *testing.T) {
	s := start(t, config{lines: "ps"})
	s.Want(p)
	s.Send("login -p hunter2\r")
	s.Contains("[login -p hunter2]")
	s.Send("\x1b[A")
	s.Until("ps is the newest", func() bool { return strings.HasSuffix(s.Screen(), p+"ps") })
}
