package docker

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/cli/cli/command"
	"github.com/moby/moby/client"
	"github.com/spf13/cobra"

	"github.com/nacre-sh/nacre/plugins"
	"github.com/nacre-sh/nacre/plugins/show"
)

// What engines and docker/cli say where a line can be mended.
var (
	missing     = whenNeeded(`(?i)no such (container|image|object|network|volume): ?([^\s,]+)|network ([^\s,]+) not found|get ([^\s,]+): no such volume|image does not exist locally with the tag: ([^\s,]+)`)
	notRunning  = whenNeeded(`(?i)container \S+ is not running|cannot attach to a stopped container`)
	isPaused    = whenNeeded(`(?i)container \S+ is paused, unpause|cannot attach to a paused container|cannot start a paused container`)
	nameTaken   = whenNeeded(`container name "/?([^"]+)" is already in use`)
	stillRuns   = whenNeeded(`cannot remove container .*container is running`)
	hexadecimal = whenNeeded(`^(sha256:)?[0-9a-f]{4,64}$`)
)

// whenNeeded compiles an expression when it is first used: no command that succeeds needs one.
func whenNeeded(expression string) func() *regexp.Regexp {
	return sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(expression) })
}

// mendWait bounds the search for what may have been meant: a moment, but on a
// busy machine or at an engine far away.
const mendWait = 5 * time.Second

// mend looks for a way to mend one line that failed.
type mend struct {
	ctx    context.Context
	engine client.APIClient
	verb   string // as in "run", "volume inspect"
	args   []string
	err    error
}

// mendable adds to an error what may have been meant, or what would help. It is
// for people: where errors do not go to a terminal, docker's words stay alone.
func mendable(cmd *cobra.Command, args []string, docker *command.DockerCli, err error) error {
	ctx := cmd.Context()
	person := docker.Err().IsTerminal() || show.TerminalOf(ctx) != nil // behind a page, errors are held back, too
	if err == nil || ctx.Err() != nil || !person || len(args) == 0 {
		return err
	}
	var status *plugins.StatusError
	if errors.As(err, &status) && status.Err == nil {
		return err // a container's own status
	}
	ctx, cancel := context.WithTimeout(ctx, mendWait)
	defer cancel()
	m := mend{ctx: ctx, engine: docker.Client(), verb: verbOf(cmd), args: args, err: err}
	for _, try := range []func() (plugins.Offer, bool){m.misspelled, m.absent, m.resting, m.taken, m.held} {
		if o, ok := try(); ok {
			return plugins.WithOffer(err, o)
		}
	}
	return err
}

// verbOf names a command in docker's short form: `container exec` is "exec".
func verbOf(cmd *cobra.Command) string {
	name := cmd.Name()
	switch group := cmd.Parent(); {
	case group == nil || !group.HasParent() || group.Name() == "container" && name != "inspect":
		return name
	case group.Name() == "image" && slices.Contains([]string{"pull", "push", "tag", "save", "history"}, name):
		return name
	default:
		return group.Name() + " " + name
	}
}

// Commands whose line may run again with another name: harmless ones when Enter
// is pressed, those that change something only when `y` is.
var (
	harmless = []string{"run", "create", "start", "inspect", "logs", "top", "port", "diff", "history", "attach", "exec", "stats", "wait", "pull", "export", "save",
		"volume inspect", "network inspect", "container inspect", "image inspect"}
	changing = []string{"cp", "commit", "tag", "push", "rename", "update", "pause", "unpause", "network connect"}
)

// named is the offer to take another word for one of the line.
func (m *mend) named(word, near string) plugins.Offer {
	text := fmt.Sprintf("Did you mean '%s'?", near)
	o := plugins.Offer{Hint: text, Question: text, Word: word, With: near}
	switch {
	case slices.Contains(harmless, m.verb):
	case slices.Contains(changing, m.verb):
		o.Careful = true
	default:
		o.Question = ""
	}
	return o
}

// misspelled finds the name that was meant.
func (m *mend) misspelled() (plugins.Offer, bool) {
	kind, word := m.unknown()
	if word == "" {
		return plugins.Offer{}, false
	}
	names := namesOf(m.ctx, m.engine, kind)
	if kind == "image" && slices.Contains([]string{"run", "create", "pull"}, m.verb) {
		names = append(names, wellKnown...)
	}
	near := plugins.Nearest(word, names)
	if near == "" || near == word {
		return plugins.Offer{}, false
	}
	return m.named(word, near), true
}

// unknown is the name in the error that means nothing to the engine, and what it should be.
func (m *mend) unknown() (kind, word string) {
	if g := missing().FindStringSubmatch(m.err.Error()); g != nil {
		switch {
		case g[3] != "":
			return "network", g[3]
		case g[4] != "":
			return "volume", g[4]
		case g[5] != "":
			return "image", m.typed(g[5])
		}
		return strings.ToLower(g[1]), m.typed(g[2])
	}
	if slices.Contains([]string{"run", "create", "pull"}, m.verb) && !m.here(m.args[0]) {
		return "image", m.args[0] // it could not be pulled, whatever the reason
	}
	return "", ""
}

// typed is the name as it stands in the line: docker adds a tag.
func (m *mend) typed(word string) string {
	if short := strings.TrimSuffix(word, ":latest"); slices.Contains(m.args, short) {
		return short
	}
	return word
}

// here tells whether an image is local; one that cannot be asked for counts as such.
func (m *mend) here(image string) bool {
	_, err := m.engine.ImageInspect(m.ctx, image)
	return err == nil || !errdefs.IsNotFound(err)
}

// absent offers to pull an image that a command needs and that is not here.
func (m *mend) absent() (plugins.Offer, bool) {
	kind, word := m.unknown()
	takes := slices.Contains([]string{"tag", "push", "save", "history", "image inspect"}, m.verb)
	if m.verb == "inspect" { // any word may be a container's name: only what looks like an image
		takes = strings.ContainsAny(word, "/:") || slices.Contains(wellKnown, word)
		kind = "image"
	}
	if !takes || kind != "image" || hexadecimal().MatchString(word) {
		return plugins.Offer{}, false
	}
	if _, err := reference.ParseNormalizedNamed(word); err != nil {
		return plugins.Offer{}, false
	}
	return plugins.Offer{
		Question: fmt.Sprintf("Pull %s now?", word), First: []string{"pull", word}, Careful: slices.Contains(changing, m.verb) && m.verb != "tag",
	}, true
}

// resting offers to start, or to let go on, the container that a command needs running.
func (m *mend) resting() (plugins.Offer, bool) {
	if !slices.Contains([]string{"exec", "attach", "top", "start", "pause"}, m.verb) {
		return plugins.Offer{}, false
	}
	text, name := m.err.Error(), m.args[0]
	switch {
	case isPaused().MatchString(text):
		return plugins.Offer{Question: fmt.Sprintf("Unpause %s now?", name), First: []string{"unpause", name}}, true
	case notRunning().MatchString(text):
		return plugins.Offer{Question: fmt.Sprintf("Start %s now?", name), First: []string{"start", name}}, true
	}
	return plugins.Offer{}, false
}

// taken offers the nearest free name for a container.
func (m *mend) taken() (plugins.Offer, bool) {
	g := nameTaken().FindStringSubmatch(m.err.Error())
	if g == nil || !slices.Contains([]string{"run", "create", "rename"}, m.verb) {
		return plugins.Offer{}, false
	}
	names := namesOf(m.ctx, m.engine, "container")
	if !slices.Contains(names, g[1]) { // the engine does not say
		return plugins.Offer{}, false
	}
	free := ""
	for n := 2; free == "" || slices.Contains(names, free); n++ {
		free = fmt.Sprintf("%s-%d", g[1], n)
	}
	return plugins.Offer{Question: fmt.Sprintf("Call it '%s'?", free), Word: g[1], With: free, Careful: true}, true
}

// held says how a container that runs is removed; nobody is asked.
func (m *mend) held() (plugins.Offer, bool) {
	if m.verb != "rm" || !stillRuns().MatchString(m.err.Error()) {
		return plugins.Offer{}, false
	}
	return plugins.Offer{Hint: fmt.Sprintf("`rm -f %s` ends and removes it.", strings.Join(m.args, " "))}, true
}

// wellKnown are images of Docker Hub that people begin with.
var wellKnown = []string{
	"alpine", "busybox", "debian", "ubuntu", "fedora", "centos", "almalinux", "rockylinux", "archlinux", "hello-world", "registry",
	"nginx", "httpd", "caddy", "traefik", "haproxy", "mysql", "mariadb", "postgres", "redis", "mongo", "memcached", "elasticsearch", "rabbitmq",
	"python", "node", "golang", "openjdk", "ruby", "rust", "php", "perl", "gcc", "maven", "gradle", "tomcat", "wordpress", "nextcloud", "ghost", "jenkins",
	"consul", "vault", "influxdb", "grafana/grafana", "prom/prometheus",
}
