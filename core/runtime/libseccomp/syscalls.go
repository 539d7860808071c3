package seccomp

import (
	"fmt"
	"slices"
	"sort"
	"strings"
)

// ScmpSyscall is a system call by its number on the native architecture, or by
// a negative number of our own where that lacks it.
type ScmpSyscall int32

// missing marks an architecture that has no such call.
const missing = -1

// pseudo is where the negative numbers begin: beyond all of libseccomp's own.
const pseudo = -20000

// GetSyscallFromName finds a system call that any of the architectures has, or
// a set of them; see Separator.
func GetSyscallFromName(name string) (ScmpSyscall, error) {
	if strings.Contains(name, Separator) {
		return setFromNames(name)
	}
	return GetSyscallFromNameByArch(name, ArchNative)
}

// GetSyscallFromNameByArch gives the number on one architecture, the largest
// one of a set.
func GetSyscallFromNameByArch(name string, arch ScmpArch) (ScmpSyscall, error) {
	arch, err := resolveArch(arch)
	if err != nil {
		return 0, err
	}
	if strings.Contains(name, Separator) {
		return largestOf(name, arches[arch].column)
	}
	i, found := find(name)
	if !found {
		return 0, fmt.Errorf("seccomp: no system call is named %q", name)
	}
	if number := syscalls[i].numbers[arches[arch].column]; number != missing {
		return ScmpSyscall(number), nil
	}
	return ScmpSyscall(pseudo - i), nil
}

// find gives a name's place in the table.
func find(name string) (int, bool) {
	return sort.Find(len(syscalls), func(i int) int { return strings.Compare(name, syscalls[i].name) })
}

// callIndex is the reverse for the native architecture.
func callIndex(call ScmpSyscall) (int, error) {
	if i := pseudo - int(call); call <= pseudo && i < len(syscalls) {
		return i, nil
	}
	native, err := GetNativeArch()
	if err != nil {
		return 0, err
	}
	column := arches[native].column
	for i := range syscalls {
		if syscalls[i].numbers[column] == int32(call) {
			return i, nil
		}
	}
	return 0, fmt.Errorf("seccomp: no system call has the number %d", call)
}

// On x86 most socket calls and System V IPC calls once came through one call
// with a selector as first argument, and both ways are open. A rule for a name
// holds for both; of its conditions those on the first argument cannot.
const (
	x86Socketcall = 102
	x86IPC        = 117
)

// x86Mux gives the selector of a call that x86 multiplexes.
func x86Mux(name string) (via uint32, selector uint64, ok bool) {
	if i := slices.Index(x86SocketCalls[:], name); i > 0 {
		return x86Socketcall, uint64(i), true
	}
	if i := slices.Index(x86IPCCalls[:], name); i > 0 {
		return x86IPC, uint64(i), true
	}
	return 0, 0, false
}

var x86SocketCalls = [...]string{
	1: "socket", 2: "bind", 3: "connect", 4: "listen", 5: "accept", 6: "getsockname", 7: "getpeername",
	8: "socketpair", 9: "send", 10: "recv", 11: "sendto", 12: "recvfrom", 13: "shutdown", 14: "setsockopt",
	15: "getsockopt", 16: "sendmsg", 17: "recvmsg", 18: "accept4", 19: "recvmmsg", 20: "sendmmsg",
}

var x86IPCCalls = [...]string{
	1: "semop", 2: "semget", 3: "semctl", 4: "semtimedop", 11: "msgsnd", 12: "msgrcv", 13: "msgget", 14: "msgctl",
	21: "shmat", 22: "shmdt", 23: "shmget", 24: "shmctl",
}
