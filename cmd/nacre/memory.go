package main

import (
	"runtime/debug"
	"time"
)

// Garbage that a short command makes need not be collected: a third of what
// `nacre ps` costs would go into that. After calm, or beyond quickHeap bytes,
// the collector works as always (or as GOGC and GOMEMLIMIT say).
const (
	calm      = time.Second
	quickHeap = 256 << 20
)

// deferCollection keeps the garbage collector quiet for the first moment.
func deferCollection() {
	percent := debug.SetGCPercent(-1)
	limit := debug.SetMemoryLimit(-1)
	debug.SetMemoryLimit(min(limit, quickHeap))
	time.AfterFunc(calm, func() {
		debug.SetGCPercent(percent)
		debug.SetMemoryLimit(limit)
	})
}
