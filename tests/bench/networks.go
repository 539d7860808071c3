package main

import (
	"context"
	"fmt"
	"time"
)

const networks = 100 // made and removed

// networkRows are networks, and ports on them. Podman is left out:
// its networks are made by another program in every start.
var networkRows = []row{
	{"networks", "100 networks created and removed, one-shot", "ms", "docker ≥ 3 ×", dockerTimes(3), measureNetworks},
	{"publish", "what a network with a published port adds to `run`", "ms", "≤ 5 ms", atMost(5), measurePublish},
}

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
