package image

import (
	"context"
	"crypto/x509"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"

	"github.com/containerd/errdefs"
	"github.com/distribution/reference"
	"github.com/docker/distribution/registry/api/errcode"
	v2 "github.com/docker/distribution/registry/api/v2"
	"github.com/moby/moby/api/types/registry"
	"go.podman.io/image/v5/docker"

	"github.com/nacre-sh/nacre/core/access"
)

// worded is an error in docker's words with a class and the cause kept.
type worded struct {
	text  string
	class error
	cause error
}

func (w *worded) Error() string   { return w.text }
func (w *worded) Unwrap() []error { return []error{w.class, w.cause} }

// translatePull says in docker's words why a pull failed, and gives the error its class.
func translatePull(err error, ref reference.Named, auth *registry.AuthConfig) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	word := func(class error, format string, args ...any) error {
		return &worded{text: fmt.Sprintf(format, args...), class: class, cause: err}
	}
	var code errcode.Error
	var rejected *refusedByPolicy
	var away *signatureAway
	switch {
	case errors.As(err, &away):
		return word(errdefs.ErrUnavailable, "pull of %s: the image policy demands a signature that cannot be asked for: %s\nhint: registries.d says where signatures lie",
			reference.FamiliarString(ref), reason(away.error))
	case errors.As(err, &rejected):
		return word(errdefs.ErrPermissionDenied, "pull of %s is not allowed by the image policy: %s", reference.FamiliarString(ref), rejected)
	case errors.As(err, &code) && code.Code == errcode.ErrorCodeUnauthorized:
		return wordUnauthorized(code, ref, auth, word)
	case errors.As(err, &code):
		return wordCode(err, code, ref, word)
	case errors.As(err, new(docker.ErrUnauthorizedForCredentials)):
		return word(errdefs.ErrUnauthenticated, "unauthorized: incorrect username or password")
	case errors.Is(err, docker.ErrTooManyRequests):
		return wordAsksToWait(ref, word)
	case noSpace(err):
		return word(errdefs.ErrResourceExhausted, "%s\nhint: free some space (rmi, system prune), then pull again", err)
	case errors.Is(err, errAsksToWait):
		return wordAsksToWait(ref, word)
	case errors.Is(err, errSilent):
		return word(errdefs.ErrUnavailable, "%s: %s", reference.Domain(ref), errSilent)
	}
	return wordConnection(err, ref, "pull", word)
}

// wordAsksToWait is for a registry that limits how often it is asked.
func wordAsksToWait(ref reference.Named, word wordFunc) error {
	return word(errdefs.ErrUnavailable, "toomanyrequests: %s answered 429 Too Many Requests and asks to wait longer\nhint: try again later, log in (login %s), or use a mirror (mirror add)",
		reference.Domain(ref), reference.Domain(ref))
}

// reason leaves out what libraries put before the failed request.
func reason(err error) error {
	var request *url.Error
	if errors.As(err, &request) {
		return request
	}
	return err
}

type wordFunc func(class error, format string, args ...any) error

// wordUnauthorized tells missing credentials from wrong ones.
func wordUnauthorized(code errcode.Error, ref reference.Named, auth *registry.AuthConfig, word wordFunc) error {
	if auth == nil || *auth == (registry.AuthConfig{}) {
		return word(errdefs.ErrUnauthenticated, "no basic auth credentials\nhint: log in to the registry first: login %s", reference.Domain(ref))
	}
	return word(errdefs.ErrUnauthenticated, "%s", code)
}

// wordCode handles what a registry said in the form of the distribution spec.
func wordCode(err error, code errcode.Error, ref reference.Named, word wordFunc) error {
	switch code.Code {
	case v2.ErrorCodeManifestUnknown:
		return word(errdefs.ErrNotFound, "manifest for %s not found: %s", reference.FamiliarString(ref), code)
	case v2.ErrorCodeNameUnknown:
		return word(errdefs.ErrNotFound, "repository %s not found: %s", reference.FamiliarName(ref), code)
	case errcode.ErrorCodeDenied:
		return word(errdefs.ErrNotFound, "pull access denied for %s, repository does not exist or may require 'docker login': %s", reference.FamiliarName(ref), code)
	case errcode.ErrorCodeTooManyRequests, errcode.ErrorCodeUnavailable:
		return word(errdefs.ErrUnavailable, "%s", code)
	}
	return word(errdefs.ErrUnknown, "%s", err)
}

// wordConnection handles registries that were not reached or did not speak as one.
func wordConnection(err error, ref reference.Named, what string, word wordFunc) error {
	var request *url.Error
	var status docker.UnexpectedHTTPStatusError
	host := reference.Domain(ref)
	switch {
	case strings.Contains(err.Error(), "server gave HTTP response to HTTPS client"):
		return word(errdefs.ErrUnavailable, "Get \"https://%s/v2/\": http: server gave HTTP response to HTTPS client\n%s", host, access.HintInsecure(host))
	case errors.As(err, &request) && errors.As(err, new(x509.UnknownAuthorityError)):
		return word(errdefs.ErrUnavailable, "%s\n%s", request, access.HintCA(host))
	case errors.As(err, &request):
		return word(errdefs.ErrUnavailable, "%s", request)
	case errors.As(err, &status):
		return wordStatus(status.StatusCode, ref, what, word)
	case bareStatus(err) != 0:
		return wordStatus(bareStatus(err), ref, what, word)
	case classified(err):
		return err
	}
	return word(errdefs.ErrUnknown, "%s %s: %s", what, reference.FamiliarString(ref), err)
}

// statusInText is how the image library shows an answer that is not in the
// registry's form; the type of that error is not public.
var statusInText = sync.OnceValue(func() *regexp.Regexp { return regexp.MustCompile(`StatusCode: ([1-5][0-9]{2}), "`) })

// bareStatus is the status of an answer without a registry's words; 0: it is no such error.
func bareStatus(err error) int {
	found := statusInText().FindStringSubmatch(err.Error())
	if found == nil {
		return 0
	}
	status, _ := strconv.Atoi(found[1]) // three digits
	return status
}

// wordStatus handles answers that say no more than their status: those of
// proxies, load balancers and web servers. What else they say is for browsers.
func wordStatus(status int, ref reference.Named, what string, word wordFunc) error {
	answered := fmt.Sprintf("%s answered %d %s", reference.Domain(ref), status, http.StatusText(status))
	switch {
	case status == http.StatusUnauthorized:
		return word(errdefs.ErrUnauthenticated, "%s\nhint: log in to the registry first: login %s", answered, reference.Domain(ref))
	case status == http.StatusForbidden:
		return word(errdefs.ErrPermissionDenied, "%s access denied for %s: %s", what, reference.FamiliarName(ref), answered)
	case status == http.StatusNotFound:
		return word(errdefs.ErrNotFound, "%s not found: %s", reference.FamiliarString(ref), answered)
	case status == http.StatusTooManyRequests:
		return wordAsksToWait(ref, word)
	case status >= http.StatusInternalServerError:
		return word(errdefs.ErrUnavailable, "%s %s: %s", what, reference.FamiliarString(ref), answered)
	}
	return word(errdefs.ErrUnknown, "%s %s: %s", what, reference.FamiliarString(ref), answered)
}

// classified says whether an error already has a class and words of its own.
func classified(err error) bool {
	return errdefs.IsNotFound(err) || errdefs.IsInvalidArgument(err) || errdefs.IsDataLoss(err) || errdefs.IsUnavailable(err) ||
		errdefs.IsResourceExhausted(err) || errdefs.IsPermissionDenied(err) || errdefs.IsUnauthorized(err) || errdefs.IsFailedPrecondition(err)
}

// temporary says whether the same request may succeed a little later.
func temporary(err error) bool {
	var status docker.UnexpectedHTTPStatusError
	var network net.Error
	switch {
	case errors.Is(err, context.Canceled) && !errors.Is(err, errSilent):
		return false
	case strings.Contains(err.Error(), "stopped after 10 redirects"): // net/http has no type for it
		return false
	case errors.As(err, &status):
		return status.StatusCode >= http.StatusInternalServerError
	}
	return errors.Is(err, errSilent) || errors.As(err, &network) || errors.Is(err, io.ErrUnexpectedEOF) ||
		errors.Is(err, io.EOF) || errors.Is(err, syscall.ECONNRESET)
}

// translatePush says in docker's words why a push failed, and gives the error its class.
func translatePush(err error, ref reference.Named, auth *registry.AuthConfig) error {
	if err == nil || errors.Is(err, context.Canceled) {
		return err
	}
	word := func(class error, format string, args ...any) error {
		return &worded{text: fmt.Sprintf(format, args...), class: class, cause: err}
	}
	var code errcode.Error
	switch {
	case errors.As(err, new(docker.ErrUnauthorizedForCredentials)):
		return word(errdefs.ErrUnauthenticated, "unauthorized: incorrect username or password")
	case errors.As(err, &code) && code.Code == errcode.ErrorCodeUnauthorized:
		return wordUnauthorized(code, ref, auth, word)
	case errors.As(err, &code) && code.Code == errcode.ErrorCodeDenied:
		return word(errdefs.ErrPermissionDenied, "%s", code)
	case errors.As(err, &code):
		return word(errdefs.ErrUnknown, "%s", code)
	case errors.Is(err, errAsksToWait):
		return wordAsksToWait(ref, word)
	case errors.Is(err, errSilent):
		return word(errdefs.ErrUnavailable, "%s: %s", reference.Domain(ref), errSilent)
	}
	return wordConnection(err, ref, "push", word)
}

// noSpace says whether a disk was full; the layer store keeps only the text.
func noSpace(err error) bool {
	return err != nil && (errors.Is(err, syscall.ENOSPC) || strings.Contains(err.Error(), "no space left on device"))
}

// translateStore gives an error of the layer store its class.
func translateStore(err error) error {
	switch {
	case err == nil || errors.Is(err, context.Canceled) || classified(err):
		return err
	case noSpace(err):
		return &worded{text: err.Error() + "\nhint: free some space (rmi, system prune), then try again", class: errdefs.ErrResourceExhausted, cause: err}
	}
	return err
}
