package network

import (
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// On a slow machine the work takes longer than the socket may stay open after it.
func TestSlowWorkKeepsItsSocket(t *testing.T) {
	var n Networks
	before := netfilterSockets(t)
	err := n.withRules(func(conn *nftables.Conn) error {
		mine := slices.DeleteFunc(netfilterSockets(t), func(fd int) bool { return slices.Contains(before, fd) })
		if len(mine) == 0 {
			t.Error("the connection has no socket")
		}
		time.Sleep(2 * settling)
		for now := netfilterSockets(t); len(mine) > 0; mine = mine[1:] {
			if !slices.Contains(now, mine[0]) {
				t.Error("the socket was closed during the work")
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
}

// netfilterSockets are this process's descriptors of netfilter's netlink.
func netfilterSockets(t *testing.T) (fds []int) {
	t.Helper()
	entries, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Fatal(err)
	}
	for _, e := range entries {
		fd, err := strconv.Atoi(e.Name())
		if err != nil {
			t.Fatal(err)
		}
		domain, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_DOMAIN)
		if err != nil || domain != unix.AF_NETLINK {
			continue
		}
		if protocol, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_PROTOCOL); err == nil && protocol == unix.NETLINK_NETFILTER {
			fds = append(fds, fd)
		}
	}
	return fds
}
