package docker

import (
	"errors"
	"fmt"
	"io"

	"github.com/docker/cli/cli/command"
	"github.com/spf13/cobra"
)

// override replaces what docker/cli does with the streams of its process.
func override(c *cobra.Command, docker *command.DockerCli) {
	switch c.Name() {
	case "dial-stdio":
		c.RunE = func(cmd *cobra.Command, _ []string) error { return dialStdio(cmd, docker) }
	case "stats":
		c.RunE = liveStats(c.RunE, docker)
	case "exec":
		c.RunE = quickExec(c.RunE, docker)
	case "cp":
		c.RunE = copyInput(c.RunE, docker)
	}
}

// dialStdio joins the invocation's streams to a connection to the engine: it
// is what docker's ssh hosts run on the far side.
func dialStdio(cmd *cobra.Command, docker *command.DockerCli) error {
	conn, err := docker.Client().Dialer()(cmd.Context())
	if err != nil {
		return fmt.Errorf("connect to the engine: %w", err)
	}
	defer conn.Close()
	half, ok := conn.(interface{ CloseWrite() error })
	if !ok {
		return errors.New("connect to the engine: the connection cannot be closed for writing alone")
	}
	sent := make(chan error, 1)
	go func() {
		_, err := io.Copy(conn, docker.In())
		sent <- errors.Join(err, half.CloseWrite())
	}()
	if _, err := io.Copy(docker.Out(), conn); err != nil {
		return err
	}
	select {
	case err := <-sent:
		return err
	default: // the engine has closed: what the input still holds goes nowhere
		return nil
	}
}
