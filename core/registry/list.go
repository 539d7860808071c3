package registry

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/google/go-containerregistry/pkg/v1/remote"
	"github.com/moby/moby/api/types/registry"
)

// Repositories lists what a registry holds, by its catalog. Errors are
// errdefs.ErrNotImplemented for a registry without one (Docker Hub), and those
// of every registry.
func (s *Service) Repositories(ctx context.Context, address string, auth *registry.AuthConfig) ([]string, error) {
	host, err := hostOf(address)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.patience(ctx, host)
	defer cancel()
	c, err := s.open(ctx, host, auth)
	if err != nil {
		return nil, err
	}
	defer c.close()
	repos := []string{}
	err = eachRepository(ctx, c, host, func(repo string) bool {
		repos = append(repos, repo)
		return true
	})
	if isStatus(err, http.StatusNotFound, http.StatusMethodNotAllowed) || errors.Is(err, errNoCatalog) {
		return nil, errdefs.ErrNotImplemented.WithMessage(fmt.Sprintf("%s does not list its repositories", host))
	}
	return repos, explain(ctx, "list "+host, host, err)
}

// Tags lists a repository's tags in order. Errors are errdefs.ErrNotFound, and
// those of every registry.
func (s *Service) Tags(ctx context.Context, repo string, auth *registry.AuthConfig) ([]string, error) {
	named, err := parse(repo)
	if err != nil {
		return nil, err
	}
	host := reference.Domain(named)
	ctx, cancel := s.patience(ctx, host)
	defer cancel()
	c, err := s.open(ctx, host, auth)
	if err != nil {
		return nil, err
	}
	defer c.close()
	target, err := c.repository(named)
	if err != nil {
		return nil, err
	}
	tags, err := remote.List(target, append(c.options, remote.WithPageSize(1000))...)
	if err != nil {
		return nil, explain(ctx, "list the tags of "+reference.FamiliarName(named), host, err)
	}
	slices.Sort(tags)
	return tags, nil
}

// RemoveRemote removes a reference from its registry: a tag alone where the
// registry can do that, else the manifest that it names, with all its tags. It
// says what went. Errors are errdefs.ErrNotFound, ErrFailedPrecondition (the
// registry does not delete) and those of every registry.
func (s *Service) RemoveRemote(ctx context.Context, ref string, auth *registry.AuthConfig) (removed string, err error) {
	named, err := parse(ref)
	if err != nil {
		return "", err
	}
	host := reference.Domain(named)
	ctx, cancel := s.patience(ctx, host)
	defer cancel()
	c, err := s.open(ctx, host, auth)
	if err != nil {
		return "", err
	}
	defer c.close()
	removed, err = c.remove(named)
	return removed, explain(ctx, "remove "+reference.FamiliarString(named), host, err)
}

func (c *session) remove(named reference.Named) (string, error) {
	target, err := c.manifest(named)
	if err != nil {
		return "", err
	}
	head, err := remote.Head(target, c.options...)
	if err != nil {
		return "", err
	}
	if _, byDigest := named.(reference.Digested); !byDigest {
		err := remote.Delete(target, c.options...)
		if err == nil {
			return reference.FamiliarString(reference.TagNameOnly(named)), nil
		}
		// Registries of the first hour know deletion by digest only.
		if !isStatus(err, http.StatusBadRequest, http.StatusMethodNotAllowed, http.StatusNotFound, http.StatusNotImplemented) {
			return "", err
		}
	}
	whole := target.Context().Digest(head.Digest.String())
	if err := remote.Delete(whole, c.options...); err != nil {
		if isStatus(err, http.StatusMethodNotAllowed) {
			return "", errdefs.ErrFailedPrecondition.WithMessage(c.way.Registry + " does not allow deletion")
		}
		return "", err
	}
	return reference.FamiliarName(named) + "@" + head.Digest.String(), nil
}
