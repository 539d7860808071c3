package thread

import (
	"os"
	"strconv"
)

func Calm(ns int) {
	self := os.Getpid()
	dir, err := os.Open("/proc/self/task")
	if err != nil {
		return
	}
	defer dir.Close()
	names, _ := dir.Readdirnames(-1)
	first := 0
	for _, n := range names {
		tid, err := strconv.Atoi(n)
		if err == nil && tid > self && (first == 0 || tid < first) {
			first = tid
		}
	}
	if first == 0 {
		return
	}
	_ = os.WriteFile("/proc/"+strconv.Itoa(first)+"/timerslack_ns", []byte(os.Getenv("SLACK")), 0)
}
