package early

import "syscall"

// A process that joins a cgroup waits up to two of the kernel's grace periods, some 10 ms each, unless somebody
// else has taken the kernel's lock for that just before (core/shim/shimapi's WarmCgroups says more, and keeps the lock
// warm from main on). A process of `exec` is there after as many milliseconds, so the wait had better begin at once.
func init() {
	if startsProcess(read("/proc/self/cmdline")) {
		go joinOwnCgroup()
	}
}

// atMost is how many words of a command line are looked at: options, then the command.
const atMost = 10

// startsProcess tells whether a command line, words that end with a zero, may be that of a command that starts
// a process. A wrong guess costs microseconds.
func startsProcess(line string) bool {
	for range atMost {
		word, rest := cut(line, 0)
		if word == "exec" || word == "run" || word == "start" {
			return true
		}
		line = rest
	}
	return false
}

// joinOwnCgroup moves this process to where it is, in one of its cgroups: the lock is the same for all. Nothing
// is lost where it may not.
func joinOwnCgroup() {
	list := read("/proc/self/cgroup")
	for list != "" {
		var line string
		line, list = cut(list, '\n') // number:controllers:path
		_, line = cut(line, ':')
		controllers, path := cut(line, ':')
		for _, mount := range mounts(controllers) {
			fd, err := syscall.Open("/sys/fs/cgroup"+mount+path+"/cgroup.procs", syscall.O_WRONLY|syscall.O_CLOEXEC, 0)
			if err == nil {
				_ = write(fd, decimal(syscall.Getpid()))
				syscall.Close(fd)
				return
			}
		}
	}
}

// mounts are the places below /sys/fs/cgroup where a hierarchy may be mounted.
func mounts(controllers string) []string {
	const named = "name="
	switch {
	case controllers == "":
		return []string{"", "/unified"} // version 2, alone or beside version 1
	case len(controllers) > len(named) && controllers[:len(named)] == named:
		return []string{"/" + controllers[len(named):]}
	}
	return []string{"/" + controllers}
}

// cut divides text at the first separator; rest is empty without one. It stands for strings.Cut.
func cut(text string, separator byte) (before, rest string) {
	for i := range len(text) {
		if text[i] == separator {
			return text[:i], text[i+1:]
		}
	}
	return text, ""
}

// read reads the beginning of a file of the kernel's; nothing where that fails.
func read(file string) string {
	fd, err := syscall.Open(file, syscall.O_RDONLY|syscall.O_CLOEXEC, 0)
	if err != nil {
		return ""
	}
	defer syscall.Close(fd)
	text := make([]byte, 4096)
	n, err := syscall.Read(fd, text)
	if err != nil || n <= 0 {
		return ""
	}
	return string(text[:n])
}
