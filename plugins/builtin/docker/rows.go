package docker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/distribution/reference"
	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/command/formatter"
	"github.com/docker/go-units"
	"github.com/moby/moby/api/types/container"
)

const imageIDHeader = "IMAGE ID"

// containerRow and imageRow are what the engine's terse lists hold.
type containerRow struct {
	ID, Image, ImageID, Command string
	Created                     int64 // Unix seconds
	Status                      string
	Ports                       []container.PortSummary
	Name                        string
}

type imageRow struct {
	ID            string
	Tags, Digests []string
	Created, Size int64
}

// containerRows is the table of `ps`, its headings first.
func containerRows(ctx context.Context, docker *command.DockerCli, flags listFlags) ([][]string, error) {
	list, err := containerList(ctx, docker, flags)
	if err != nil {
		return nil, err
	}
	if flags.seen != nil {
		for _, c := range list {
			flags.seen(c.ID)
		}
	}
	return containerTable(list, time.Now(), !flags.noTrunc), nil
}

func containerTable(list []containerRow, now time.Time, short bool) [][]string {
	rows := [][]string{{formatter.ContainerIDHeader, formatter.ImageHeader, "COMMAND", "CREATED", formatter.StatusHeader, formatter.PortsHeader, "NAMES"}}
	familiar := map[string]string{} // most containers are of few images
	for _, c := range list {
		id, command := c.ID, c.Command
		if short {
			id, command = formatter.TruncateID(id), formatter.Ellipsis(command, 20)
		}
		image, known := familiar[c.Image+c.ImageID]
		if !known {
			image = imageName(c.Image, c.ImageID, short)
			familiar[c.Image+c.ImageID] = image
		}
		rows = append(rows, []string{id, image, strconv.Quote(command), ago(c.Created, now), c.Status, formatter.DisplayablePorts(c.Ports), c.Name})
	}
	return rows
}

// imageName is how `ps` names an image: without a digest, and by its id where
// that is what the container was made from.
func imageName(name, id string, short bool) string {
	switch {
	case name == "":
		return "<no image>"
	case !short:
		return name
	case formatter.TruncateID(name) == formatter.TruncateID(id):
		return formatter.TruncateID(id)
	}
	ref, err := reference.ParseNormalizedNamed(name)
	if err != nil {
		return name
	}
	tagged, hasTag := ref.(reference.Tagged)
	if _, pinned := ref.(reference.Digested); !pinned {
		return reference.FamiliarString(ref)
	}
	plain := reference.TrimNamed(ref)
	if hasTag {
		return reference.FamiliarName(plain) + ":" + tagged.Tag()
	}
	return reference.FamiliarString(plain)
}

func ago(created int64, now time.Time) string {
	return units.HumanDuration(now.UTC().Sub(time.Unix(created, 0))) + " ago"
}

// agoTexts is ago for a long list: what is older than an hour has the same text for half an hour, since docker's
// words count hours, rounded, or something longer.
func agoTexts(now time.Time) func(created int64) string {
	const same = int64(30 * time.Minute / time.Second)
	known := map[int64]string{}
	return func(created int64) string {
		age := now.Unix() - created
		if age < 2*same {
			return ago(created, now)
		}
		text, ok := known[age/same]
		if !ok {
			text = ago(created, now)
			known[age/same] = text
		}
		return text
	}
}

// sizeTexts is docker's text of a size for a long list, in which many have the same.
func sizeTexts() func(bytes int64) string {
	known := map[int64]string{}
	return func(bytes int64) string {
		text, ok := known[bytes]
		if !ok {
			text = units.HumanSizeWithPrecision(float64(bytes), 3)
			known[bytes] = text
		}
		return text
	}
}

// imageRows is the table of `images`, its headings first. Images without a tag
// show with -a, or when the dangling ones are asked for.
func imageRows(ctx context.Context, docker *command.DockerCli, flags listFlags) ([][]string, error) {
	list, err := imageList(ctx, docker, flags)
	if err != nil {
		return nil, err
	}
	if dangling, asked := flags.filters["dangling"]; !flags.all && (!asked || dangling["false"]) {
		list = slices.DeleteFunc(list, func(i imageRow) bool { return len(i.Tags) == 0 })
	}
	return imageTable(list, time.Now(), !flags.noTrunc), nil
}

// containerList and imageList read the engine's lists as lines: to read ten thousand images as JSON took as long
// as all else.
func containerList(ctx context.Context, docker *command.DockerCli, flags listFlags) ([]containerRow, error) {
	text, err := listLines(ctx, docker, flags, "list containers", "/nacre/table/containers")
	if err != nil {
		return nil, err
	}
	return readContainerLines(text)
}

func imageList(ctx context.Context, docker *command.DockerCli, flags listFlags) ([]imageRow, error) {
	text, err := listLines(ctx, docker, flags, "list images", "/nacre/table/images")
	if err != nil {
		return nil, err
	}
	return readImageLines(text)
}

func listLines(ctx context.Context, docker *command.DockerCli, flags listFlags, doing, path string) (string, error) {
	query, err := flags.query()
	if err != nil {
		return "", err
	}
	body, err := Stream(ctx, docker.Client(), Request{Doing: doing, Method: http.MethodGet, Path: path, Query: query})
	if err != nil {
		return "", err
	}
	defer body.Close()
	text, err := readText(body)
	if err != nil {
		return "", fmt.Errorf("%s: %w", doing, err)
	}
	return text, nil
}

// readContainerLines reads lines of id, name, image, its id, time, status, quoted command and ports.
func readContainerLines(text string) ([]containerRow, error) {
	list := make([]containerRow, 0, strings.Count(text, "\n"))
	for line := range strings.Lines(text) {
		var fields [8]string
		rest := strings.TrimSuffix(line, "\n")
		for i := range fields {
			fields[i], rest, _ = strings.Cut(rest, "\t")
		}
		c := containerRow{ID: fields[0], Name: fields[1], Image: fields[2], ImageID: fields[3], Status: fields[5]}
		var err, commandErr, portsErr error
		c.Created, err = strconv.ParseInt(fields[4], 10, 64)
		c.Command, commandErr = strconv.Unquote(fields[6])
		if fields[7] != "" {
			portsErr = json.Unmarshal([]byte(fields[7]), &c.Ports)
		}
		if err != nil || commandErr != nil || portsErr != nil {
			return nil, fmt.Errorf("list containers: the engine answered with %q", line)
		}
		list = append(list, c)
	}
	return list, nil
}

// readImageLines reads lines of id, tags, digests, time and size.
func readImageLines(text string) ([]imageRow, error) {
	list := make([]imageRow, 0, strings.Count(text, "\n"))
	for line := range strings.Lines(text) {
		var fields [5]string
		rest := strings.TrimSuffix(line, "\n")
		for i := range fields {
			fields[i], rest, _ = strings.Cut(rest, "\t")
		}
		created, err := strconv.ParseInt(fields[3], 10, 64)
		size, sizeErr := strconv.ParseInt(fields[4], 10, 64)
		if err != nil || sizeErr != nil {
			return nil, fmt.Errorf("list images: the engine answered with %q", line)
		}
		list = append(list, imageRow{ID: fields[0], Tags: words(fields[1]), Digests: words(fields[2]), Created: created, Size: size})
	}
	return list, nil
}

func words(text string) []string {
	if text == "" {
		return nil
	}
	return strings.Split(text, ",")
}

func imageTable(list []imageRow, now time.Time, short bool) [][]string {
	rows := make([][]string, 1, len(list)+1)
	rows[0] = []string{"REPOSITORY", "TAG", imageIDHeader, formatter.CreatedSinceHeader, formatter.SizeHeader}
	ago, sizeOf := agoTexts(now), sizeTexts()
	for _, img := range list {
		id := img.ID
		if short {
			id = formatter.TruncateID(id)
		}
		created, size := ago(img.Created), sizeOf(img.Size)
		for _, name := range imageNames(img) {
			rows = append(rows, []string{name[0], name[1], id, created, size})
		}
	}
	return rows
}

// imageNames are the repositories and tags under which a table shows an image:
// all tags, repository by repository, then the repositories known by digest
// alone. The engine's names are the familiar ones already.
func imageNames(img imageRow) (names [][2]string) {
	const none = "<none>"
	if len(img.Tags) == 0 && len(img.Digests) == 0 {
		return [][2]string{{none, none}}
	}
	if len(img.Tags) == 1 && len(img.Digests) == 0 { // most of them, where there are very many
		repo, tag := splitTag(img.Tags[0])
		return [][2]string{{repo, tag}}
	}
	tags := map[string][]string{}
	var repos []string
	for _, name := range img.Tags {
		repo, tag := splitTag(name)
		if tags[repo] == nil {
			repos = append(repos, repo)
		}
		tags[repo] = append(tags[repo], tag)
	}
	for _, repo := range repos {
		for _, tag := range tags[repo] {
			names = append(names, [2]string{repo, tag})
		}
	}
	for _, name := range img.Digests {
		repo, _, _ := strings.Cut(name, "@")
		if tags[repo] == nil {
			tags[repo] = []string{none} // one row, however many digests
			names = append(names, [2]string{repo, none})
		}
	}
	return names
}

// splitTag divides name:tag; a colon before the last slash belongs to a port.
func splitTag(name string) (repo, tag string) {
	i := strings.LastIndexByte(name, ':')
	if i < strings.LastIndexByte(name, '/') || i < 0 {
		return name, "latest"
	}
	return name[:i], name[i+1:]
}
