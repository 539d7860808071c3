package compat

import (
	"strings"
	"testing"
)

func TestVersionAndInfo(t *testing.T) {
	each(t, func(c client) {
		if got := c.ok("version", "-f", "{{.Server.Platform.Name}} {{.Server.APIVersion}} {{.Server.MinAPIVersion}}"); !strings.HasPrefix(got, "nacre 1.") {
			c.Errorf("version: %q", got)
		}
		if got := c.ok("info", "-f", "{{.Driver}} {{.OSType}} {{.Swarm.LocalNodeState}}"); got != "overlay2 linux inactive" {
			c.Errorf("info: %q", got)
		}
	})
}

func TestVolumesAndNetworks(t *testing.T) {
	each(t, func(c client) {
		c.docker("volume", "rm", "-f", "shared")
		if got := c.ok("volume", "create", "--label", "a=b", "shared"); got != "shared" {
			c.Errorf("volume create prints %q", got)
		}
		img := c.pulled()
		c.ok("run", "--rm", "-v", "shared:/data", img, "sh", "-c", "echo kept > /data/file")
		if got := c.ok("run", "--rm", "-v", "shared:/data:ro", img, "cat", "/data/file"); got != "kept" {
			c.Errorf("got %q", got)
		}
		if got := c.ok("volume", "ls", "-q", "-f", "label=a=b"); got != "shared" {
			c.Errorf("volume ls: %q", got)
		}
		c.ok("volume", "rm", "shared")
		c.fails(1, "o such volume", "volume", "inspect", "shared")
		if got := c.ok("network", "ls", "--format", "{{.Name}}"); got != "bridge\nhost\nnone" {
			c.Errorf("network ls: %q", got)
		}
	})
}

func TestWhatIsNotServed(t *testing.T) {
	each(t, func(c client) {
		c.fails(1, "swarm mode is not served by this engine yet", "swarm", "init")
		c.fails(1, "managing engine plugins is not served by this engine yet", "plugin", "enable", "x")
	})
}
