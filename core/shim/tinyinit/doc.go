// Package tinyinit makes the program that it is linked into a container's
// first process when it is called docker-init: `run --init` mounts nacre-shim
// under that name. It reaps what is orphaned and passes signals on. See init.c;
// a constructor does the work before Go's runtime starts. Without cgo there is none.
package tinyinit
