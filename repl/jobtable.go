package repl

import (
	"fmt"
	"io"
	"slices"
	"strconv"
	"strings"
	"sync"
)

// jobTable holds the jobs that have left the foreground, in the order in which
// they did. The newest is the current one: %+ and %% and the default of fg.
type jobTable struct {
	mu   sync.Mutex
	jobs []*job
	// wanted is the job that `fg` has asked for; the loop brings it to the front when the line with the fg has ended.
	wanted *job
	warned int // the number of jobs when `exit` was refused on their account
	// idle is true while a line is being typed; notices are what is to be said of jobs when one is next.
	idle    bool
	notices []string
	// gone are jobs that have ended, by number, until another has it: they can still be waited for.
	gone map[int]*job
	// followed are jobs that the interpreter waits for, by the word that names them to it.
	followed map[string]*job
}

// add gives a job the lowest free number.
func (t *jobTable) add(j *job) int {
	t.mu.Lock()
	defer t.mu.Unlock()
	if j.id == 0 {
		j.id = 1
		for slices.ContainsFunc(t.jobs, func(o *job) bool { return o.id == j.id }) {
			j.id++
		}
	}
	delete(t.gone, j.id)
	t.jobs = append(slices.DeleteFunc(t.jobs, func(o *job) bool { return o == j }), j)
	return j.id
}

// remove takes a job off the table and tells whether it was there.
func (t *jobTable) remove(j *job) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	before := len(t.jobs)
	t.jobs = slices.DeleteFunc(t.jobs, func(o *job) bool { return o == j })
	if t.gone == nil {
		t.gone = map[int]*job{}
	}
	t.gone[j.id] = j
	return len(t.jobs) < before
}

func (t *jobTable) has(j *job) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return slices.Contains(t.jobs, j)
}

// follow names a job for the interpreter; unfollow resolves the name, once.
func (t *jobTable) follow(j *job) string {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.followed == nil {
		t.followed = map[string]*job{}
	}
	key := fmt.Sprintf("%p", j)
	t.followed[key] = j
	return key
}

func (t *jobTable) unfollow(key string) *job {
	t.mu.Lock()
	defer t.mu.Unlock()
	j := t.followed[key]
	delete(t.followed, key)
	return j
}

// list returns the jobs by number.
func (t *jobTable) list() []*job {
	t.mu.Lock()
	defer t.mu.Unlock()
	jobs := slices.Clone(t.jobs)
	slices.SortFunc(jobs, func(a, b *job) int { return a.id - b.id })
	return jobs
}

// current is the job that left the foreground last; nil without any.
func (t *jobTable) current() *job {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.jobs) == 0 {
		return nil
	}
	return t.jobs[len(t.jobs)-1]
}

func (t *jobTable) previous() *job {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.jobs) < 2 {
		return nil
	}
	return t.jobs[len(t.jobs)-2]
}

// find resolves a job word of POSIX: %N, %+ or %% (the current one), %- (the
// one before), %TEXT (whose line begins so), %?TEXT (contains it); and N.
func (t *jobTable) find(word string) (*job, error) {
	name := strings.TrimPrefix(word, "%")
	if j, decided := t.named(name); decided {
		if j == nil {
			return nil, fmt.Errorf("%s: no such job", word)
		}
		return j, nil
	}
	within, contains := strings.CutPrefix(name, "?")
	var found *job
	for _, j := range t.list() {
		if contains && strings.Contains(j.text, within) || !contains && strings.HasPrefix(j.text, name) {
			if found != nil {
				return nil, fmt.Errorf("%s: ambiguous: %%%d and %%%d", word, found.id, j.id)
			}
			found = j
		}
	}
	if found == nil {
		return nil, fmt.Errorf("%s: no such job", word)
	}
	return found, nil
}

// findEnded resolves a job word like find, but knows jobs that have ended, too.
func (t *jobTable) findEnded(word string) (*job, error) {
	j, err := t.find(word)
	if err == nil {
		return j, nil
	}
	n, notNumber := strconv.Atoi(strings.TrimPrefix(word, "%"))
	t.mu.Lock()
	defer t.mu.Unlock()
	if ended := t.gone[n]; notNumber == nil && ended != nil {
		return ended, nil
	}
	return nil, err
}

// named resolves the words that do not look at a job's text.
func (t *jobTable) named(name string) (_ *job, decided bool) {
	switch name {
	case "", "+", "%":
		return t.current(), true
	case "-":
		return t.previous(), true
	}
	n, err := strconv.Atoi(name)
	if err != nil {
		return nil, false
	}
	for _, j := range t.list() {
		if j.id == n {
			return j, true
		}
	}
	return nil, true
}

// line describes a job as `jobs` shows it.
func (t *jobTable) line(j *job) string {
	mark := " "
	switch j {
	case t.current():
		mark = "+"
	case t.previous():
		mark = "-"
	}
	j.mu.Lock()
	state, status := j.state, j.status
	j.mu.Unlock()
	return fmt.Sprintf("[%d]%s  %-10s %s", j.id, mark, stateText(state, status), j.text)
}

func stateText(s jobState, status int) string {
	switch {
	case s == jobStopped:
		return "Stopped"
	case s != jobDone:
		return "Running"
	case status == 0:
		return "Done"
	}
	return fmt.Sprintf("Exit %d", status)
}

// want notes which job comes to the front next.
func (t *jobTable) want(j *job) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.wanted = j
}

func (t *jobTable) takeWanted() *job {
	t.mu.Lock()
	defer t.mu.Unlock()
	j := t.wanted
	t.wanted = nil
	return j
}

// notify says something of a job: above the line that is being typed, or, while
// a command runs, before the next prompt, so that it does not stand amid what
// that prints.
func (t *jobTable) notify(w io.Writer, line string) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.idle {
		fmt.Fprintln(w, line)
		return
	}
	t.notices = append(t.notices, line)
}

// setIdle says whether a line is being typed from now on; then, what is still to
// be said is said.
func (t *jobTable) setIdle(w io.Writer, idle bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.idle = idle; !idle {
		return
	}
	for _, line := range t.notices {
		fmt.Fprintln(w, line)
	}
	t.notices = nil
}

// warnAgain lets the next `exit` warn: something else was typed since the last one.
func (t *jobTable) warnAgain() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.warned = 0
}

// refuseEnd tells whether `exit` should be refused once because of jobs that
// would be lost; the second time it is not.
func (t *jobTable) refuseEnd() (n int, refuse bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	n = len(t.jobs)
	if n == 0 || n == t.warned {
		return n, false
	}
	t.warned = n
	return n, true
}
