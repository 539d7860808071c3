//go:build !cgo

package main

import (
	"fmt"
	"os"
)

func main() {
	fmt.Fprintln(os.Stderr, "nacre-shim was built without cgo and cannot enter namespaces: build it with CGO_ENABLED=1")
	os.Exit(2)
}
