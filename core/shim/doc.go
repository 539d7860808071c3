// Package shim is what nacre-shim does: it is the parent of one container's
// init, and keeps the container's streams, log and exit status whether or not
// a nacre is there. Its life is described in core/shim/shimapi.
//
// The way through it: Run makes the namespaces, waits to be bound and serves
// requests (server.go); a Start mounts the root (rootfs.go) and hands over to
// the life of the container (container.go), whose output goes through streams
// (streams.go) to the log (jsonlog.go) and to attached clients (attach.go).
package shim
