package seccomp

import (
	"fmt"
	"strings"
	"sync"
)

// Separator stands between the names of a set: where libcontainer has one
// system call's name, several may stand that share an action. Its
// configuration is written and read as JSON in every start, and one object per
// call of docker's profile made it four times as long.
const Separator = ","

// sets are the sets that were asked for by name, so that a ScmpSyscall can
// stand for one.
var sets struct {
	mu    sync.Mutex
	list  [][]int          // places in the table of calls
	named map[string][]int // the same by their names: libcontainer asks once for the set, and once per architecture
}

// callsOf gives the places of a set's calls; names that no architecture knows
// are left out. The caller holds sets.mu.
func callsOf(names string) []int {
	if calls, known := sets.named[names]; known {
		return calls
	}
	var calls []int
	for name := range strings.SplitSeq(names, Separator) {
		if i, found := find(name); found {
			calls = append(calls, i)
		}
	}
	if sets.named == nil {
		sets.named = map[string][]int{}
	}
	sets.named[names] = calls
	return calls
}

// firstSet is where the numbers of sets begin, beyond the pseudo numbers.
const firstSet = 2 * pseudo

// setFromNames finds a set; names that no architecture knows are left out, as
// libcontainer leaves out rules for unknown names.
func setFromNames(names string) (ScmpSyscall, error) {
	sets.mu.Lock()
	defer sets.mu.Unlock()
	calls := callsOf(names)
	if len(calls) == 0 {
		return 0, fmt.Errorf("seccomp: no system call is named any of %q", names)
	}
	sets.list = append(sets.list, calls)
	return ScmpSyscall(firstSet - len(sets.list) + 1), nil
}

// setCalls is the reverse; nil for what is no set.
func setCalls(call ScmpSyscall) []int {
	if call > firstSet {
		return nil
	}
	sets.mu.Lock()
	defer sets.mu.Unlock()
	if i := int(firstSet - call); i < len(sets.list) {
		return sets.list[i]
	}
	return nil
}

// largestOf gives the largest number of a set on one architecture, which is
// what libcontainer wants to know of a rule there.
func largestOf(names string, column int) (ScmpSyscall, error) {
	sets.mu.Lock()
	defer sets.mu.Unlock()
	calls := callsOf(names)
	if len(calls) == 0 {
		return 0, fmt.Errorf("seccomp: no system call is named any of %q", names)
	}
	largest := ScmpSyscall(pseudo)
	for _, i := range calls {
		if number := syscalls[i].numbers[column]; number != missing {
			largest = max(largest, ScmpSyscall(number))
		}
	}
	return largest, nil
}
