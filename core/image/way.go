package image

import (
	"context"
	"errors"
	"fmt"
	"net/url"
	"runtime"

	"github.com/containerd/platforms"
	"github.com/distribution/reference"
	"github.com/moby/moby/api/types/registry"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"go.podman.io/image/v5/docker"
	"go.podman.io/image/v5/signature"
	"go.podman.io/image/v5/types"
	"go.podman.io/storage/pkg/configfile"
)

// way is how one request reaches its registry.
type way struct {
	sys     *types.SystemContext
	session Session // nil: straight to the registry
}

func (w *way) served() string {
	if w.session == nil {
		return ""
	}
	return w.session.Served()
}

func (w *way) explain(err error) error {
	if w.session == nil {
		return err
	}
	return w.session.Explain(err)
}

func (w *way) close() error {
	if w.session == nil {
		return nil
	}
	return w.session.Close()
}

// openWay prepares a pull: the platform, the credentials, and the source.
func (s *Service) openWay(ctx context.Context, ref reference.Named, auth *registry.AuthConfig, platform *ocispec.Platform) (*way, error) {
	sys, err := s.systemContext(ref, auth)
	if err != nil {
		return nil, err
	}
	w := &way{sys: sys}
	want := platforms.Normalize(ocispec.Platform{OS: "linux", Architecture: runtime.GOARCH})
	if platform != nil {
		want = platforms.Normalize(*platform)
	}
	w.sys.OSChoice, w.sys.ArchitectureChoice, w.sys.VariantChoice = want.OS, want.Architecture, want.Variant
	if s.opts.Sources == nil {
		return w, nil
	}
	session, err := s.opts.Sources.Prepare(ctx, ref, auth, w.sys)
	if err != nil {
		return nil, err
	}
	w.session = session
	return w, nil
}

// systemContext is the direct way to the registry of ref.
func (s *Service) systemContext(ref reference.Named, auth *registry.AuthConfig) (*types.SystemContext, error) {
	way, err := s.opts.Ways.To(reference.Domain(ref))
	if err != nil {
		return nil, err
	}
	return way.System(auth), nil
}

// openSource contacts the registry and reads the manifest that ref names.
func (s *Service) openSource(ctx context.Context, w *way, ref reference.Named) (types.ImageSource, error) {
	if digested, ok := ref.(reference.Digested); ok { // a tag beside it does not count, as in docker
		canonical, err := reference.WithDigest(reference.TrimNamed(ref), digested.Digest())
		if err != nil {
			return nil, err
		}
		ref = canonical
	}
	target, err := docker.NewReference(ref)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.patience(ctx)
	defer cancel()
	src, err := target.NewImageSource(ctx, w.sys)
	if err != nil {
		return nil, because(ctx, err)
	}
	return src, nil
}

// allowed applies the policy of containers-policy.json(5) to an image. Whoever
// has signed the index that lists it has signed it, too: its digest is in there.
func (s *Service) allowed(ctx context.Context, sys *types.SystemContext, index, image types.UnparsedImage) error {
	policy, err := readPolicy(sys)
	if err != nil {
		return fmt.Errorf("read the image policy: %w", err)
	}
	judge, err := signature.NewPolicyContext(policy)
	if err != nil {
		return fmt.Errorf("read the image policy: %w", err)
	}
	defer judge.Destroy()
	_, err = judge.IsRunningImageAllowed(ctx, image)
	if err != nil && index != image {
		if _, byIndex := judge.IsRunningImageAllowed(ctx, index); byIndex == nil {
			return nil
		}
	}
	switch {
	case err == nil, errors.Is(err, context.Canceled):
		return err
	case unreached(err):
		return &signatureAway{err}
	}
	return &refusedByPolicy{err}
}

// unreached tells that a signature could not be asked for from one that does not count.
func unreached(err error) bool {
	return errors.As(err, new(*url.Error)) || errors.As(err, new(docker.UnexpectedHTTPStatusError)) ||
		errors.Is(err, context.DeadlineExceeded)
}

// signatureAway is why a signature that the policy demands could not be asked for.
type signatureAway struct{ error }

func (s *signatureAway) Unwrap() error { return s.error }

// refusedByPolicy is the policy's reason for a refusal.
type refusedByPolicy struct{ error }

func (r *refusedByPolicy) Unwrap() error { return r.error }

// readPolicy allows everything, as docker does, on a machine that has no policy file.
func readPolicy(sys *types.SystemContext) (*signature.Policy, error) {
	policy, err := signature.DefaultPolicy(sys)
	if errors.Is(err, configfile.ErrConfigFileNotFound) {
		return &signature.Policy{Default: signature.PolicyRequirements{signature.NewPRInsecureAcceptAnything()}}, nil
	}
	return policy, err
}
