package pty

import (
	"regexp"
	"strings"
	"testing"
)

// shortcuts: !!, !$, abbreviations, aliases, functions, another editor, and what Ctrl-R finds.
func shortcuts(t *testing.T, w *world) {
	s := w.open(t, "EDITOR=sed -i s/draft/final/")
	s.Send("echo one two\r")
	ends(s, "one two")
	s.Send("echo !$ !!\r")
	s.Contains(p + "echo two echo one two\n")
	ends(s, "two echo one two")
	s.Send("abbr ec echo -n abbreviated\r")
	s.Until("it is kept", func() bool { return strings.HasSuffix(s.Screen(), "abbreviated\n"+strings.TrimRight(p, " ")) })
	s.Send("ec ; echo\r")
	s.Contains(p + "echo -n abbreviated ; echo\n")
	ends(s, "abbreviated")
	s.Send("alias hail='echo all'; hi() { echo \"hi $1\"; }\r")
	s.Send("hail; hi you\r")
	ends(s, "all\nhi you")
	s.Send("hai\t")
	s.Until("the alias completes", func() bool { return strings.HasSuffix(s.Screen(), p+"hail") })
	s.Send("\x15echo draft\x18\x05")
	s.Until("the editor's text", func() bool { return strings.HasSuffix(s.Screen(), p+"echo final") })
	s.Send("\r")
	ends(s, "final")
	s.Send("\x12one two\x1bd") // Ctrl-R, in this folder only
	s.Contains("search (this folder): one two")
	s.Send("\r")
	s.Until("the line ran again", func() bool {
		return strings.Count(s.Screen(), "\ntwo echo one two") >= 2 || strings.Count(s.Screen(), "\none two") >= 2
	})
	s.Send("abbr --remove ec\r")
	s.Send("abbr; echo none\r")
	ends(s, "none")
	leave(s)
}

// previewAndColours: what a line would hit is said before it runs; an image that is not there has another colour.
func previewAndColours(t *testing.T, w *world) {
	w.once(t, "create", "--name", "doomed", w.image, "true")
	s := w.open(t)
	s.Send("rmi -f $(images -aq)")
	s.Until("the preview", func() bool { return previewForm.MatchString(s.Screen()) })
	s.Send("\x15rm doomed")
	s.Contains("\n→ 1 container: doomed")
	s.Send("\x15container prune")
	s.Contains("\n→ 1 stopped container: doomed")
	w.once(t, "-c", "volume create kept; volume create spare; network create lonely; create --name holds -v kept:/k "+w.image)
	for line, want := range map[string]string{
		"volume rm kept spare nope": "2 volumes, 1 in use (refused), 1 not there: kept, spare",
		"volume prune":              "0 unused volumes",
		"volume prune -a":           "1 unused volume: spare",
		"network rm lonely bridge":  "2 networks, 1 in use or built in (refused): lonely, bridge",
		"network prune -f":          "1 unused network: lonely",
		"system prune":              "2 stopped containers, 0 unused images, 1 unused network",
		"system prune --volumes":    "2 stopped containers, 0 unused images, 1 unused network, nameless volumes",
	} {
		s.Send("\x15" + line)
		s.Contains("\n→ " + want)
	}
	s.Send("\x15")
	w.once(t, "-c", "rm holds; volume rm kept spare; network rm lonely")
	s.Send("\x15run bb")
	s.Contains(p + "run bb")
	missing, there := s.Foreground(12, 0), s.Foreground(8, 0)
	if missing != s.Foreground(13, 0) || there == missing {
		t.Errorf("colours %d and %d", there, missing)
	}
	s.Send("x")
	s.Until("a missing image has another colour", func() bool { return s.Foreground(12, 0) != missing })
	s.Send("\x7f")
	s.Until("one that is there has not", func() bool { return s.Foreground(12, 0) == missing })
	w.once(t, "tag", w.image, "bbx") // from another process
	s.Send("x")
	s.Until("the new one is there", func() bool { return s.Foreground(14, 0) == missing })
	w.once(t, "rmi", "bbx")
	s.Until("and gone again, without a key", func() bool { return s.Foreground(14, 0) != missing })
	s.Send("\x15rm doomed\r")
	ends(s, "doomed")
	leave(s)
}

var previewForm = regexp.MustCompile(`\n→ [0-9]+ images?, [0-9.]+ [kM]B, 1 in use`)

// farNamesComplete: files in a container, whether it runs or not, and what a registry has.
func farNamesComplete(t *testing.T, w *world) {
	w.once(t, "run", "-d", "--name", "shelf", w.image, "sh", "-c", "mkdir -p /books/old; touch /books/new; sleep 1000")
	defer w.once(t, "rm", "-f", "shelf")
	w.once(t, "exec", "shelf", "sh", "-c", "until [ -e /books/new ]; do sleep 0.05; done")
	s := w.open(t)
	s.Send("cp shelf:/boo\t")
	s.Want(p + "cp shelf:/books/")
	s.Send("o\t")
	s.Want(p + "cp shelf:/books/old/")
	s.Send("\x15exec shelf cat /books/ne\t")
	s.Want(p + "exec shelf cat /books/new")
	s.Send("\x15exec shelf unlz\t") // a program of its
	s.Want(p + "exec shelf unlzma")
	s.Send("\x15run --rm " + w.image + " /bin/unlz\t") // in an image that no container has
	s.Want(p + "run --rm " + w.image + " /bin/unlzma")
	s.Send("\x15run --rm " + w.image + " ntpd\t")
	s.Want(p + "run --rm " + w.image + " ntpd")
	s.Send("\x15kill shelf\r")
	ends(s, "shelf")
	s.Send("cp shelf:/boo\t")
	s.Until("it is looked into where it does not run", func() bool { return strings.HasSuffix(s.Screen(), p+"cp shelf:/books/") })
	s.Send("\x15pull " + w.registry + "/libr\t")
	s.Until("the repository", func() bool { return strings.HasSuffix(s.Screen(), p+"pull "+w.registry+"/library/busybox") })
	s.Send(":lat\t")
	s.Until("the tag", func() bool { return strings.HasSuffix(s.Screen(), p+"pull "+w.registry+"/library/busybox:latest") })
	s.Send("\x15")
	leave(s)
}
