package show

import (
	"net"
	"net/url"
	"os"
	"regexp"
	"strconv"
	"strings"
	"sync"
)

// Links makes hyperlinks (OSC 8) of what a terminal can open.
type Links struct {
	// Host is where published ports are: localhost, or the host of another engine.
	Host string
	// Targets are the URLs of cells that are known otherwise: the folder of an id.
	Targets map[string]string
	// Container is told the whole ids of containers, for Targets. May be nil.
	Container func(id string)
	// Folder gives the URL of a cell below a heading, "" for none. May be nil.
	Folder func(heading, cell string) string
}

// EnvLinks is the variable that decides about hyperlinks: always, never, or
// auto (also: not set), for terminals that are known to have them.
const EnvLinks = "NACRE_HYPERLINKS"

// linksOf decides whether the terminal shows hyperlinks. One that is not known
// gets none: some print what they do not understand.
func linksOf(getenv func(string) string) *Links {
	links := &Links{Host: "localhost"}
	switch getenv(EnvLinks) {
	case "always":
		return links
	case "never":
		return nil
	}
	if knowsLinks(getenv) {
		return links
	}
	return nil
}

// vteLinks is the first release of VTE (GNOME's, Xfce's, … terminal) whose
// hyperlinks are safe to use: 0.50.0, less the crash that 0.50.1 ended.
const vteLinks = 5001

func knowsLinks(getenv func(string) string) bool {
	kind, program := getenv("TERM"), getenv("TERM_PROGRAM")
	for _, through := range []string{"screen", "tmux"} { // what is behind them is not known
		if strings.HasPrefix(kind, through) {
			return false
		}
	}
	switch program {
	case "iTerm.app", "WezTerm", "ghostty", "vscode", "Hyper", "rio", "Tabby", "WarpTerminal":
		return true
	}
	for _, known := range []string{"xterm-kitty", "alacritty", "foot", "wezterm", "contour", "xterm-ghostty", "rio"} {
		if strings.HasPrefix(kind, known) {
			return true
		}
	}
	if vte, err := strconv.Atoi(getenv("VTE_VERSION")); err == nil {
		return vte >= vteLinks
	}
	for _, variable := range []string{"KITTY_WINDOW_ID", "WT_SESSION", "KONSOLE_VERSION", "DOMTERM"} {
		if getenv(variable) != "" {
			return true
		}
	}
	return false
}

// Link makes text a hyperlink. Parts with the same target are one link, also
// where a row ends between them.
func Link(target, text string) string {
	if target == "" || strings.ContainsFunc(target, func(r rune) bool { return r < 0x21 || r > 0x7e }) {
		return text
	}
	return "\x1b]8;;" + target + "\x1b\\" + text + "\x1b]8;;\x1b\\"
}

// FileURL names a file or folder of this host.
func FileURL(path string) string {
	host, err := os.Hostname()
	if err != nil {
		host = ""
	}
	return (&url.URL{Scheme: "file", Host: host, Path: path}).String()
}

// portForm is a published TCP port in `ps`: address, port, the container's.
// Ranges are no link: they have no page.
var portForm = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`(\S*):(\d+)->(\d+)/tcp`) })

// in makes the links of a piece of a cell.
func (l *Links) in(heading, cell, piece string) string {
	if target := l.Targets[cell]; target != "" {
		return Link(target, piece)
	}
	if l.Folder != nil {
		if target := l.Folder(heading, cell); target != "" {
			return Link(target, piece)
		}
	}
	if heading != "PORTS" {
		return piece
	}
	return portForm().ReplaceAllStringFunc(piece, func(text string) string {
		m := portForm().FindStringSubmatch(text)
		return Link(l.page(m[1], m[2], m[3]), text)
	})
}

// page is the URL of a published port.
func (l *Links) page(address, port, inside string) string {
	host := l.Host
	if ip := net.ParseIP(strings.Trim(address, "[]")); ip != nil && !ip.IsUnspecified() {
		host = ip.String()
	}
	scheme := "http"
	if inside == "443" || inside == "8443" {
		scheme = "https"
	}
	return scheme + "://" + net.JoinHostPort(host, port)
}
