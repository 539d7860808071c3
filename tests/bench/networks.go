package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"regexp"
	"strconv"
	"time"
)

const (
	networks = 100  // made and removed
	stream   = 2048 // MiB that are sent
)

// networkRows are networks and what passes through them. Podman is left out:
// its networks are made by another program in every start.
var networkRows = []row{
	{"networks", "100 networks created and removed, one-shot", "ms", "docker ≥ 3 ×", dockerTimes(3), measureNetworks},
	{"publish", "what a network with a published port adds to `run`", "ms", "≤ 5 ms", atMost(5), measurePublish},
	{"to-host", "container to host, MiB/s", "", "≥ 0.95 × docker's", keepsUp, measureToHost},
	{"to-container", "container to container, MiB/s", "", "≥ 0.95 × docker's", keepsUp, measureToContainer},
}

func keepsUp(v values) bool { return v.nacre >= 0.95*v.docker }

func (l *lab) withoutPodman() (list []*engine) {
	for _, e := range l.engines {
		if e.name != "podman" {
			list = append(list, e)
		}
	}
	return list
}

// measureNetworks gives the subnets: a hundred are more than the default pools have.
func measureNetworks(ctx context.Context, l *lab, s *sample) error {
	for range max(3, l.runs/4) {
		for at, e := range l.withoutPodman() {
			start := time.Now()
			for i := range networks {
				if _, err := e.run(ctx, "network", "create", "--subnet", fmt.Sprintf("10.%d.%d.0/28", 211+at, i), fmt.Sprint("bench", i)); err != nil {
					return err
				}
			}
			for i := range networks {
				if _, err := e.run(ctx, "network", "rm", fmt.Sprint("bench", i)); err != nil {
					return err
				}
			}
			s.add(e, ms(time.Since(start)))
		}
	}
	return nil
}

// measurePublish is the difference between two starts at the prompt.
func measurePublish(ctx context.Context, l *lab, s *sample) error {
	at, err := l.prompt(ctx)
	if err != nil {
		return err
	}
	defer at.end()
	with, without := "run --rm -p 80 "+l.image+" true", "run --rm --network none "+l.image+" true"
	for _, line := range []string{with, without} {
		if _, err := at.line(line); err != nil {
			return err
		}
	}
	var more, less []float64
	for range l.runs {
		a, err := at.line(with)
		if err != nil {
			return err
		}
		b, err := at.line(without)
		if err != nil {
			return err
		}
		more, less = append(more, ms(a)), append(less, ms(b))
	}
	s.add(l.nacre, max(0.1, median(more)-median(less)))
	return nil
}

// send is what a container runs to send the stream; dd tells how long it took.
func send(to string) []string {
	return []string{"sh", "-c", fmt.Sprintf("dd if=/dev/zero bs=64k count=%d 2>/tmp/said | nc %s; cat /tmp/said", stream*16, to)}
}

var copied = regexp.MustCompile(`copied, ([0-9.]+) seconds`)

// rate reads what dd said, in MiB/s.
func rate(said string) (float64, error) {
	found := copied.FindStringSubmatch(said)
	if found == nil {
		return 0, fmt.Errorf("dd said %q", said)
	}
	seconds, err := strconv.ParseFloat(found[1], 64)
	if err != nil || seconds == 0 {
		return 0, fmt.Errorf("dd said %q", said)
	}
	return stream / seconds, nil
}

func measureToHost(ctx context.Context, l *lab, s *sample) error {
	listener, err := net.Listen("tcp4", ":0")
	if err != nil {
		return err
	}
	defer listener.Close()
	go func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			go func() { _, _ = io.Copy(io.Discard, conn); conn.Close() }()
		}
	}()
	port := listener.Addr().(*net.TCPAddr).Port
	return l.sendFrom(ctx, s, func(*engine) string {
		return fmt.Sprintf("$(ip route | sed -n 's/^default via \\([0-9.]*\\).*/\\1/p') %d", port)
	})
}

// measureToContainer has a receiver in a network of its own, by whose name it is reached.
func measureToContainer(ctx context.Context, l *lab, s *sample) error {
	for _, e := range l.withoutPodman() {
		if _, err := e.run(ctx, "network", "create", "bench"); err != nil {
			return err
		}
		receive := "while :; do nc -l -p 5001 >/dev/null; done"
		if _, err := e.run(ctx, "run", "-d", "--name", "receiver", "--network", "bench", e.image, "sh", "-c", receive); err != nil {
			return err
		}
	}
	err := l.sendFrom(ctx, s, func(*engine) string { return "receiver 5001" }, "--network", "bench")
	for _, e := range l.withoutPodman() {
		for _, args := range [][]string{{"rm", "-f", "receiver"}, {"network", "rm", "bench"}} {
			if _, failed := e.run(ctx, args...); failed != nil && err == nil {
				err = failed
			}
		}
	}
	return err
}

func (l *lab) sendFrom(ctx context.Context, s *sample, to func(*engine) string, options ...string) error {
	for range max(3, l.runs/2) {
		for _, e := range l.withoutPodman() {
			args := append(append([]string{"run", "--rm"}, options...), e.image)
			said, err := e.run(ctx, append(args, send(to(e))...)...)
			if err != nil {
				return err
			}
			got, err := rate(said)
			if err != nil {
				return err
			}
			s.add(e, got)
		}
	}
	return nil
}
