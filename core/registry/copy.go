package registry

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"
	"github.com/moby/moby/api/types/jsonstream"

	"github.com/nacre-sh/nacre/core/backend"
)

// maxReferrers bounds the depth of things that refer to things that refer …
const maxReferrers = 4

// Copy copies an image from registry to registry, byte for byte: all platforms,
// and what refers to them (signatures and attestations, by OCI's referrers and
// by cosign's tags), so that digests stay. Layers that the target has are not
// sent again; within one registry they are mounted. Errors are
// errdefs.ErrNotFound and those of every registry; a broken copy leaves blobs
// that a later one uses, and no tag that names less than all.
func (s *Service) Copy(ctx context.Context, opts backend.RegistryCopy) error {
	from, err := parse(opts.Source)
	if err != nil {
		return err
	}
	to, err := parse(opts.Target)
	if err != nil {
		return err
	}
	if _, digested := to.(reference.Digested); digested {
		return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf("copy to %s: the target is named by its tag, the digest follows from the content", opts.Target))
	}
	from = reference.TagNameOnly(from)
	source, err := s.open(ctx, reference.Domain(from), opts.SourceAuth)
	if err != nil {
		return err
	}
	defer source.close()
	target, err := s.open(ctx, reference.Domain(to), opts.TargetAuth)
	if err != nil {
		return err
	}
	defer target.close()
	c := &copying{ctx: ctx, source: source, target: target, report: opts.Progress, done: map[string]bool{}}
	return c.run(from, to)
}

// copying is one request's work.
type copying struct {
	ctx            context.Context
	source, target *session
	report         backend.Progress
	from, to       name.Repository
	puller         *remote.Puller
	pusher         *remote.Pusher
	done           map[string]bool // digests whose referrers are on the other side
}

func (c *copying) run(from, to reference.Named) error {
	doing := fmt.Sprintf("copy %s to %s", reference.FamiliarString(from), reference.FamiliarString(to))
	if err := c.prepare(from, to); err != nil {
		return explain(c.ctx, doing, reference.Domain(to), err)
	}
	ref, err := c.source.manifest(from)
	if err != nil {
		return err
	}
	top, err := c.puller.Get(c.ctx, ref)
	if err != nil {
		return explain(c.ctx, doing, reference.Domain(from), err)
	}
	// The tag comes last: what refers to the image must be there when somebody finds it.
	if err := c.content(top, 0); err != nil {
		return explain(c.ctx, doing, c.culprit(err, from, to), err)
	}
	if _, tagged := to.(reference.Tagged); tagged || !isDigested(from) {
		if err := c.tag(top, to, from); err != nil {
			return explain(c.ctx, doing, reference.Domain(to), err)
		}
	}
	c.say("", "Digest: "+top.Digest.String())
	c.say("", "Status: Copied "+reference.FamiliarString(from)+" to "+reference.FamiliarString(to))
	return nil
}

func isDigested(ref reference.Named) bool {
	_, ok := ref.(reference.Digested)
	return ok
}

func (c *copying) prepare(from, to reference.Named) (err error) {
	if c.from, err = c.source.repository(from); err != nil {
		return err
	}
	if c.to, err = c.target.repository(to); err != nil {
		return err
	}
	if c.puller, err = remote.NewPuller(c.source.options...); err != nil {
		return err
	}
	options := c.target.options
	if c.from.RegistryStr() == c.to.RegistryStr() {
		// Within one registry layers are mounted, which is one short request for each. go-containerregistry changes its
		// client for that without a lock (remote/write.go, maybeUpdateScopes), so they are not mounted side by side.
		options = append(slices.Clip(options), remote.WithJobs(1))
	}
	c.pusher, err = remote.NewPusher(options...)
	return err
}

// tag names what was copied; a target without tag gets the source's.
func (c *copying) tag(top *remote.Descriptor, to, from reference.Named) error {
	tag := "latest"
	if t, ok := to.(reference.Tagged); ok {
		tag = t.Tag()
	} else if t, ok := from.(reference.Tagged); ok {
		tag = t.Tag()
	}
	return c.pusher.Push(c.ctx, c.to.Tag(tag), top)
}

// content sends a manifest by its digest, with everything in it, then what refers to it.
func (c *copying) content(d *remote.Descriptor, depth int) error {
	digest := d.Digest.String()
	if c.done[digest] {
		return nil
	}
	c.done[digest] = true
	c.say(short(digest), "Copying")
	if err := c.pusher.Push(c.ctx, c.to.Digest(digest), d); err != nil {
		return err
	}
	c.say(short(digest), "Copied")
	if depth >= maxReferrers {
		return nil
	}
	for _, subject := range subjects(d) {
		if err := c.referrersOf(subject, depth); err != nil {
			return err
		}
	}
	return nil
}

// subjects are the digests that something may refer to: the manifest's own, and
// those of the platforms in an index.
func subjects(d *remote.Descriptor) []v1.Hash {
	all := []v1.Hash{d.Digest}
	if !d.MediaType.IsIndex() {
		return all
	}
	index, err := d.ImageIndex()
	if err != nil {
		return all
	}
	list, err := index.IndexManifest()
	if err != nil {
		return all
	}
	for _, m := range list.Manifests {
		all = append(all, m.Digest)
	}
	return all
}

// referrersOf copies what refers to a digest. Where the target does not list
// referrers itself, the pusher keeps their list under a tag (distribution spec,
// "Referrers Tag Schema").
func (c *copying) referrersOf(subject v1.Hash, depth int) error {
	list, err := c.source.referrers(c.from, subject)
	if err != nil {
		return err
	}
	for _, r := range list {
		d, err := c.puller.Get(c.ctx, c.from.Digest(r.Digest))
		if err != nil {
			return err
		}
		if err := c.content(d, depth+1); err != nil {
			return err
		}
		if r.Tag != "" {
			if err := c.pusher.Push(c.ctx, c.to.Tag(r.Tag), d); err != nil {
				return err
			}
		}
	}
	return nil
}

// culprit is the registry that an error is about, as far as it tells.
func (c *copying) culprit(err error, from, to reference.Named) string {
	var answer *transport.Error
	if errors.As(err, &answer) && answer.Request != nil && answer.Request.URL.Host == c.from.RegistryStr() {
		return reference.Domain(from)
	}
	return reference.Domain(to)
}

func (c *copying) say(id, status string) {
	if c.report != nil {
		c.report(jsonstream.Message{ID: id, Status: status})
	}
}

// short is a digest as progress shows it.
func short(digest string) string {
	_, hex, _ := strings.Cut(digest, ":")
	return hex[:min(12, len(hex))]
}
