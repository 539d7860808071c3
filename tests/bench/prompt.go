package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"path/filepath"
	"slices"
	"time"

	_ "modernc.org/sqlite" // the history's database

	"github.com/nacre-sh/nacre/repl/history"
)

const (
	keysTyped    = 400
	keyPause     = 20 * time.Millisecond // a keyboard that repeats
	typedLines   = 1_000_000
	promptCrowd  = 1000 // containers beside the many images
	promptRounds = 5
)

// promptRows are what somebody who types waits for.
var promptRows = []row{
	{"prompt-start", "start to first prompt, 10,000 images and 1,000 containers", "ms", "≤ 60 ms", atMost(60), withMany(withPromptCrowd(measureStartOf))},
	{"prompt-complete", "Tab to a completed name among 10,000", "ms", "< 20 ms", atMost(20), withMany(measureCompletion)},
	{"prompt-keys", "key to paint, p99, during pulls, in a menu of 10,000", "ms", "< 10 ms", atMost(10), withMany(measureKeys)},
	{"prompt-history", "slowest search in a history of 1,000,000 lines", "ms", "< 50 ms", atMost(50), measureHistory},
}

// withPromptCrowd measures when the engine of many images has containers too.
func withPromptCrowd(measure func(context.Context, *engine, *lab, *sample) error) func(context.Context, *engine, *lab, *sample) error {
	return func(ctx context.Context, many *engine, l *lab, s *sample) error {
		if err := l.once(ctx, "make 1,000 containers beside the many images", func(ctx context.Context) error {
			script := fmt.Sprintf("for i in $(seq %d); do create --name crowd$i many/image0:1 true; done", promptCrowd)
			_, err := many.run(ctx, "-c", script)
			return err
		}); err != nil {
			return err
		}
		return measure(ctx, many, l, s)
	}
}

// opened is the engine of many images at a terminal, with its names known.
func opened(ctx context.Context, many *engine) (*session, error) {
	at, err := many.session(ctx)
	if err != nil {
		return nil, err
	}
	if err = at.await(promptSign); err == nil {
		err = at.press("rmi many/image777\t", "image7779")
	}
	if err == nil {
		err = at.press("\x15", "")
	}
	if err != nil {
		at.end()
		return nil, err
	}
	return at, nil
}

// press types keys and waits until text has appeared behind them.
func (s *session) press(keys, text string) error {
	s.mu.Lock()
	s.output.Reset()
	s.mu.Unlock()
	if _, err := s.terminal.WriteString(keys); err != nil {
		return err
	}
	return s.await(text)
}

func measureCompletion(ctx context.Context, many *engine, l *lab, s *sample) error {
	at, err := opened(ctx, many)
	if err != nil {
		return err
	}
	defer at.end()
	for i := range l.runs {
		if err := at.press(fmt.Sprintf("\x15rmi many/image99%02d", i), fmt.Sprintf("%d", i%10)); err != nil {
			return err
		}
		time.Sleep(typingPause)
		start := time.Now()
		if err := at.press("\t", ":1"); err != nil {
			return err
		}
		s.add(l.nacre, ms(time.Since(start)))
	}
	return nil
}

// measureKeys narrows and widens a menu of ten thousand candidates while the
// same engine pulls.
func measureKeys(ctx context.Context, many *engine, l *lab, s *sample) error {
	at, err := opened(ctx, many)
	if err != nil {
		return err
	}
	defer at.end()
	pulling, stop := context.WithCancel(ctx)
	done := make(chan struct{})
	go func() {
		defer close(done)
		for pulling.Err() == nil {
			many.run(pulling, "pull", "-q", l.image)
			many.run(pulling, "rmi", l.image)
		}
	}()
	defer func() {
		stop()
		<-done
	}()
	for range promptRounds {
		if err := at.press("\x15rmi many/image\t", "of "); err != nil {
			return err
		}
		var took []time.Duration
		for i := range keysTyped {
			time.Sleep(keyPause)
			key := "1"
			if i%2 == 1 {
				key = "\x7f"
			}
			start := time.Now()
			if err := at.press(key, "\x1b["); err != nil {
				return err
			}
			took = append(took, time.Since(start))
		}
		slices.Sort(took)
		s.add(l.nacre, ms(took[len(took)*99/100]))
		s.note("prompt-keys: median %.2f ms, p99 %.2f ms, worst %.2f ms of %d keys",
			ms(took[len(took)/2]), ms(took[len(took)*99/100]), ms(took[len(took)-1]), len(took))
	}
	return nil
}

// measureHistory looks for what is often there, rarely, and never, in a
// database of its own.
func measureHistory(ctx context.Context, l *lab, s *sample) error {
	path := filepath.Join(l.dir, "history.db")
	if err := l.once(ctx, "write a history of 1,000,000 lines", func(ctx context.Context) error { return writeHistory(ctx, path) }); err != nil {
		return err
	}
	store, err := history.Open(path, history.Options{})
	if err != nil {
		return err
	}
	defer store.Close()
	here := "/home/user/project7"
	for range l.runs {
		var slowest time.Duration
		for _, q := range []history.Query{
			{Words: []string{"nginx"}}, {Words: []string{"web4233", "busybox"}}, {Words: []string{"nothing has this"}}, {Words: []string{"run", "logs"}},
			{Words: []string{"redis"}, Dir: &here}, {Words: []string{"exec"}, Failed: true},
		} {
			q.Limit, q.Distinct = 100, true
			start := time.Now()
			if _, err := store.Search(ctx, q); err != nil {
				return err
			}
			slowest = max(slowest, time.Since(start))
		}
		s.add(l.nacre, ms(slowest))
	}
	return nil
}

func writeHistory(ctx context.Context, path string) error {
	store, err := history.Open(path, history.Options{}) // makes the tables
	if err != nil {
		return err
	}
	if err := store.Close(); err != nil {
		return err
	}
	db, err := sql.Open("sqlite", path)
	if err != nil {
		return err
	}
	defer db.Close()
	tx, err := db.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	defer tx.Rollback()
	insert, err := tx.PrepareContext(ctx, `INSERT INTO line (text, dir, engine, session, start, duration, status) VALUES (?, ?, '', ?, ?, 5, ?)`)
	if err != nil {
		return err
	}
	r := rand.New(rand.NewPCG(1, 2))
	images := []string{"nginx", "redis", "mysql", "postgres", "alpine", "busybox", "ubuntu", "debian", "registry.example.com/team/app", "ghcr.io/some/thing"}
	forms := []string{"run -d --name web%[1]d -p %[2]d:80 %[3]s", "exec -it web%[1]d sh -c 'echo %[2]d %[3]s'", "logs -f --tail %[1]d c%[2]d # %[3]s", "pull %[3]s:%[1]d.%[2]d", "rm -f c%[1]d d%[2]d # %[3]s"}
	for i := range typedLines {
		text := fmt.Sprintf(forms[r.IntN(len(forms))], r.IntN(10_000), r.IntN(10_000), images[r.IntN(len(images))])
		status := 0
		if r.IntN(20) == 0 {
			status = 1
		}
		if _, err := insert.ExecContext(ctx, text, fmt.Sprintf("/home/user/project%d", r.IntN(50)), fmt.Sprint("s", i/500), 1_600_000_000_000+int64(i)*1000, status); err != nil {
			return err
		}
	}
	return tx.Commit()
}
