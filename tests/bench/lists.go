package main

import (
	"context"
	"fmt"
	"strings"
)

const (
	objects = 100  // containers, and tags of the image
	crowd   = 1000 // containers
)

// listRows are lists of a hundred things.
var listRows = []row{
	{"ps", "`ps -a` one-shot, 100 containers", "ms", "≤ docker's", noSlower, withObjects(command("ps", "-a"))},
	{"images", "`images` one-shot, 100 names", "ms", "≤ docker's", noSlower, withObjects(command("images"))},
	{"ps-prompt", "`ps -a` at the prompt, 100 containers", "ms", "< 2 ms", atMost(2), withObjects(eachAtPrompt("ps -a"))},
	{"images-prompt", "`images` at the prompt, 100 names", "ms", "< 2 ms", atMost(2), withObjects(eachAtPrompt("images"))},
}

// crowdRows are lists of very many things.
var crowdRows = []row{
	{"stats-100", "`stats --no-stream` of 100 running containers", "ms", "docker ≥ 3 ×", dockerTimes(3), measureStats},
	{"ps-1000", "`ps -a` one-shot, 1,000 containers", "ms", "docker ≥ 3 ×", dockerTimes(3), measureCrowd},
}

// withObjects measures when every engine has a hundred containers and names.
func withObjects(measure func(context.Context, *lab, *sample) error) func(context.Context, *lab, *sample) error {
	return func(ctx context.Context, l *lab, s *sample) error {
		if err := l.once(ctx, "make 100 containers and names", l.makeObjects); err != nil {
			return err
		}
		return measure(ctx, l, s)
	}
}

func (l *lab) makeObjects(ctx context.Context) error {
	for _, e := range l.engines {
		if err := e.create(ctx, 0, objects); err != nil {
			return err
		}
		for i := range objects {
			if _, err := e.run(ctx, "tag", e.image, fmt.Sprintf("made/image%d:latest", i)); err != nil {
				return err
			}
		}
	}
	return nil
}

// create makes containers with the numbers from up to to.
func (e *engine) create(ctx context.Context, from, to int) error {
	for i := from; i < to; i++ {
		if _, err := e.run(ctx, "create", "--name", fmt.Sprint("made", i), e.image, "true"); err != nil {
			return err
		}
	}
	return nil
}

// eachAtPrompt measures a command that is shorter than the pause between two
// looks at the keyboard; only nacre has a prompt.
func eachAtPrompt(command string) func(context.Context, *lab, *sample) error {
	return func(ctx context.Context, l *lab, s *sample) error {
		at, err := l.prompt(ctx)
		if err != nil {
			return err
		}
		defer at.end()
		for range max(3, l.runs/4) {
			took, err := at.each(command)
			if err != nil {
				return err
			}
			s.add(l.nacre, ms(took))
		}
		return nil
	}
}

// measureStats leaves podman out, as does measureCrowd: it would take minutes
// to make so many.
func measureStats(ctx context.Context, l *lab, s *sample) error {
	engines := l.withoutPodman()
	for _, e := range engines {
		ids := []string{"rm", "-f"}
		for range objects {
			id, err := e.run(ctx, "run", "-d", e.image, "sleep", "10000")
			if err != nil {
				return err
			}
			ids = append(ids, strings.TrimSpace(id))
		}
		defer e.run(ctx, ids...)
	}
	for range max(3, l.runs/4) {
		for _, e := range engines {
			if err := e.timed(ctx, s, "stats", "--no-stream"); err != nil {
				return err
			}
		}
	}
	return nil
}

func measureCrowd(ctx context.Context, l *lab, s *sample) error {
	engines := l.withoutPodman()
	for _, e := range engines {
		have, err := e.run(ctx, "ps", "-aq")
		if err != nil {
			return err
		}
		if err := e.create(ctx, len(strings.Fields(have)), crowd); err != nil {
			return err
		}
	}
	for range l.runs {
		for _, e := range engines {
			if err := e.timed(ctx, s, "ps", "-a"); err != nil {
				return err
			}
		}
	}
	return nil
}
