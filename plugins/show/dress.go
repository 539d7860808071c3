package show

import "strings"

// dress gives a piece of a cell its colour and its links. The piece's width
// stays: escape sequences have none.
func (w Window) dress(heading, cell, piece string) string {
	if piece == "" {
		return ""
	}
	if w.Links != nil {
		piece = w.Links.in(heading, cell, piece)
	}
	if colour := colourOf(heading, cell); w.Colours && colour != "" {
		return "\x1b[" + colour + "m" + piece + "\x1b[0m"
	}
	return piece
}

func colourOf(heading, cell string) string {
	switch {
	case cell == "<none>" || cell == "<missing>":
		return faint
	case heading == "STATUS":
		return statusColour(cell)
	}
	return ""
}

// SGR parameters.
const (
	faint  = "2"
	red    = "31"
	green  = "32"
	yellow = "33"
)

// statusColour is the colour of how a container or a mirror stands.
func statusColour(status string) string {
	up := strings.HasPrefix(status, "Up ")
	switch {
	case up && strings.HasSuffix(status, "(unhealthy)"), status == "Dead", strings.HasPrefix(status, "Restarting "):
		return red
	case up && (strings.HasSuffix(status, "(Paused)") || strings.HasSuffix(status, "(health: starting)")):
		return yellow
	case up, status == "in use":
		return green
	case strings.HasPrefix(status, "Exited (0)"), status == "disabled":
		return faint
	case strings.HasPrefix(status, "Exited "):
		return red
	case status == "Created", status == "Removal In Progress":
		return yellow
	}
	return ""
}
