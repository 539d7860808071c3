//go:build cgo

package runtime

import _ "github.com/opencontainers/runc/libcontainer/nsenter" // enters the namespaces before Go's runtime starts
