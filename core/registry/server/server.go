// Package server is the registry behind `registry serve`: distribution, the
// library that Docker's own registry image is made of, with what it lacks on
// top, the referrers of OCI's distribution specification 1.1. Images lie in the
// form of that image's data folder, so either can take over the other's.
//
// The library is heavy (24 MB of program, 6 ms before main begins), so only the
// small program nacre-registry links this package, and never nacre.
package server

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/containerd/errdefs"
	"github.com/distribution/distribution/v3/configuration"
	_ "github.com/distribution/distribution/v3/registry/auth/htpasswd" // registers the scheme
	"github.com/distribution/distribution/v3/registry/handlers"
	_ "github.com/distribution/distribution/v3/registry/storage/driver/filesystem" // registers the driver
	"github.com/sirupsen/logrus"
	"golang.org/x/sys/unix"
)

// Options says what is served how.
type Options struct {
	Addr     string // host:port to listen on; port 0: any
	Data     string // folder of images, made where it is missing
	TLSCert  string // PEM files; both or none
	TLSKey   string
	TLS      bool // with a certificate of our own where no files are named
	Htpasswd string
	User     string // one user with a password of our own making, where no file names users
	ReadOnly bool
	Log      io.Writer // requests and faults; nil: nowhere
}

// grace is how long requests may go on after the end was asked for.
const grace = 5 * time.Second

// Serve serves until the context ends. ready is told the registry's URL once it
// answers, and what its operator should know: warnings, a new user's password. Errors are
// errdefs.ErrInvalidArgument (options), ErrUnavailable (the address is in use)
// and ErrFailedPrecondition (the folder is being cleaned up).
func Serve(ctx context.Context, o Options, ready func(url string, notes []string)) error {
	if err := o.check(); err != nil {
		return err
	}
	lock, err := lockData(o.Data, unix.LOCK_SH)
	if err != nil {
		return err
	}
	defer lock.Close()
	user, err := o.ownUser()
	if err != nil {
		return err
	}
	listener, err := listen(o.Addr)
	if err != nil {
		return err
	}
	defer listener.Close()
	scheme := "http"
	if o.TLS || o.TLSCert != "" {
		scheme = "https"
		cfg, err := o.tlsConfig(listener.Addr())
		if err != nil {
			return err
		}
		listener = tls.NewListener(listener, cfg)
	}
	logs(o.Log)
	app, err := newApp(ctx, o)
	if err != nil {
		return err
	}
	defer app.Shutdown()
	server := &http.Server{
		Handler:           &referrers{next: algorithms{app}, data: o.Data, readOnly: o.ReadOnly},
		ReadHeaderTimeout: time.Minute, IdleTimeout: 5 * time.Minute,
		ErrorLog: stdLog(o.Log),
	}
	ended := make(chan error, 1)
	go func() { ended <- server.Serve(listener) }()
	notes := o.warnings(listener.Addr())
	if user != "" {
		notes = append(notes, user)
	}
	ready(scheme+"://"+listener.Addr().String(), notes)
	select {
	case err := <-ended:
		return fmt.Errorf("serve a registry on %s: %w", o.Addr, err)
	case <-ctx.Done():
	}
	end, cancel := context.WithTimeout(context.WithoutCancel(ctx), grace)
	defer cancel()
	if err := server.Shutdown(end); err != nil && !errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	return nil
}

func (o *Options) check() error {
	if (o.TLSCert == "") != (o.TLSKey == "") {
		return invalid("--tls-cert and --tls-key belong together")
	}
	if o.Data == "" {
		return invalid("a registry needs a folder for its data: --data")
	}
	data, err := filepath.Abs(o.Data)
	if err != nil {
		return err
	}
	o.Data = data
	if o.Htpasswd != "" {
		// The library would make the file and a user of its own.
		if _, err := os.Stat(o.Htpasswd); err != nil {
			return invalid("read the users: %s\nhint: htpasswd -cB FILE USER makes such a file", err)
		}
	}
	if err := os.MkdirAll(o.Data, 0o700); err != nil {
		return fmt.Errorf("make the registry's folder: %w", err)
	}
	return nil
}

func invalid(format string, args ...any) error {
	return errdefs.ErrInvalidArgument.WithMessage(fmt.Sprintf(format, args...))
}

// warnings are what somebody who opens a registry to others should know.
func (o *Options) warnings(addr net.Addr) []string {
	if tcp, ok := addr.(*net.TCPAddr); ok && tcp.IP.IsLoopback() {
		return nil
	}
	var all []string
	if !o.TLS && o.TLSCert == "" {
		all = append(all, "warning: clients on other machines need it among their insecure-registries: there is no TLS")
	}
	if o.Htpasswd == "" && !o.ReadOnly {
		all = append(all, "warning: everybody who reaches it may write and delete: there are no users")
	}
	return all
}

func listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	switch {
	case err == nil:
		return l, nil
	case errors.Is(err, unix.EADDRINUSE):
		return nil, errdefs.ErrUnavailable.WithMessage(fmt.Sprintf("listen on %s: another program listens there\nhint: choose another port: --addr %s", addr, otherPort(addr)))
	case errors.Is(err, unix.EADDRNOTAVAIL):
		return nil, invalid("listen on %s: this machine does not have that address", addr)
	case errors.Is(err, unix.EACCES):
		return nil, errdefs.ErrPermissionDenied.WithMessage(fmt.Sprintf("listen on %s: not permitted", addr))
	}
	return nil, invalid("listen on %q: %s\nhint: --addr takes HOST:PORT", addr, err)
}

// otherPort is the same address with a port that the kernel chooses.
func otherPort(addr string) string {
	host, _, err := net.SplitHostPort(addr)
	if err != nil {
		return "127.0.0.1:0"
	}
	return net.JoinHostPort(host, "0")
}

// lockData keeps cleaning and serving apart: a blob that is being uploaded
// belongs to no image yet.
func lockData(data string, how int) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(data, "nacre.lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("lock the registry's folder: %w", err)
	}
	err = unix.Flock(int(f.Fd()), how|unix.LOCK_NB)
	if errors.Is(err, unix.EWOULDBLOCK) {
		f.Close()
		if how == unix.LOCK_SH {
			return nil, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s is being cleaned up: wait for `registry gc` to end", data))
		}
		return nil, errdefs.ErrFailedPrecondition.WithMessage(fmt.Sprintf("%s is being served: end `registry serve` first", data))
	}
	if err != nil {
		f.Close()
		return nil, fmt.Errorf("lock the registry's folder: %w", err)
	}
	return f, nil
}

// newApp makes the library's handler, which panics where it cannot.
func newApp(ctx context.Context, o Options) (app *handlers.App, err error) {
	defer func() {
		if p := recover(); p != nil {
			app, err = nil, fmt.Errorf("open the registry's folder %s: %v", o.Data, p)
		}
	}()
	config := &configuration.Configuration{
		Storage: configuration.Storage{
			"filesystem":  {"rootdirectory": o.Data},
			"delete":      {"enabled": true},
			"maintenance": {"readonly": map[any]any{"enabled": o.ReadOnly}},
			"redirect":    {"disable": true},
		},
		Catalog: configuration.Catalog{MaxEntries: 1000},
	}
	// Layers that lie elsewhere ("non-distributable") are the clients' affair; the library's default refuses them.
	config.Validation.Manifests.URLs.Allow = []string{"^https?://"}
	config.HTTP.Secret = rand.Text()
	config.Log.AccessLog.Disabled = o.Log == nil
	if o.Htpasswd != "" {
		config.Auth = configuration.Auth{"htpasswd": {"realm": "registry", "path": o.Htpasswd}}
	}
	return handlers.NewApp(ctx, config), nil
}

// logs sends what the library says to w.
func logs(w io.Writer) {
	if w == nil {
		logrus.SetOutput(io.Discard)
		return
	}
	logrus.SetOutput(w)
	logrus.SetLevel(logrus.InfoLevel)
}

// isName says whether a path's part may name a repository; the library's own
// router is as strict.
func isName(name string) bool {
	return name != "" && !strings.Contains(name, "..") && repositoryName.MatchString(name)
}
