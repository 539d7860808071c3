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
	insideTime = 10 * time.Second
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

// imageFolder lists a folder of an image, once: images do not change. Only
// nacre's engine can.
func (e *engine) imageFolder(ctx context.Context, image, dir string) ([]file, error) {
	id := image
	e.need(ctx, images)
	if known := e.image(image); known != nil {
		id = known.ID
	}
	key := id + "\x00" + dir
	e.mu.Lock()
	list, known := e.folders[key]
	e.mu.Unlock()
	if known {
		return list, nil
	}
	ctx, cancel := context.WithTimeout(ctx, insideTime)
	defer cancel()
	if err := e.get(ctx, "/nacre/images/files", url.Values{"image": {id}, "path": {dir}}, &list); err != nil {
		return nil, err
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.folders == nil || len(e.folders) >= mostFolders {
		e.folders = map[string][]file{}
	}
	e.folders[key] = list
	return list, nil
}

// mostFolders bounds what is remembered of images.
const mostFolders = 100

// folders lists a folder somewhere.
type folders func(ctx context.Context, dir string) ([]file, error)

// insidePaths are the candidates for a path in a container or an image.
func insidePaths(ctx context.Context, in folders, word string) []plugins.Candidate {
	dir, base := path.Split(word)
	list, err := in(ctx, path.Clean("/"+dir))
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

// insideArgument completes what follows `exec CONTAINER` and `run IMAGE`: a program, then paths.
func insideArgument(ctx context.Context, in folders, t *typing) answer {
	if strings.HasPrefix(t.word, "/") {
		list := insidePaths(ctx, in, t.word)
		return answer{list: list, d: plugins.Directive{NoFiles: true, NoSpace: unfinished(Choose(list, t.word))}}
	}
	if len(t.args) > 1 {
		return answer{d: plugins.Directive{NoFiles: true}}
	}
	known := map[string]bool{}
	var list []plugins.Candidate
	for _, dir := range []string{"/bin", "/usr/bin", "/usr/local/bin", "/sbin", "/usr/sbin"} {
		files, err := in(ctx, dir)
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

// inContainer and inImage look into the first argument.
func (e *engine) inContainer(name string) folders {
	return func(ctx context.Context, dir string) ([]file, error) { return e.folder(ctx, name, dir) }
}

func (e *engine) inImage(name string) folders {
	return func(ctx context.Context, dir string) ([]file, error) { return e.imageFolder(ctx, name, dir) }
}

// copyArgument completes `cp`: CONTAINER:PATH, or a path of the host.
func (c *Completer) copyArgument(ctx context.Context, e *engine, t *typing) answer {
	if container, inside, found := strings.Cut(t.word, ":"); found && !strings.Contains(container, "/") {
		list := insidePaths(ctx, e.inContainer(container), inside)
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
