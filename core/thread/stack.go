package thread

// room is how deep a request's work goes, in bytes: docker's commands, HTTP,
// JSON and SQL lie on top of each other. Measured; more would be memory for nothing.
const room = 20 << 10

// GrowStack gives the calling goroutine's stack the room at once that a request
// needs. It would grow there anyway, but in four steps, each of which moves
// everything that already lies on it: a twentieth of what a short command costs.
// To be called where little lies on it yet.
func GrowStack() { grow(false) }

//go:noinline
func grow(use bool) {
	if use { // never, so that the room is asked for and not cleared
		var frame [room]byte
		fill(&frame)
	}
}

//go:noinline
func fill(frame *[room]byte) { frame[0] = 1 }
