package api

import (
	"context"
	"errors"
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/containerd/errdefs"
	"github.com/moby/moby/api/types/jsonstream"

	"github.com/nacre-sh/nacre/core/backend"
)

// archiver is an image store that notes what it is asked.
type archiver struct {
	Images
	loaded   string
	imported backend.ImageImport
	saved    backend.ImageSave
	broken   bool // in the middle of a save
}

func (a *archiver) Load(_ context.Context, body io.Reader, opts backend.ImageLoad) error {
	first := make([]byte, 5)
	_, err := io.ReadFull(body, first)
	if a.loaded = string(first); a.loaded == "wrong" {
		return errdefs.ErrInvalidArgument.WithMessage("no archive")
	}
	opts.Progress(jsonstream.Message{Stream: "Loaded image: x\n"})
	return err
}

func (a *archiver) Import(_ context.Context, body io.Reader, opts backend.ImageImport) error {
	a.imported = opts
	_, err := io.Copy(io.Discard, body)
	return err
}

func (a *archiver) Save(_ context.Context, opts backend.ImageSave, open func() (io.Writer, error)) error {
	a.saved = opts
	if opts.Names[0] == "nope" {
		return errdefs.ErrNotFound.WithMessage("No such image: nope")
	}
	w, err := open()
	if err == nil {
		_, err = io.WriteString(w, "archive")
	}
	if a.broken {
		return errors.New("a damaged layer")
	}
	return err
}

func TestArchivesOverTheAPI(t *testing.T) {
	a := &archiver{}
	_, c := serve(t, Backends{Images: a})
	// What an engine leaves of a body is read, however long, so that the answer arrives.
	resp, body := send(t, c, "POST", "/images/load?quiet=1", "wrong"+strings.Repeat(".", 4<<20))
	if resp.StatusCode != 400 || body != `{"message":"no archive"}` {
		t.Errorf("load of nonsense: %d %s", resp.StatusCode, body)
	}
	resp, body = send(t, c, "POST", "/images/load", "first"+strings.Repeat(".", 4<<20))
	if resp.StatusCode != 200 || !strings.Contains(body, `{"stream":"Loaded image: x\n"}`) || a.loaded != "first" {
		t.Errorf("load: %d %s", resp.StatusCode, body)
	}
	resp, body = send(t, c, "GET", "/images/get?names=a&names=b:1", "")
	if resp.StatusCode != 200 || body != "archive" || resp.Header.Get("Content-Type") != "application/x-tar" || len(a.saved.Names) != 2 {
		t.Errorf("save: %d %s %+v", resp.StatusCode, body, a.saved)
	}
	if resp, body = send(t, c, "GET", "/images/a/b/get", ""); resp.StatusCode != 200 || a.saved.Names[0] != "a/b" {
		t.Errorf("save of one: %d %s %+v", resp.StatusCode, body, a.saved)
	}
	if resp, _ = send(t, c, "GET", "/images/get?names=nope", ""); resp.StatusCode != 404 {
		t.Errorf("save of nothing: %d", resp.StatusCode)
	}
	resp, body = send(t, c, "POST", "/images/create?fromSrc=-&repo=a/b&tag=1&message=m&changes=CMD+x&platform=linux/arm64", "root")
	if got := a.imported; resp.StatusCode != 200 || got.Source != "-" || got.Ref.String() != "docker.io/a/b:1" || got.Message != "m" || got.Changes[0] != "CMD x" || got.Platform.Architecture != "arm64" {
		t.Errorf("import: %d %s %+v", resp.StatusCode, body, got)
	}
	for _, query := range []string{"repo=UPPER", "repo=a@sha256:" + strings.Repeat("0", 64), "repo=a&tag=b+c", "platform=x/y/z/w"} {
		if resp, body := send(t, c, "POST", "/images/create?fromSrc=-&"+query, ""); resp.StatusCode != 400 {
			t.Errorf("import with %s: %d %s", query, resp.StatusCode, body)
		}
	}
}

// Half an archive must not look like a whole one.
func TestBrokenSaveIsBrokenOff(t *testing.T) {
	_, c := serve(t, Backends{Images: &archiver{broken: true}})
	resp, err := c.Get("http://x/images/get?names=a")
	if err != nil {
		return // nothing at all is right too
	}
	defer resp.Body.Close()
	if text, err := io.ReadAll(resp.Body); err == nil {
		t.Errorf("the client took %q (%s) for a whole archive", text, http.StatusText(resp.StatusCode))
	}
}
