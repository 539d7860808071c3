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
	mu   sync.Mutex
	list [][]int // places in the table of calls
}

// firstSet is where the numbers of sets begin, beyond the pseudo numbers.
const firstSet = 2 * pseudo

// setFromNames finds a set; names that no architecture knows are left out, as
// libcontainer leaves out rules for unknown names.
func setFromNames(names string) (ScmpSyscall, error) {
	var calls []int
	for name := range strings.SplitSeq(names, Separator) {
		if i, found := find(name); found {
			calls = append(calls, i)
		}
	}
	if len(calls) == 0 {
		return 0, fmt.Errorf("seccomp: no system call is named any of %q", names)
	}
	sets.mu.Lock()
	defer sets.mu.Unlock()
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
	largest, known := ScmpSyscall(pseudo), false
	for name := range strings.SplitSeq(names, Separator) {
		if i, found := find(name); found {
			known = true
			if number := syscalls[i].numbers[column]; number != missing {
				largest = max(largest, ScmpSyscall(number))
			}
		}
	}
	if !known {
		return 0, fmt.Errorf("seccomp: no system call is named any of %q", names)
	}
	return largest, nil
}
