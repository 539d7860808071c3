// Package network joins containers to networks: it owns the bridge, the
// addresses, the packet rules and the published ports, and writes what the
// container reads as /etc/hosts and /etc/resolv.conf.
//
// There is no daemon, so nobody is told when a container ends. The kernel is
// asked instead: every endpoint is a veth pair whose one end lives in the
// container's network namespace, and it vanishes with that namespace. An
// endpoint's record without a veth is dead; its address and ports return at
// the next Connect. That also covers crashes and reboots, and keeps the slow
// deletion of interfaces and rules off the path of every start and stop.
//
// Changes are made by one process at a time (a file lock), so that records,
// bridge and rules agree; configuring the container's side needs no lock.
package network

import (
	"context"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/config"
	"github.com/nacre-sh/nacre/core/network/resolver"
	"github.com/nacre-sh/nacre/core/store"
)

// Networks is one engine's networks.
type Networks struct {
	store    *store.Store
	events   Events           // nil: nobody is told
	resolver *resolver.Client // of names in networks that users make
	config   config.File
	bridge   string // name of the default network's interface
	table    string // nftables table, families ip and ip6
}

// Options is what the module works with.
type Options struct {
	Store    *store.Store
	Events   Events                 // nil: none are written
	Resolver func() (string, error) // finds the nacre-resolver program
	Config   config.File            // daemon.json; zero: none
}

// New prepares the records; bridges and rules are made when the first
// container needs them.
func New(ctx context.Context, o Options) (*Networks, error) {
	if err := o.Store.Migrate(ctx, schema); err != nil {
		return nil, err
	}
	bridge, table := names(o.Store.Paths.Data)
	return &Networks{
		store: o.Store, events: o.Events, bridge: bridge, table: table, config: o.Config,
		resolver: &resolver.Client{Dir: o.Store.Paths.Resolver(), Binary: o.Resolver},
	}, nil
}

// names gives every data root an interface and a table of its own.
func names(dataRoot string) (bridge, table string) {
	if dataRoot == store.DefaultDataRoot {
		return "nacre0", "nacre"
	}
	sum := sha256.Sum256([]byte(dataRoot))
	name := "nacre-" + hex.EncodeToString(sum[:3])
	return name, name
}

// lock admits one change of this engine's networks at a time, among
// goroutines and among processes.
func (n *Networks) lock() (unlock func(), err error) {
	return flock(filepath.Join(n.store.Paths.Exec, "network.lock"), os.O_CREATE|os.O_RDWR)
}

func flock(path string, flags int) (unlock func(), err error) {
	fd, err := unix.Open(path, flags|unix.O_CLOEXEC, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open %s: %w", path, err)
	}
	for {
		err = unix.Flock(fd, unix.LOCK_EX)
		if err != unix.EINTR {
			break
		}
	}
	if err != nil {
		unix.Close(fd)
		return nil, fmt.Errorf("lock %s: %w", path, err)
	}
	return func() { unix.Close(fd) }, nil
}

// newID is docker's kind of identifier, 64 hexadecimal digits.
func newID() string {
	var b [32]byte
	rand.Read(b[:]) // never fails
	return hex.EncodeToString(b[:])
}
