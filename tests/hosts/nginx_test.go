package hosts

import (
	"os/exec"
	"regexp"
	"testing"
)

const (
	here    = "192.0.2.1" // the host that nacre runs on
	outside = "192.0.2.2"
)

// A web server is reached from its host, from another host and from containers,
// and its log names the client where nothing stands between. iperf3 goes both ways.
func testPublished(t *testing.T, e engine, other host) {
	e.nacre("run", "-d", "--name", "web", "-p", "8080:80", "tools", "nginx", "-g", "daemon off;")
	const page = "Welcome to nginx"
	eventually(t, page, func() *exec.Cmd { return e.command("curl", "-sf", "http://127.0.0.1:8080/?from-loopback") })
	contains(t, "from the host", e.ok("curl", "-sf", "http://"+here+":8080/?from-address"), page)
	contains(t, "from another host", other.ok("curl", "-sf", "http://"+here+":8080/?from-outside"), page)
	contains(t, "from a container", e.nacre("run", "--rm", "tools", "wget", "-qO-", "http://"+here+":8080/?from-container"), page)
	contains(t, "from itself", e.nacre("exec", "web", "wget", "-qO-", "http://"+here+":8080/?from-itself"), page)
	gateway := e.nacre("network", "inspect", "bridge", "--format", "{{(index .IPAM.Config 0).Gateway}}")
	for what, client := range map[string]string{
		"from-loopback": gateway, "from-address": here, "from-outside": outside,
		"from-container": `\d+\.\d+\.\d+\.\d+`, "from-itself": `\d+\.\d+\.\d+\.\d+`,
	} {
		line := regexp.MustCompile(`(?m)^` + client + ` .*GET /\?` + what + ` `)
		eventually(t, what, func() *exec.Cmd { return e.start("logs", "web") })
		if log := e.nacre("logs", "web"); !line.MatchString(log) {
			t.Errorf("no line %s in\n%s", line, log)
		}
	}

	// Only what is published can be reached from outside, also by who knows the way.
	address := e.nacre("inspect", "web", "--format", "{{.NetworkSettings.Networks.bridge.IPAddress}}")
	other.ok("ip", "route", "add", address, "via", here)
	if out, err := other.command("curl", "-s", "--max-time", "2", "http://"+address).CombinedOutput(); err == nil {
		t.Errorf("port 80 of the container is reached from outside: %s", out)
	}
	if !t.Failed() {
		e.nacre("rm", "-f", "web")
	}
}

func testThroughput(t *testing.T, e engine) {
	e.nacre("run", "-d", "--name", "meter", "-p", "5201:5201", "tools", "iperf3", "-s")
	address := e.nacre("inspect", "meter", "--format", "{{.NetworkSettings.Networks.bridge.IPAddress}}")
	client := func(server string) func() *exec.Cmd {
		return func() *exec.Cmd { return e.start("run", "--rm", "tools", "iperf3", "-c", server, "-n", "8M") }
	}
	for _, server := range []string{address, here} {
		eventually(t, "iperf Done.", client(server))
	}
	e.nacre("rm", "-f", "meter")
}

// What tutorials type about ports, as they type it: the host's ports are the test's own.
func testWalkthrough(t *testing.T, e engine) {
	e.nacre("tag", "tools", "nginx")
	line := func(text string) string { return e.nacre("-c", text) }
	line(`docker run -d -p 8080:80 --name web nginx nginx -g "daemon off;"`)
	eventually(t, "Welcome to nginx", func() *exec.Cmd { return e.command("curl", "-sf", "http://127.0.0.1:8080") })
	contains(t, "docker ps", line("docker ps"), "0.0.0.0:8080->80/tcp")
	contains(t, "docker port web", line("docker port web"), "80/tcp -> 0.0.0.0:8080")
	line("docker stop -t 0 web")
	line(`docker run -d -p 5000:5000 --privileged=true --name site nginx httpd -f -p 5000 -h /usr/share/nginx/html`)
	eventually(t, "Welcome to nginx", func() *exec.Cmd { return e.command("curl", "-sf", "http://127.0.0.1:5000") })
	line("docker rm -f $(docker ps -aq)")
	if left := line("docker ps -aq"); left != "" {
		t.Errorf("left: %s", left)
	}
	line("docker rmi nginx")
}
