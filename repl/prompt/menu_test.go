package prompt_test

import (
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCompletionOfOneAndOfACommonPrefix(t *testing.T) {
	s := start(t, config{})
	s.want(p)
	s.send("pul\t")
	s.want(p + "pull")
	s.wantCursor(13, 0) // a space follows
	s.send("\x15nospace pul\t")
	s.want(p + "nospace pull")
	s.wantCursor(20, 0)
	s.send("\x15i\x08x\t")
	s.until("the bell", func() bool { return strings.Contains(s.output(), "\a") })
	s.send("\x15im\t")
	s.want(p+"im", " images  List images", " import  Import a tarball")
}

func TestMenu(t *testing.T) {
	s := start(t, config{})
	s.want(p)
	s.send("x i\t")
	all := []string{" images   List images", " import   Import a tarball", " inspect  Return low-level information on Docker objects, …"}
	menu := func(first string, items ...string) { t.Helper(); s.want(append([]string{first}, items...)...) }
	menu(p+"x i", all...)
	s.send("\t")
	menu(p+"x images", all...)
	s.send("\t\x1b[B") // Tab, Down
	menu(p+"x inspect", all...)
	s.send("\x1b[Z") // S-Tab
	menu(p+"x import", all...)
	s.send("\x1b") // Esc: as typed
	menu(p + "x i")
	s.send("\t")
	menu(p+"x i", all...)
	s.send("n")
	menu(p+"x in", all[2])
	s.send("\x7f")
	menu(p+"x i", all...)
	s.send("\x1b[A\r") // Up: the last; Enter accepts and does not run
	menu(p + "x inspect")
	s.wantCursor(18, 0)
	s.send("\r")
	s.want(p+"x inspect", "[x inspect ]", p)
}

func TestMenuScrolls(t *testing.T) {
	s := start(t, config{cols: 40, rows: 6})
	s.want(p)
	s.send("many \t")
	s.contains("1–4 of 40")
	s.send(strings.Repeat("\t", 7))
	s.contains(p + "many item-06")
	s.contains("4–7 of 40")
	s.send("\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A\x1b[A")
	s.contains(p + "many item-39")
	s.contains("37–40 of 40")
	s.send("\x03")
	s.contains("item-39^C")
	s.until("the menu goes", func() bool { return !strings.Contains(s.screen(), "of 40") })
}

func TestSlowCompletionBlocksNoKey(t *testing.T) {
	s := start(t, config{})
	s.want(p)
	s.send("slow l\t")
	s.send("a")
	s.want(p + "slow la") // at once, and the late answer is for another text
	time.Sleep(400 * time.Millisecond)
	s.want(p + "slow la")
	s.send("\t")
	s.want(p + "slow late")
}

func TestCompletionThatPanics(t *testing.T) {
	s := start(t, config{})
	s.want(p)
	s.send("crash \tstill here\r")
	s.contains("[crash still here]")
}

func TestTinyWindow(t *testing.T) {
	s := start(t, config{cols: 20, rows: 5})
	s.want(p)
	s.send("i\t\t")
	s.want(p+"images", " images   List ima…", " import   Import a…", " inspect  Return l…")
	s.send("\r\r")
	s.contains("[images ]")
}

func TestGhost(t *testing.T) {
	s := start(t, config{lines: "pull nginx:1.25 --quiet|ps -a"})
	s.want(p)
	s.send("pu")
	s.want(p + "pull nginx:1.25 --quiet")
	s.wantCursor(10, 0)
	s.send("\x1b[1;5C") // C-Right: a word of it
	s.wantCursor(12, 0)
	s.send("\x1bf")
	s.wantCursor(23, 0)
	s.send("\x1b[C") // Right: all
	s.wantCursor(31, 0)
	s.send("\x15ps\r") // what is only suggested is not entered
	s.contains("[ps]")
}

func TestHistoryUpAndDown(t *testing.T) {
	s := start(t, config{lines: "pull a|ps|pull b"})
	s.want(p)
	s.send("\x1b[A")
	s.want(p + "pull b")
	s.send("\x10\x10") // C-p
	s.want(p + "pull a")
	s.send("\x1b[A\x1b[B\x0e") // at the end it stays; Down, C-n
	s.want(p + "pull b")
	s.send("\x1b[B")
	s.want(p)
	s.send("pu\x1b[A\x1b[A") // only what begins with it
	s.want(p + "pull a")
	s.send("\x1b[B\x1b[B")
	s.wantCursor(10, 0)
	s.send("\x15\x1b[AX\r")
	s.contains("[pull bX]")
	s.send("\x1b[A")
	s.until("the new line is the newest", func() bool { return strings.HasSuffix(s.screen(), p+"pull bX") })
}

func TestSearch(t *testing.T) {
	s := start(t, config{lines: "pull nginx|ps -a|run nginx"})
	s.want(p)
	s.send("x\x12")
	s.want(p+"x", "search:")
	s.send("ngi")
	s.want(p+"run nginx", "search: ngi")
	s.wantCursor(12, 0)
	s.send("\x12")
	s.want(p+"pull nginx", "search: ngi")
	s.send("\x12\x13") // no older one; C-s goes back
	s.want(p+"run nginx", "search: ngi")
	s.send("zz")
	s.want(p+"x", "search, nothing found: ngizz")
	s.send("\x7f\x7f\x07") // C-g gives up
	s.want(p + "x")
	s.send("\x12ps\x1b")
	s.want(p + "ps -a")
	s.send(" -q\r")
	s.contains("[ps -a -q]")
	s.send("\x12pull\r")
	s.contains("[pull nginx]")
}

func TestSessionsShareHistory(t *testing.T) {
	file := filepath.Join(t.TempDir(), "history")
	a, b := start(t, config{history: file}), start(t, config{history: file})
	a.want(p)
	b.want(p)
	a.send("from a\r")
	a.contains("[from a]")
	b.send("\x1b[A")
	b.want(p + "from a")
}

func TestSecretsAreNotRemembered(t *testing.T) {
	s := start(t, config{lines: "ps"})
	s.want(p)
	s.send("login -p hunter2\r")
	s.contains("[login -p hunter2]")
	s.send("\x1b[A")
	s.until("ps is the newest", func() bool { return strings.HasSuffix(s.screen(), p+"ps") })
}
