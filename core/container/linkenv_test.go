package container

import (
	"strings"
	"testing"

	"github.com/moby/moby/api/types/network"
)

func TestLinkVariables(t *testing.T) {
	ports := network.PortSet{}
	for _, p := range []string{"53/udp", "3306/tcp", "8000/tcp", "8001/tcp", "8002/tcp"} {
		ports[network.MustParsePort(p)] = struct{}{}
	}
	got := strings.Join(variables("/web/my-db", "172.17.0.5", []string{"PATH=/bin", "HOME=/", "ROOT=secret", "X"}, ports), "\n")
	for _, want := range []string{
		"MY_DB_PORT=tcp://172.17.0.5:3306", "MY_DB_PORT_3306_TCP=tcp://172.17.0.5:3306", "MY_DB_PORT_3306_TCP_ADDR=172.17.0.5",
		"MY_DB_PORT_3306_TCP_PORT=3306", "MY_DB_PORT_3306_TCP_PROTO=tcp", "MY_DB_PORT_53_UDP=udp://172.17.0.5:53",
		"MY_DB_PORT_8000_TCP_START=tcp://172.17.0.5:8000", "MY_DB_PORT_8000_TCP_PORT_START=8000",
		"MY_DB_PORT_8000_TCP_END=tcp://172.17.0.5:8002", "MY_DB_PORT_8000_TCP_PORT_END=8002", "MY_DB_NAME=/web/my-db", "MY_DB_ENV_ROOT=secret",
	} {
		if !strings.Contains("\n"+got+"\n", "\n"+want+"\n") {
			t.Errorf("no %s in\n%s", want, got)
		}
	}
	if strings.Contains(got, "PATH=") || strings.Contains(got, "3306_TCP_START") || strings.Contains(got, "53_UDP_START") {
		t.Errorf("too much:\n%s", got)
	}
}
