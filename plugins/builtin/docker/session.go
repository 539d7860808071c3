package docker

import (
	"context"
	"fmt"
	"io"
	"net"
	"sync"

	"github.com/docker/cli/cli/command"
	"github.com/docker/cli/cli/config"
	"github.com/moby/moby/client"
	"github.com/sirupsen/logrus"

	"github.com/nacre-sh/nacre/plugins"
)

// session is docker's client for one invocation.
type session struct {
	inv *plugins.Invocation
	cli *command.DockerCli
}

// prepare makes a tree ready to run for an invocation.
func prepare(t *tree, inv *plugins.Invocation) error {
	in, release := ownInput(inv.In)
	inv.Defer(release)
	inv.OnDetach(release)
	if err := t.bind(in, orDiscard(inv.Out), orDiscard(inv.Err)); err != nil {
		return err
	}
	inv.OnStreams(func(out, errs io.Writer) { t.rebind(orDiscard(out), orDiscard(errs)) })
	return open(t.cli, inv)
}

// open resolves where an invocation's requests go. Nothing is dialled before a
// command asks for it.
func open(cli *command.DockerCli, inv *plugins.Invocation) error {
	g := newGlobals()
	if err := g.apply(inv); err != nil {
		return err
	}
	if _, err := logrus.ParseLevel(g.options.LogLevel); err != nil { // the library would exit the process
		return fmt.Errorf("unable to parse logging level: %s", g.options.LogLevel)
	}
	s := &session{inv: inv, cli: cli}
	if err := s.initialize(g); err != nil {
		return err
	}
	return s.connect(g)
}

// configDir guards docker/cli's one package variable that an option changes.
var configDir sync.Mutex

// initialize loads docker's config file and contexts from the folder that this
// invocation names, and puts the process's own folder back afterwards.
func (s *session) initialize(g *globals) error {
	configDir.Lock()
	defer configDir.Unlock()
	if before := config.Dir(); g.options.ConfigDir == before {
		g.options.ConfigDir = "" // nothing to change, nothing to write
	} else {
		defer config.SetDir(before)
	}
	return s.cli.Initialize(g.options)
}

// embeddedHost is the name of the embedded engine's host: where `nacre serve`
// listens unless told otherwise. Connections from here do not go there, they
// come from the invocation's engine.
const embeddedHost = "unix:///run/nacre/nacre.sock"

// connect chooses the engine: ours unless an option, the environment or
// docker's config file names a host or a context.
func (s *session) connect(g *globals) error {
	var c *client.Client
	var err error
	if s.embedded(g) {
		g.options.Hosts = []string{embeddedHost} // what `context ls` shows
		g.options.TLSOptions = nil               // DOCKER_TLS_VERIFY is meant for another engine
		c, err = client.New(
			client.WithHost(embeddedHost),
			client.WithDialContext(s.dial),
			client.WithUserAgent("nacre"),
			client.WithAPIVersion(client.MaxAPIVersion), // what the engine speaks: nothing to negotiate
		)
	} else {
		c, err = s.remote(g)
	}
	if err != nil {
		return err
	}
	if c == nil {
		return nil
	}
	s.inv.Defer(func() { c.Close() })
	return command.WithAPIClient(c)(s.cli)
}

// dial connects to the embedded engine, which opens it the first time.
func (s *session) dial(ctx context.Context, _, _ string) (net.Conn, error) {
	conn, err := s.inv.Engine.Dial(ctx)
	if err != nil && ctx.Err() == nil {
		return nil, &engineError{err}
	}
	return conn, err
}

// engineError says why the embedded engine cannot be used. It is shown alone:
// the URL of a connection in memory helps nobody. It hides its cause, because
// the client library has words of its own for "permission denied", about sockets.
type engineError struct{ cause error }

func (e *engineError) Error() string { return e.cause.Error() }

func (s *session) embedded(g *globals) bool {
	tls := g.flags.Changed("tls") || g.flags.Changed("tlsverify") // asks for docker's TCP port, as with docker
	return s.inv.Engine != nil && len(g.options.Hosts) == 0 && !tls && s.cli.CurrentContext() == command.DefaultContextName
}

// remote connects as docker does. A context that cannot be resolved is an
// error here, because the library would exit the process later; the commands
// that repair contexts do not need it.
func (s *session) remote(g *globals) (*client.Client, error) {
	options := *g.options
	if len(options.Hosts) == 0 {
		options.Context = s.cli.CurrentContext()
	}
	c, err := command.NewAPIClientFromFlags(&options, s.cli.ConfigFile())
	if err != nil {
		if len(s.inv.Args) > 0 && (s.inv.Args[0] == "context" || s.inv.Args[0] == "help") {
			return nil, nil
		}
		//lint:ignore ST1005 docker's words
		return nil, fmt.Errorf("Failed to initialize: %w", err)
	}
	concrete, ok := c.(*client.Client)
	if !ok {
		return nil, fmt.Errorf("connect to the engine: unexpected client %T", c)
	}
	return concrete, nil
}

func orDiscard(w io.Writer) io.Writer {
	if w == nil {
		return io.Discard
	}
	return w
}
