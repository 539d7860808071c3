package complete

import (
	"archive/tar"
	"context"
	"errors"
	"io"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/nacre-sh/nacre/plugins"
)

// file is one name in a folder of a container.
type file struct {
	Name   string
	Folder bool
}

const (
	// insideTime is how long a folder of a container may take.
	insideTime = 2 * time.Second
	// mostArchive bounds what is read of an archive to find the names in a folder.
	mostArchive = 16 << 20
)

var errNotServed = errors.New("not served")

// folder lists a folder of a container. Nacre's engine has a route for that;
// from others comes the archive of the folder, of which the names are kept.
func (e *engine) folder(ctx context.Context, container, dir string) ([]file, error) {
	ctx, cancel := context.WithTimeout(ctx, insideTime)
	defer cancel()
	var list []file
	at := "/containers/" + url.PathEscape(container)
	err := e.get(ctx, "/nacre"+at+"/files", url.Values{"path": {dir}}, &list)
	if err == nil {
		return list, nil
	}
	return e.archived(ctx, at, dir)
}

func (e *engine) archived(ctx context.Context, at, dir string) ([]file, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, "http://engine"+at+"/archive?"+url.Values{"path": {dir}}.Encode(), nil)
	if err != nil {
		return nil, err
	}
	resp, err := e.http.Do(req)
	if err != nil {
		return nil, err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return nil, errNotServed
	}
	var list []file
	for t := tar.NewReader(io.LimitReader(resp.Body, mostArchive)); ; {
		h, err := t.Next()
		if err != nil {
			return list, nil // the end, of the archive or of what is read of it
		}
		_, name, _ := strings.Cut(strings.TrimSuffix(h.Name, "/"), "/") // the folder's own name stands first
		if first, _, deeper := strings.Cut(name, "/"); first != "" && !deeper {
			list = append(list, file{Name: first, Folder: h.Typeflag == tar.TypeDir})
		}
	}
}

// insidePaths are the candidates for a path in a container.
func (e *engine) insidePaths(ctx context.Context, container, word string) []plugins.Candidate {
	dir, base := path.Split(word)
	list, err := e.folder(ctx, container, path.Clean("/"+dir))
	if err != nil {
		return nil
	}
	var out []plugins.Candidate
	for _, f := range list {
		if strings.HasPrefix(f.Name, ".") && !strings.HasPrefix(base, ".") {
			continue
		}
		text := dir + f.Name
		if f.Folder {
			text += "/"
		}
		out = append(out, plugins.Candidate{Text: text})
	}
	return out
}

// unfinished says that no space follows a folder.
func unfinished(list []plugins.Candidate) bool {
	return slices.ContainsFunc(list, func(c plugins.Candidate) bool { return strings.HasSuffix(c.Text, "/") })
}

// insideArgument completes what follows `exec CONTAINER`: a program, then paths.
func (c *Completer) insideArgument(ctx context.Context, e *engine, t *typing) answer {
	container := t.args[0]
	if strings.HasPrefix(t.word, "/") {
		list := e.insidePaths(ctx, container, t.word)
		return answer{list: list, d: plugins.Directive{NoFiles: true, NoSpace: unfinished(Choose(list, t.word))}}
	}
	if len(t.args) > 1 {
		return answer{d: plugins.Directive{NoFiles: true}}
	}
	known := map[string]bool{}
	var list []plugins.Candidate
	for _, dir := range []string{"/bin", "/usr/bin", "/usr/local/bin", "/sbin", "/usr/sbin"} {
		files, err := e.folder(ctx, container, dir)
		if err != nil {
			continue
		}
		for _, f := range files {
			if !f.Folder && !known[f.Name] {
				known[f.Name] = true
				list = append(list, plugins.Candidate{Text: f.Name, Description: dir})
			}
		}
	}
	return answer{list: list, d: plugins.Directive{NoFiles: true}}
}

// copyArgument completes `cp`: CONTAINER:PATH, or a path of the host.
func (c *Completer) copyArgument(ctx context.Context, e *engine, t *typing) answer {
	if container, inside, found := strings.Cut(t.word, ":"); found && !strings.Contains(container, "/") {
		list := e.insidePaths(ctx, container, inside)
		skip := len(container) + 1
		return answer{list: list, skip: skip, d: plugins.Directive{NoFiles: true, NoSpace: unfinished(Choose(list, inside))}}
	}
	if strings.ContainsAny(t.word, "/~") || strings.HasPrefix(t.word, ".") {
		return answer{d: plugins.Directive{Files: true}}
	}
	list := c.objects(ctx, e, anyContainer, t.word)
	for i := range list {
		list[i].Text += ":"
	}
	if len(Choose(list, t.word)) == 0 {
		return answer{d: plugins.Directive{Files: true}}
	}
	return answer{list: list, d: plugins.Directive{Files: true, NoSpace: true}}
}
