package image

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"runtime"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/containerd/platforms"
	dockerspec "github.com/moby/docker-image-spec/specs-go/v1"
	"github.com/moby/moby/api/types/events"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/nacre-sh/nacre/core/backend"
)

// Import makes an image of one layer of a root file system's tar, plain or
// packed: body, or what the URL gives. The last message is the new id. Errors
// are errdefs.ErrInvalidArgument (no archive, no URL, a change that is none)
// and ErrUnavailable (the URL).
func (s *Service) Import(ctx context.Context, body io.Reader, opts backend.ImageImport) error {
	config, err := applyChanges(dockerspec.DockerOCIImageConfig{}, opts.Changes)
	if err != nil {
		return err
	}
	platform := ocispec.Platform{OS: runtime.GOOS, Architecture: runtime.GOARCH}
	if opts.Platform != nil {
		platform = platforms.Normalize(*opts.Platform)
	}
	if platform.OS != runtime.GOOS {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("operating system is not supported: %s", platform.OS))
	}
	lease, err := s.locks.lease(ctx)
	if err != nil {
		return err
	}
	defer lease.release()
	m := &maker{Service: s, report: &reporter{send: opts.Progress}}
	from := packed{name: "of the root file system", size: -1, open: func(context.Context) (io.ReadCloser, error) { return io.NopCloser(body), nil }}
	if opts.Source != "-" {
		download, err := m.openURL(ctx, opts.Source)
		if err != nil {
			return err
		}
		defer download.Body.Close()
		from.doing, from.size = "Importing", download.ContentLength
		from.open = func(context.Context) (io.ReadCloser, error) { return download.Body, nil }
	}
	layer, err := m.layerOn(ctx, nil, from)
	if err != nil {
		return err
	}
	if opts.Message == "" {
		opts.Message = "Imported from " + opts.Source
	}
	now := time.Now().UTC()
	spec := grow(dockerspec.DockerOCIImage{}, layer, ocispec.History{Created: &now, Comment: opts.Message, EmptyLayer: layer == ""})
	spec.Created, spec.Platform, spec.Config = &now, platform, config
	id, err := s.add(ctx, spec, "", opts.Ref, events.ActionImport)
	if err != nil {
		return err
	}
	m.report.status("", id)
	return nil
}

// openURL begins a download. As docker does, it takes an address without
// scheme for http.
func (m *maker) openURL(ctx context.Context, source string) (*http.Response, error) {
	if !strings.Contains(source, "://") {
		source = "http://" + source
	}
	u, err := url.Parse(source)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return nil, errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("import from %q: it must be an address of http or https", source))
	}
	m.report.status("", "Downloading from "+u.Redacted())
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, errdefs.ErrInvalidArgument.WithMessage(err.Error())
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, &worded{text: err.Error(), class: errdefs.ErrUnavailable, cause: err}
	}
	if resp.StatusCode >= http.StatusBadRequest {
		resp.Body.Close()
		return nil, errdefs.ErrUnavailable.WithMessage(fmt.Sprintf("failed to GET %s with status %s", u.Redacted(), resp.Status))
	}
	return resp, nil
}
