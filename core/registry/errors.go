package registry

import (
	"context"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"

	"github.com/containerd/errdefs"
	"github.com/google/go-containerregistry/pkg/v1/remote/transport"

	"github.com/nacre-sh/nacre/core/access"
)

// explain says what was attempted and why a registry did not do it, and gives
// the error its class.
func explain(ctx context.Context, doing, host string, err error) error {
	if err == nil || errors.Is(err, context.Canceled) && ctx.Err() != nil && !errdefs.IsUnavailable(context.Cause(ctx)) {
		return err
	}
	err = because(ctx, err)
	why, class := judgeAbout(host, err)
	return &worded{text: doing + ": " + why, class: class, cause: err}
}

// worded is an error in words of ours with a class and the cause kept.
type worded struct {
	text  string
	class error
	cause error
}

func (w *worded) Error() string   { return w.text }
func (w *worded) Unwrap() []error { return []error{w.class, w.cause} }

// judgeAbout is judge with words that name the registry.
func judgeAbout(host string, err error) (why string, class error) {
	why, class = judge(host, err)
	if errors.As(err, new(*url.Error)) && !strings.Contains(why, host) {
		why = host + ": " + why
	}
	return why, class
}

// notTLS is Go's word for a server that speaks plain HTTP.
const notTLS = "http: server gave HTTP response to HTTPS client"

// judge finds an error's class and the words for it.
func judge(host string, err error) (why string, class error) {
	var answer *transport.Error
	var request *url.Error
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	var fault *access.Fault
	switch {
	case errors.As(err, &fault):
		return fault.Error(), errdefs.Resolve(fault)
	case errors.As(err, &answer):
		return judgeAnswer(host, answer)
	case errors.Is(err, io.ErrUnexpectedEOF):
		return host + " broke off in the middle of an answer: " + err.Error(), errdefs.ErrUnavailable
	case strings.Contains(err.Error(), notTLS+"; "):
		// Both schemes were tried, and this is what the second gave.
		_, second, _ := strings.Cut(err.Error(), notTLS+"; ")
		return host + ": " + second, errdefs.ErrUnavailable
	case strings.Contains(err.Error(), notTLS):
		return fmt.Sprintf("Get \"https://%s/v2/\": %s\n%s", host, notTLS, access.HintInsecure(host)), errdefs.ErrUnavailable
	case errors.As(err, new(x509.UnknownAuthorityError)):
		return fmt.Sprintf("%s\n%s", cause(err), access.HintCA(host)), errdefs.ErrUnavailable
	case errors.As(err, &syntax), errors.As(err, &kind):
		return fmt.Sprintf("%s answered with something that no registry says: %s", host, err), errdefs.ErrUnavailable
	case errdefs.IsFailedPrecondition(err):
		return err.Error(), errdefs.ErrFailedPrecondition
	case errdefs.IsInvalidArgument(err):
		return err.Error(), errdefs.ErrInvalidArgument
	case errdefs.IsNotFound(err):
		return err.Error(), errdefs.ErrNotFound
	case errdefs.IsUnavailable(err):
		return cause(err).Error(), errdefs.ErrUnavailable
	case errors.As(err, &request):
		return cause(err).Error(), errdefs.ErrUnavailable
	}
	return err.Error(), errdefs.ErrUnknown
}

// cause is the innermost thing that a failed HTTP request has to say, with the URL where it helps.
func cause(err error) error {
	var request *url.Error
	if !errors.As(err, &request) {
		return err
	}
	var fault *access.Fault
	if errors.As(request, &fault) {
		return fault
	}
	if request.Timeout() {
		return fmt.Errorf("%s %q: no answer in time", request.Op, request.URL)
	}
	return request
}

func judgeAnswer(host string, answer *transport.Error) (why string, class error) {
	said := said(answer)
	switch code := answer.StatusCode; {
	case code == http.StatusUnauthorized:
		return fmt.Sprintf("%s\nhint: log in to the registry first: login %s", said, host), errdefs.ErrUnauthenticated
	case code == http.StatusForbidden:
		return said, errdefs.ErrPermissionDenied
	case code == http.StatusNotFound:
		return said, errdefs.ErrNotFound
	case code == http.StatusTooManyRequests:
		return fmt.Sprintf("%s asks to wait: %s", host, said), errdefs.ErrUnavailable
	case code == http.StatusMethodNotAllowed:
		return fmt.Sprintf("%s does not allow it: %s", host, said), errdefs.ErrFailedPrecondition
	case code >= http.StatusInternalServerError:
		return fmt.Sprintf("%s answered %d %s: %s", host, code, http.StatusText(code), said), errdefs.ErrUnavailable
	}
	return said, errdefs.ErrUnknown
}

// said is a registry's answer in its own words where it has some.
func said(answer *transport.Error) string {
	var words []string
	for _, e := range answer.Errors {
		// As docker words them: manifest unknown: manifest unknown. The details are for programs.
		words = append(words, strings.ReplaceAll(strings.ToLower(string(e.Code)), "_", " ")+": "+e.Message)
	}
	if len(words) == 0 {
		return fmt.Sprintf("it answered %d %s", answer.StatusCode, http.StatusText(answer.StatusCode))
	}
	return strings.Join(words, "; ")
}

func statusOf(err error) int {
	var answer *transport.Error
	if errors.As(err, &answer) {
		return answer.StatusCode
	}
	return 0
}
