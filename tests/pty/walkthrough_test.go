package pty

import (
	"strings"
	"testing"
)

// walkthrough types the lines that tutorials teach and that want a terminal:
// leaving a container's shell ends it, detaching and leaving an exec do not.
func walkthrough(t *testing.T, w *world) {
	prepareUbuntu(t, w)
	s := w.open(t)
	back := func() {
		s.Until("back at the prompt", func() bool { return strings.HasSuffix(s.Screen(), "\n"+strings.TrimRight(p, " ")) })
	}
	inside := func() {
		s.Until("the container's prompt", func() bool { return strings.HasSuffix(s.Screen(), "\n/ #") })
	}
	s.Send("docker run -it ubuntu /bin/bash\r")
	inside()
	s.Send("echo in''side $((40+2))\r")
	s.Contains("\ninside 42\n/ #")
	s.Send("exit\r")
	back()
	s.Send("docker ps -a --format '{{.Image}} {{.State}}'\r")
	ends(s, "ubuntu exited")

	s.Send("docker run -it --name kept ubuntu /bin/bash\r")
	inside()
	s.Send("\x10\x11") // ctrl-p ctrl-q
	back()
	state := func(want string) {
		s.Send("docker inspect -f '{{.State.Status}}' kept\r")
		ends(s, want)
	}
	state("running")
	s.Send("docker exec -it kept bash\r")
	inside()
	s.Send("exit\r")
	back()
	state("running")
	s.Send("docker attach kept\r")
	s.Contains("docker attach kept")
	s.Send("\r") // it has nothing to say by itself
	inside()
	s.Send("exit\r")
	back()
	state("exited")
	s.Send("docker rm -f $(docker ps -aq)\r")
	s.Contains("docker rm -f")
	s.Send("docker ps -aq | wc -l\r")
	ends(s, "0")
	leave(s)
}

// prepareUbuntu makes an image of that name, which has a bash.
func prepareUbuntu(t *testing.T, w *world) {
	w.once(t, "run", "--name", "made", w.image, "sh", "-c", `printf '#!/bin/sh\nexec sh "$@"\n' > /bin/bash; chmod 755 /bin/bash`)
	w.once(t, "commit", "made", "ubuntu")
	w.once(t, "rm", "made")
}
