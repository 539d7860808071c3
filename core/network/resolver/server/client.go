package server

import (
	"context"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/miekg/dns"
	"golang.org/x/sys/unix"

	"github.com/nacre-sh/nacre/core/network/resolver"
	"github.com/nacre-sh/nacre/core/thread"
)

// client is one container that asks.
type client struct {
	reg   atomic.Pointer[resolver.Registration]
	w     *worker
	netns *os.File
	udp   *dns.Server
	tcp   *dns.Server
}

// newClient opens the sockets in the container's namespace; netns stays the caller's.
func newClient(r resolver.Registration, netns *os.File, w *worker) (*client, error) {
	fd, err := unix.FcntlInt(netns.Fd(), unix.F_DUPFD_CLOEXEC, 0)
	if err != nil {
		return nil, os.NewSyscallError("fcntl", err)
	}
	c := &client{w: w, netns: os.NewFile(uintptr(fd), "netns")}
	c.reg.Store(&r)
	packets, listener, err := c.listen()
	if err != nil {
		c.netns.Close()
		return nil, fmt.Errorf("listen in the network namespace of container %s: %w", r.Container, err)
	}
	c.udp = &dns.Server{PacketConn: packets, Handler: c, UDPSize: dns.DefaultMsgSize}
	c.tcp = &dns.Server{Listener: listener, Handler: c}
	return c, nil
}

func (c *client) listen() (packets net.PacketConn, listener net.Listener, err error) {
	any4 := netip.AddrPortFrom(resolver.Address, 0)
	err = inNetNS(c.netns, func() error {
		if packets, err = net.ListenUDP("udp4", net.UDPAddrFromAddrPort(any4)); err != nil {
			return err
		}
		listener, err = net.ListenTCP("tcp4", net.TCPAddrFromAddrPort(any4))
		return err
	})
	if err == nil {
		err = c.redirect(packets.LocalAddr().(*net.UDPAddr).Port, listener.Addr().(*net.TCPAddr).Port)
	}
	if err == nil {
		return packets, listener, nil
	}
	if packets != nil {
		packets.Close()
	}
	if listener != nil {
		listener.Close()
	}
	return nil, nil, err
}

// redirect leads what the container sends to 127.0.0.11:53 to the sockets: the
// container may have a server of its own at port 53.
func (c *client) redirect(udp, tcp int) error {
	conn, err := nftables.New(nftables.WithNetNSFd(int(c.netns.Fd())))
	if err != nil {
		return err
	}
	table := &nftables.Table{Name: "nacre-names", Family: nftables.TableFamilyIPv4}
	conn.AddTable(table) // so that the deletion of an earlier one cannot fail
	conn.DelTable(table)
	conn.AddTable(table)
	chain := conn.AddChain(&nftables.Chain{Name: "output", Table: table, Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityNATDest})
	for _, to := range []struct {
		proto byte
		port  int
	}{{unix.IPPROTO_UDP, udp}, {unix.IPPROTO_TCP, tcp}} {
		conn.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: redirection(to.proto, to.port)})
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("set packet rules: %w", err)
	}
	return nil
}

func redirection(proto byte, port int) []expr.Any {
	const reg1, reg2 = unix.NFT_REG_1, unix.NFT_REG_2
	return []expr.Any{
		&expr.Payload{DestRegister: reg1, Base: expr.PayloadBaseNetworkHeader, Offset: 16, Len: 4},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: resolver.Address.AsSlice()},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: reg1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: []byte{proto}},
		&expr.Payload{DestRegister: reg1, Base: expr.PayloadBaseTransportHeader, Offset: 2, Len: 2},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: []byte{0, 53}},
		&expr.Immediate{Register: reg1, Data: resolver.Address.AsSlice()},
		&expr.Immediate{Register: reg2, Data: []byte{byte(port >> 8), byte(port)}},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: reg1, RegProtoMin: reg2},
	}
}

// serve begins to answer.
func (c *client) serve() {
	for _, s := range []*dns.Server{c.udp, c.tcp} {
		go func() { _ = s.ActivateAndServe() }() // ends with its socket
	}
}

func (c *client) registration() *resolver.Registration { return c.reg.Load() }
func (c *client) change(r resolver.Registration)       { c.reg.Store(&r) }
func (c *client) close() {
	// Not Shutdown, which waits for answers: nobody is left to get them, and the
	// sockets keep the namespace alive.
	c.udp.PacketConn.Close()
	c.tcp.Listener.Close()
	c.netns.Close()
}

// dial opens a connection to a name server from where it can be reached.
func (c *client) dial(ctx context.Context, proto string, s resolver.Server) (conn net.Conn, err error) {
	var d net.Dialer
	if s.Host {
		return d.DialContext(ctx, proto, s.Address.String())
	}
	// For one address net.Dialer makes the socket on the calling thread, whose namespace it gets.
	err = inNetNS(c.netns, func() error {
		conn, err = d.DialContext(ctx, proto, s.Address.String())
		return err
	})
	return conn, err
}

// inNetNS runs do with its thread in another network namespace.
func inNetNS(netns *os.File, do func() error) error {
	return thread.InNetNS(func() error {
		raw, err := netns.SyscallConn() // so that a closed descriptor is an error, not another file
		if err != nil {
			return err
		}
		var enter error
		err = raw.Control(func(fd uintptr) { enter = unix.Setns(int(fd), unix.CLONE_NEWNET) })
		return errors.Join(err, enter)
	}, do)
}
