package main

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/nacre-sh/nacre/tests/registry"
)

// iperfRows are what goes through a bridge, as Debian's iperf3 counts it. Podman is left out, as with all networks.
var iperfRows = []row{
	{"iperf-host", "iperf3 from a container to the host", "Gbit/s", "≥ 95 % of docker's", withinOfDocker(0.95), measureToHost},
	{"iperf-containers", "iperf3 from a container to another", "Gbit/s", "≥ 95 % of docker's", withinOfDocker(0.95), measureBetween},
}

const (
	meter     = "meter"
	meterPort = "5301" // of the server on the host
)

func withinOfDocker(part float64) func(values) bool {
	return func(v values) bool { return v.nacre >= part*v.docker }
}

// debian is where the archives of Debian's packages lie.
func (o options) debian() string { return filepath.Join(filepath.Dir(o.nacre), "debian") }

// fetch loads what the rows need from the network, which is out of reach once they are measured.
func (o options) fetch() error {
	for _, r := range o.rows {
		if strings.HasPrefix(r.name, "iperf") {
			return registry.FetchTools(o.debian())
		}
	}
	return nil
}

// tools gives every engine the image with iperf3, and nacre's bridge a way through dockerd's chain: where bridged
// packets are filtered, its policy drops those of all other bridges.
func (l *lab) tools(ctx context.Context) (image string, err error) {
	image = l.registry + "/library/tools:latest"
	return image, l.once(ctx, "image with iperf3", func(ctx context.Context) error {
		img, err := registry.Tools(l.debian(), runtime.GOARCH)
		if err != nil {
			return err
		}
		if _, err := registry.Push(ctx, l.registry, "library/tools", "latest", img); err != nil {
			return err
		}
		for _, e := range l.withoutPodman() {
			if _, err := e.run(ctx, "pull", "-q", image); err != nil {
				return err
			}
		}
		return l.letThrough(ctx)
	})
}

func (l *lab) letThrough(ctx context.Context) error {
	if len(l.withoutPodman()) < 2 {
		return nil // no dockerd, no chain
	}
	bridge, err := l.nacre.run(ctx, "network", "inspect", "bridge", "--format", `{{index .Options "com.docker.network.bridge.name"}}`)
	for _, direction := range []string{"-i", "-o"} {
		if err == nil {
			iptables := &engine{name: "iptables", command: []string{"iptables"}}
			_, err = iptables.run(ctx, "-I", "DOCKER-USER", direction, strings.TrimSpace(bridge), "-j", "ACCEPT")
		}
	}
	return err
}

func measureToHost(ctx context.Context, l *lab, s *sample) error {
	image, err := l.tools(ctx)
	if err != nil {
		return err
	}
	// One server for all, on the host's side; each client comes over its own bridge.
	if _, err := l.nacre.run(ctx, "run", "-d", "--name", meter, "--network", "host", image, "iperf3", "-s", "-p", meterPort); err != nil {
		return err
	}
	err = l.throughput(ctx, s, image, func(e *engine) (string, error) {
		return e.run(ctx, "run", "--rm", image, "sh", "-c", `ip route | sed -n 's/^default via \([^ ]*\).*/\1/p'`)
	})
	if err != nil {
		return err
	}
	_, err = l.nacre.run(ctx, "rm", "-f", meter)
	return err
}

func measureBetween(ctx context.Context, l *lab, s *sample) error {
	image, err := l.tools(ctx)
	if err != nil {
		return err
	}
	for _, e := range l.withoutPodman() {
		if _, err := e.run(ctx, "run", "-d", "--name", meter, image, "iperf3", "-s", "-p", meterPort); err != nil {
			return err
		}
	}
	err = l.throughput(ctx, s, image, func(e *engine) (string, error) {
		return e.run(ctx, "inspect", meter, "--format", "{{.NetworkSettings.Networks.bridge.IPAddress}}")
	})
	for _, e := range l.withoutPodman() {
		if err == nil {
			_, err = e.run(ctx, "rm", "-f", meter)
		}
	}
	return err
}

// throughput measures one second of each engine in turn towards the server that address names.
func (l *lab) throughput(ctx context.Context, s *sample, image string, address func(*engine) (string, error)) error {
	for range max(3, l.runs) {
		for _, e := range l.withoutPodman() {
			server, err := address(e)
			if err != nil {
				return err
			}
			rate, err := e.iperf(ctx, image, strings.TrimSpace(server))
			if err != nil {
				return err
			}
			s.add(e, rate)
		}
	}
	return nil
}

// iperf returns what the server received, in Gbit/s.
func (e *engine) iperf(ctx context.Context, image, server string) (float64, error) {
	var out string
	var err error
	for deadline := time.Now().Add(time.Minute); time.Now().Before(deadline); time.Sleep(100 * time.Millisecond) {
		if out, err = e.run(ctx, "run", "--rm", image, "iperf3", "-c", server, "-p", meterPort, "-t", "1", "-J"); err == nil {
			break // until then the server was not there yet
		}
	}
	if err != nil {
		return 0, err
	}
	var report struct {
		End struct {
			Received struct {
				Rate float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		} `json:"end"`
	}
	if err := json.Unmarshal([]byte(out), &report); err != nil {
		return 0, fmt.Errorf("read the report of iperf3: %w", err)
	}
	if report.End.Received.Rate == 0 {
		return 0, fmt.Errorf("%s: nothing reached the server: %s", e.name, out)
	}
	return report.End.Received.Rate / 1e9, nil
}
