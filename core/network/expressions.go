package network

import (
	"encoding/binary"
	"net/netip"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/moby/moby/api/types/network"
	"golang.org/x/sys/unix"
)

// Register numbers: 8 to 23 are the 32-bit registers; a key or value of several
// fields lies in consecutive ones.
const (
	reg1 = unix.NFT_REG_1
	regA = unix.NFT_REG32_00
)

// Flags of conntrack entries (linux/netfilter/nf_conntrack_common.h).
const (
	ctStateEstablished = 1 << 1
	ctStateRelated     = 1 << 2
	ctStatusDNAT       = 1 << 5
)

const transportPortOffset = 2 // of the destination port in TCP, UDP and SCTP headers

var (
	loopback4 = netip.MustParsePrefix("127.0.0.0/8")
	loopback6 = netip.MustParsePrefix("::1/128")
)

// addressLength is in bytes.
func (r *ruleset) addressLength() uint32 {
	if r.is4 {
		return 4
	}
	return 16
}

func (r *ruleset) sourceOffset() uint32 {
	if r.is4 {
		return 12
	}
	return 8
}

func (r *ruleset) destinationOffset() uint32 { return r.sourceOffset() + r.addressLength() }

func (r *ruleset) loopback() netip.Prefix {
	if r.is4 {
		return loopback4
	}
	return loopback6
}

func (r *ruleset) family() uint32 {
	if r.is4 {
		return unix.NFPROTO_IPV4
	}
	return unix.NFPROTO_IPV6
}

// lookupIP and lookupAny send a new connection to the container that
// published its destination: a port of one address, or of all.
func (r *ruleset) lookupIP() []expr.Any {
	after := regA + r.addressLength()/4
	return []expr.Any{
		&expr.Payload{DestRegister: regA, Base: expr.PayloadBaseNetworkHeader, Offset: r.destinationOffset(), Len: r.addressLength()},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: after},
		&expr.Payload{DestRegister: after + 1, Base: expr.PayloadBaseTransportHeader, Offset: transportPortOffset, Len: 2},
		&expr.Lookup{SourceRegister: regA, DestRegister: regA, IsDestRegSet: true, SetName: r.publishIP.Name, SetID: r.publishIP.ID},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: r.family(), RegAddrMin: regA, RegProtoMin: after},
	}
}

func (r *ruleset) lookupAny() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: regA},
		&expr.Payload{DestRegister: regA + 1, Base: expr.PayloadBaseTransportHeader, Offset: transportPortOffset, Len: 2},
		&expr.Lookup{SourceRegister: regA, DestRegister: regA, IsDestRegSet: true, SetName: r.publishAny.Name, SetID: r.publishAny.ID},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: r.family(), RegAddrMin: regA, RegProtoMin: regA + r.addressLength()/4},
	}
}

// member is true when an interface's name is in the set, or is not.
func member(key expr.MetaKey, set *nftables.Set, not bool) []expr.Any {
	return []expr.Any{&expr.Meta{Key: key, Register: reg1}, &expr.Lookup{SourceRegister: reg1, SetName: set.Name, SetID: set.ID, Invert: not}}
}

// withinOne is true for packets that stay in one network.
func (r *ruleset) withinOne() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: regA},
		&expr.Meta{Key: expr.MetaKeyOIFNAME, Register: regA + unix.IFNAMSIZ/4},
		&expr.Lookup{SourceRegister: regA, SetName: r.within.Name, SetID: r.within.ID},
	}
}

// from is true when the source address is in the set.
func (r *ruleset) from(set *nftables.Set) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: reg1, Base: expr.PayloadBaseNetworkHeader, Offset: r.sourceOffset(), Len: r.addressLength()},
		&expr.Lookup{SourceRegister: reg1, SetName: set.Name, SetID: set.ID},
	}
}

func (r *ruleset) matchPrefix(offset uint32, p netip.Prefix) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: reg1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: r.addressLength()},
		&expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: r.addressLength(), Mask: ipNet(p).Mask, Xor: make([]byte, r.addressLength())},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: p.Masked().Addr().AsSlice()},
	}
}

// matchConntrack is true when one of the bits is set in the packet's conntrack entry.
func matchConntrack(key expr.CtKey, bits uint32) []expr.Any {
	return []expr.Any{
		&expr.Ct{Key: key, Register: reg1},
		&expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: 4, Mask: binaryutil.NativeEndian.PutUint32(bits), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg1, Data: make([]byte, 4)},
	}
}

func verdict(kind expr.VerdictKind) []expr.Any { return []expr.Any{&expr.Verdict{Kind: kind}} }

func protocolNumber(p network.IPProtocol) byte {
	switch p {
	case network.UDP:
		return unix.IPPROTO_UDP
	case network.SCTP:
		return unix.IPPROTO_SCTP
	}
	return unix.IPPROTO_TCP
}

func ifnameField(name string) []byte {
	b := make([]byte, unix.IFNAMSIZ)
	copy(b, name)
	return b
}

// field and portField pad a part of a concatenated key to a register's four bytes.
func field(b ...byte) []byte { return append(b, make([]byte, 4-len(b))...) }

func portField(port uint16) []byte { return field(binary.BigEndian.AppendUint16(nil, port)...) }

func join[T any](parts ...[]T) []T {
	var all []T
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}
