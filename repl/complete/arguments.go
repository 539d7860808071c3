package complete

import (
	"context"
	"slices"
	"strings"
	"time"

	units "github.com/docker/go-units"

	"github.com/nacre-sh/nacre/plugins"
)

// what an argument is. Docker's words for the same command, as in `container
// rm` and `rm`, are brought to the short one first.
type what int

const (
	imageName     what = iota + 1 // a local image
	imageWanted                   // an image that will be pulled where it is not local
	imageToRemove                 // also those without a name
	anyContainer
	running
	paused
	stopped
	mayStop // running or paused
	volumeName
	networkName
	insidePath   // a program or file in the container that is the first argument
	inImagePath  // the same in an image
	settingName  // a key of the engine's configuration
	removedName  // what `undo` can bring back
	serverName   // a registry that there are credentials for
	copyPath     // CONTAINER:PATH or a path of the host
	variableName // of the environment
	anyObject
)

// arguments says what each argument of a command is; the last holds for all
// that follow. A command that is not here completes by its own function.
var arguments = map[string][]what{
	"attach": {running, 0}, "exec": {running, insidePath}, "stop": {mayStop}, "kill": {mayStop}, "pause": {running},
	"unpause": {paused}, "start": {stopped}, "restart": {anyContainer}, "rm": {anyContainer}, "logs": {anyContainer, 0},
	"top": {running, 0}, "stats": {running}, "port": {running, 0}, "wait": {mayStop}, "rename": {anyContainer, 0},
	"update": {anyContainer}, "diff": {anyContainer, 0}, "export": {anyContainer, 0}, "commit": {anyContainer, imageName, 0},
	"cp": {copyPath}, "container inspect": {anyContainer},
	"run": {imageWanted, inImagePath}, "create": {imageWanted, inImagePath}, "pull": {imageWanted, 0}, "rmi": {imageToRemove}, "push": {imageName, 0},
	"tag": {imageName, imageName, 0}, "save": {imageName}, "history": {imageName, 0}, "image inspect": {imageName},
	"inspect": {anyObject}, "undo": {removedName}, "config set": {settingName, 0}, "config add": {settingName, 0}, "config unset": {settingName, 0}, "logout": {serverName, 0}, "login": {serverName, 0},
	"registry inspect": {imageWanted, 0}, "registry tags": {imageWanted, 0}, "registry copy": {imageWanted, imageWanted, 0}, "registry rm": {imageWanted}, "registry ls": {serverName, 0},
	"manifest create": {imageWanted}, "manifest annotate": {imageWanted, imageWanted, 0}, "manifest inspect": {imageWanted, imageWanted, 0}, "manifest push": {imageWanted, 0}, "manifest rm": {imageWanted},
	"volume rm": {volumeName}, "volume inspect": {volumeName},
	"network rm": {networkName}, "network inspect": {networkName}, "network connect": {networkName, anyContainer, 0}, "network disconnect": {networkName, anyContainer, 0},
}

// short brings the words of a command to the form that the tables have.
func short(path string) string {
	switch path {
	case "image rm", "image remove":
		return "rmi"
	case "image ls", "image list":
		return "images"
	case "container ls", "container list", "container ps":
		return "ps"
	case "container remove":
		return "rm"
	}
	if group, verb, found := strings.Cut(path, " "); found && verb != "inspect" && verb != "prune" {
		switch {
		case group == "container":
			return verb
		case group == "image" && slices.Contains([]string{"pull", "push", "tag", "save", "history", "load", "import", "build"}, verb):
			return verb
		case group == "system" && (verb == "events" || verb == "info"):
			return verb
		}
	}
	return path
}

// positional completes an argument that the tables know.
func (c *Completer) positional(ctx context.Context, t *typing) (answer, bool) {
	kinds, known := arguments[short(t.path)]
	if !known || t.cmd.DisableFlagParsing {
		return answer{}, false
	}
	n := len(t.args)
	w := kinds[min(n, len(kinds)-1)]
	if w == 0 {
		return answer{}, false
	}
	e := c.engine(t.globals)
	none := plugins.Directive{NoFiles: true}
	switch w {
	case copyPath:
		return c.copyArgument(ctx, e, t), true
	case insidePath:
		return insideArgument(ctx, e.inContainer(t.args[0]), t), true
	case inImagePath:
		return insideArgument(ctx, e.inImage(t.args[0]), t), true
	case imageWanted:
		return c.wanted(ctx, e, t), true
	}
	list := without(c.objects(ctx, e, w, t.word), t.args)
	return answer{list: list, d: none}, true
}

// without leaves out what was given already. The list stays as it is.
func without(list []plugins.Candidate, args []string) []plugins.Candidate {
	if len(args) == 0 {
		return list
	}
	kept := make([]plugins.Candidate, 0, len(list))
	for _, c := range list {
		if !slices.Contains(args, c.Text) {
			kept = append(kept, c)
		}
	}
	return kept
}

// objects lists what an argument can be.
func (c *Completer) objects(ctx context.Context, e *engine, w what, word string) []plugins.Candidate {
	switch w {
	case settingName:
		return settingNames
	case removedName:
		return e.removed(ctx)
	case serverName:
		return c.servers()
	case imageName, imageWanted, imageToRemove:
		e.need(ctx, images)
		return append(slices.Clip(e.imageNames()), imageIDs(e.imageList(), w == imageToRemove, word)...)
	case volumeName:
		e.need(ctx, volumes)
		return namedCandidates(e.namedList(volumes))
	case networkName:
		e.need(ctx, networks)
		return namedCandidates(e.namedList(networks))
	case anyObject:
		e.need(ctx, containers)
		e.need(ctx, images)
		e.need(ctx, volumes)
		e.need(ctx, networks)
		list := containerCandidates(e.containerList(), anyContainer, word)
		list = append(list, e.imageNames()...)
		list = append(list, imageIDs(e.imageList(), false, word)...)
		list = append(list, namedCandidates(e.namedList(volumes))...)
		return append(list, namedCandidates(e.namedList(networks))...)
	}
	e.need(ctx, containers)
	return containerCandidates(e.containerList(), w, word)
}

const shortID = 12

// isID tells whether a word looks like the beginning of an id that nobody types as a name.
func isID(word string) bool {
	return len(word) >= 3 && strings.Trim(word, "0123456789abcdef") == ""
}

// imageCandidates are the images by name, and how large and old they are.
func imageCandidates(list []Image) []plugins.Candidate {
	out := make([]plugins.Candidate, 0, len(list))
	now := time.Now()
	for _, i := range list {
		about := aboutImage(i, now)
		for _, tag := range i.RepoTags {
			if tag != nameless {
				out = append(out, plugins.Candidate{Text: strings.TrimSuffix(tag, ":latest"), Description: about})
			}
		}
	}
	return out
}

const nameless = "<none>:<none>"

func aboutImage(i Image, now time.Time) string {
	return units.HumanSizeWithPrecision(float64(i.Size), 3) + ", " + units.HumanDuration(now.Sub(time.Unix(i.Created, 0))) + " old"
}

// imageIDs are the images by id: those without a name, and those whose id was begun.
func imageIDs(list []Image, all bool, word string) []plugins.Candidate {
	begun := isID(word)
	if !all && !begun {
		return nil
	}
	var out []plugins.Candidate
	for _, i := range list {
		id := strings.TrimPrefix(i.ID, "sha256:")
		named := len(i.RepoTags) > 0 && i.RepoTags[0] != nameless
		if (named || !all) && !(begun && strings.HasPrefix(id, word)) || len(id) < shortID {
			continue
		}
		what := "<none>, "
		if named {
			what = i.RepoTags[0] + ", "
		}
		out = append(out, plugins.Candidate{Text: id[:max(shortID, min(len(word), len(id)))], Description: what + aboutImage(i, time.Now())})
	}
	return out
}

// fits tells whether a container in a state can be meant.
func (w what) fits(state string) bool {
	switch w {
	case running:
		return state == "running"
	case paused:
		return state == "paused"
	case stopped:
		return state == "created" || state == "exited"
	case mayStop:
		return state == "running" || state == "paused" || state == "restarting"
	}
	return true
}

func containerCandidates(list []Container, w what, word string) []plugins.Candidate {
	var out []plugins.Candidate
	for _, c := range list {
		if !w.fits(c.State) {
			continue
		}
		about := c.Image + ", " + strings.ToLower(c.Status)
		for _, n := range c.Names {
			if n = strings.TrimPrefix(n, "/"); !strings.Contains(n, "/") {
				out = append(out, plugins.Candidate{Text: n, Description: about})
			}
		}
		if isID(word) && strings.HasPrefix(c.ID, word) && len(c.Names) > 0 && len(c.ID) >= shortID {
			out = append(out, plugins.Candidate{Text: c.ID[:max(shortID, min(len(word), len(c.ID)))], Description: strings.TrimPrefix(c.Names[0], "/") + ", " + about})
		}
	}
	return out
}

func namedCandidates(list []Named) []plugins.Candidate {
	out := make([]plugins.Candidate, 0, len(list))
	for _, n := range list {
		out = append(out, plugins.Candidate{Text: n.Name, Description: n.Driver})
	}
	return out
}

// luaText completes the last name of a piece of Lua.
func (c *Completer) luaText(word string) (answer, bool) {
	if c.options.Lua == nil {
		return answer{}, false
	}
	at := strings.LastIndexFunc(word, func(r rune) bool {
		return r != '.' && r != '_' && (r < '0' || r > '9') && (r < 'a' || r > 'z') && (r < 'A' || r > 'Z')
	}) + 1
	return answer{list: c.options.Lua(), skip: at, d: plugins.Directive{NoFiles: true, NoSpace: true}}, true
}
