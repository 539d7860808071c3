// Package resolver is the contract between the engine and nacre-resolver, the
// one process per engine that answers the containers' questions about names,
// and the engine's side of it.
//
// Containers in networks of users have `nameserver 127.0.0.11` in their
// resolv.conf. The resolver has sockets inside each of their network
// namespaces, and a packet rule there that leads 127.0.0.11:53 to them, so
// that the container may use port 53 itself. Names of containers are answered
// from what the engine has registered, all others by the servers that came
// with the registration.
//
// Life: the first Register starts the process; it ends soon after its last
// container. It consists of a guard, which holds the socket that the engine
// talks to, and of a worker, which the guard starts again when it dies. What
// was registered is kept in files, so that a new worker, or a new guard, goes
// on where the old one was.
//
// A socket keeps its namespace alive. The worker therefore watches the
// keepers (the containers' shims) and closes the sockets when one ends.
package resolver

import (
	"net/netip"
	"time"
)

// Address is where containers ask.
var Address = netip.AddrFrom4([4]byte{127, 0, 0, 11})

// Binary is the program's file name; EnvBinary replaces the search for it.
const (
	Binary    = "nacre-resolver"
	EnvBinary = "NACRE_RESOLVER"
)

// Files in the resolver's folder.
const (
	SocketFile    = "sock"
	LockFile      = "lock"       // held by the guard
	LogFile       = "log"        // what the processes have to say, since the guard's start
	ContainersDir = "containers" // one registration per file
)

// Linger is how long the resolver waits for another container after its last.
const Linger = 2 * time.Second

// Request is the one line that a connection carries; one field is set. With
// Register comes the network namespace, as a descriptor.
type Request struct {
	Register   *Registration `json:",omitempty"`
	Unregister string        `json:",omitempty"` // a container's id
	Rename     *Rename       `json:",omitempty"`
	Stop       bool          `json:",omitempty"` // end now, whatever is registered
}

// Reply is the line that answers.
type Reply struct {
	Error string `json:",omitempty"`
}

// Registration is one container that asks, and that others ask for.
type Registration struct {
	Container string // id
	Keeper    int    // process id of whoever lives as long as the namespace
	NetNS     string // path of the namespace, for a worker that starts again
	Networks  []Network
	Servers   []Server // for all other names; none: the container has no way to them

	Inode   uint64 `json:",omitempty"` // of the namespace; filled in by the worker, as is
	Started uint64 `json:",omitempty"` // the keeper's start, in clock ticks after boot
}

// Network is the container's place in one network.
type Network struct {
	ID, Name  string
	Addresses []netip.Addr
	Names     []string          // by which the others know it, the first is told for its address
	Links     map[string]string `json:",omitempty"` // known to this container only: alias → a name in the network
}

// Server is a name server that knows other names.
type Server struct {
	Address netip.AddrPort
	Host    bool // reached from the host's namespace, not from the container's
}

// Rename gives a registered container another name, where it had the old one.
type Rename struct{ Container, Old, New string }
