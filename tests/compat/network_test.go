package compat

import (
	"strings"
	"testing"
)

// What docker refuses is refused in its words, and with its statuses. A wrong
// name of another container must not be taken for an image that is missing.
func TestNetworkErrors(t *testing.T) {
	each(t, func(c client) {
		image := c.pulled()
		run := func(args ...string) []string {
			return append(append([]string{"run", "-d"}, args...), image, "sleep", "1000")
		}
		web := c.background("--name", "errors-web", image, "sleep", "1000")
		for _, line := range []struct {
			args []string
			text string
			code int
		}{
			{run("--network", "container:nosuch"), "No such container: nosuch", 125},
			{run("--volumes-from", "nosuch"), "No such container: nosuch", 125},
			{run("--network", "container:"+web, "-p", "80"), "conflicting options: port publishing and the container type network mode", 125},
			{run("--network", "container:"+web, "--expose", "80"), "conflicting options: port exposing and the container type network mode", 125},
			{run("--network", "container:"+web, "--dns", "192.0.2.1"), "conflicting options: dns and the network mode", 125},
			{run("--network", "container:"+web, "--add-host", "a:192.0.2.1"), "conflicting options: custom host-to-IP mapping and the network mode", 125},
			{run("--link", "nosuch:x"), "could not get container for nosuch", 125},
			{run("--network", "nosuch"), "network nosuch not found", 125},
			{run("--network", "bridge", "--ip", "192.0.2.9"), "user specified IP address is supported on user defined networks only", 125},
			{[]string{"network", "create", "-d", "nosuch", "x"}, `plugin "nosuch" not found`, 1},
			{[]string{"network", "create", "bridge"}, "operation is not permitted on predefined bridge network", 1},
			{[]string{"network", "rm", "bridge"}, "bridge is a pre-defined network and cannot be removed", 1},
			{[]string{"network", "rm", "nosuch"}, "nosuch", 1},
			{[]string{"network", "disconnect", "-f", "bridge", "nosuch"}, "No such container: nosuch", 1},
			{[]string{"network", "connect", "host", web}, "cannot connect container to host network", 1},
			{[]string{"volume", "create", "--opt", "type=tmpfs", "x1"}, `missing required option: "device"`, 1},
			{[]string{"volume", "create", "a"}, "volume name is too short", 1},
			{[]string{"volume", "rm", "nosuch"}, "nosuch", 1},
			{[]string{"port", web, "99"}, "o public port '99", 1},
		} {
			r := c.docker(line.args...)
			if r.code != line.code || !strings.Contains(r.err, line.text) || strings.Contains(r.err, "Unable to find image") {
				t.Errorf("docker %s: exit %d, want %d with %q\n%s%s", strings.Join(line.args, " "), r.code, line.code, line.text, r.out, r.err)
			}
		}
		if r := c.docker("create", "--network", "host", "-p", "80", image); !strings.Contains(r.err, "Published ports are discarded when using host network mode") {
			t.Errorf("ports on the host's network: %+v", r)
		} else {
			c.ok("rm", strings.TrimSpace(r.out))
		}
	})
}

// Filters, and what is there already.
func TestNetworkAndVolumeAnswers(t *testing.T) {
	each(t, func(c client) {
		id := c.background("--name", "answers-web", "-p", "127.0.0.1::80", c.pulled(), "sleep", "1000")
		_, port, _ := strings.Cut(c.ok("port", id, "80"), ":")
		if got := c.ok("ps", "--filter", "publish="+port, "--format", "{{.Names}}"); got != "answers-web" {
			c.Errorf("the container that publishes %s: %q", port, got)
		}
		if got := c.ok("ps", "-q", "--filter", "publish="+port+"/udp"); got != "" {
			c.Errorf("the container that publishes %s/udp: %q", port, got)
		}
		c.ok("volume", "create", "--label", "a=b", "answers")
		defer c.docker("volume", "rm", "answers")
		if got := c.ok("volume", "create", "--opt", "type=tmpfs", "answers"); got != "answers" {
			c.Errorf("a volume that is there: %q", got)
		}
		if got := c.ok("volume", "ls", "-q", "--filter", "label=a=b"); got != "answers" {
			c.Errorf("by label: %q", got)
		}
	})
}
