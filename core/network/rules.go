package network

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/moby/moby/api/types/network"
	"golang.org/x/sys/unix"
)

// The rules live in one table of our own, as `nft list table ip nacre` shows it:
//
//	map publish_ip  { ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service }
//	map publish_any { inet_proto . inet_service : ipv4_addr . inet_service }
//	chain raw         hook prerouting,  priority raw     packets for 127.0.0.0/8 must not come in over the bridge
//	chain prerouting  hook prerouting,  priority dstnat  published ports, for packets from outside
//	chain output      hook output,      priority dstnat  published ports, for the host's own connections
//	chain forward     hook forward,     priority filter  into the bridge only what belongs there
//	chain postrouting hook postrouting, priority srcnat  masquerading
//
// Publishing a port adds one element to a map. Base chains of other tables are
// asked as well by the kernel: what they drop stays dropped.

// rulesVersion is kept with every rule; rules of another version, or with
// another subnet, are replaced.
const rulesVersion = "1"

// Register numbers: 8 to 23 are the 32-bit registers; a key or value of several
// fields lies in consecutive ones.
const (
	reg1 = unix.NFT_REG_1
	regA = unix.NFT_REG32_00
	regB = regA + 1
	regC = regA + 2
)

// Flags of conntrack entries (linux/netfilter/nf_conntrack_common.h).
const (
	ctStateEstablished = 1 << 1
	ctStateRelated     = 1 << 2
	ctStatusDNAT       = 1 << 5
)

const (
	transportPortOffset = 2 // of the destination port in TCP and UDP headers
	ipSourceOffset      = 12
	ipDestinationOffset = 16
)

var (
	loopback = netip.MustParsePrefix("127.0.0.0/8")

	typeAnyKey = nftables.MustConcatSetType(nftables.TypeInetProto, nftables.TypeInetService)
	typeIPKey  = nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetProto, nftables.TypeInetService)
	typeTarget = nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)
)

// ruleset is the table of one engine.
type ruleset struct {
	bridge     string
	subnet     netip.Prefix
	table      *nftables.Table
	publishIP  *nftables.Set
	publishAny *nftables.Set
}

func newRuleset(table, bridge string, subnet netip.Prefix) *ruleset {
	t := &nftables.Table{Name: table, Family: nftables.TableFamilyIPv4}
	return &ruleset{
		bridge: bridge, subnet: subnet, table: t,
		publishIP:  &nftables.Set{Table: t, ID: 1, Name: "publish_ip", IsMap: true, KeyType: typeIPKey, DataType: typeTarget},
		publishAny: &nftables.Set{Table: t, ID: 2, Name: "publish_any", IsMap: true, KeyType: typeAnyKey, DataType: typeTarget},
	}
}

// chain is a base chain with its rules.
type chain struct {
	*nftables.Chain
	rules [][]expr.Any
}

func (r *ruleset) chains() []chain {
	base := func(name string, kind nftables.ChainType, hook *nftables.ChainHook, priority *nftables.ChainPriority, rules ...[]expr.Any) chain {
		return chain{&nftables.Chain{Name: name, Table: r.table, Type: kind, Hooknum: hook, Priority: priority}, rules}
	}
	in, out, notOut := match(expr.MetaKeyIIFNAME, expr.CmpOpEq, r.bridge), match(expr.MetaKeyOIFNAME, expr.CmpOpEq, r.bridge), match(expr.MetaKeyOIFNAME, expr.CmpOpNeq, r.bridge)
	fromSubnet := matchPrefix(ipSourceOffset, r.subnet)
	toLocal := []expr.Any{
		&expr.Fib{Register: reg1, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
	dnat := matchConntrack(expr.CtKeySTATUS, ctStatusDNAT)
	accept, drop := verdict(expr.VerdictAccept), verdict(expr.VerdictDrop)
	masquerade := []expr.Any{&expr.Masq{}}
	publish := [][]expr.Any{join(toLocal, r.lookupIP()), join(toLocal, r.lookupAny())}

	return []chain{
		base("raw", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityRaw,
			join(in, matchPrefix(ipDestinationOffset, loopback), drop)),
		base("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest, publish...),
		base("output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest, publish...),
		base("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter,
			join(out, matchConntrack(expr.CtKeySTATE, ctStateEstablished|ctStateRelated), accept),
			join(out, in, accept),
			join(out, dnat, accept),
			join(out, drop)),
		base("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource,
			join(fromSubnet, notOut, masquerade),
			// A container that reaches another one, or itself, through a published port: the answer must come back through the host.
			join(fromSubnet, out, dnat, masquerade),
			join(matchPrefix(ipSourceOffset, loopback), out, masquerade)),
	}
}

// lookupIP and lookupAny send a new connection to the container that
// published its destination: a port of one address, or of all.
func (r *ruleset) lookupIP() []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: regA, Base: expr.PayloadBaseNetworkHeader, Offset: ipDestinationOffset, Len: 4},
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: regB},
		&expr.Payload{DestRegister: regC, Base: expr.PayloadBaseTransportHeader, Offset: transportPortOffset, Len: 2},
		&expr.Lookup{SourceRegister: regA, DestRegister: regA, IsDestRegSet: true, SetName: r.publishIP.Name, SetID: r.publishIP.ID},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: regA, RegProtoMin: regB},
	}
}

func (r *ruleset) lookupAny() []expr.Any {
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyL4PROTO, Register: regA},
		&expr.Payload{DestRegister: regB, Base: expr.PayloadBaseTransportHeader, Offset: transportPortOffset, Len: 2},
		&expr.Lookup{SourceRegister: regA, DestRegister: regA, IsDestRegSet: true, SetName: r.publishAny.Name, SetID: r.publishAny.ID},
		&expr.NAT{Type: expr.NATTypeDestNAT, Family: unix.NFPROTO_IPV4, RegAddrMin: regA, RegProtoMin: regB},
	}
}

// intact says whether the rules are there, of this version and for this
// subnet. One chain speaks for all: what empties tables empties it too, and
// every start pays for the question.
func (r *ruleset) intact(conn *nftables.Conn) (bool, error) {
	chains := r.chains()
	witness := chains[len(chains)-1]
	rules, err := conn.GetRules(r.table, witness.Chain)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("read the packet rules of table %s: %w", r.table.Name, err)
	}
	foreign := func(rule *nftables.Rule) bool { return !bytes.Equal(rule.UserData, r.mark()) }
	return len(rules) == len(witness.rules) && !slices.ContainsFunc(rules, foreign), nil
}

func (r *ruleset) mark() []byte { return []byte("nacre " + rulesVersion + " " + r.subnet.String()) }

// rebuild replaces the whole table in one kernel transaction.
func (r *ruleset) rebuild(conn *nftables.Conn, published []publication) error {
	conn.AddTable(r.table) // so that the deletion cannot fail
	conn.DelTable(r.table)
	conn.AddTable(r.table)
	for _, set := range []*nftables.Set{r.publishIP, r.publishAny} {
		if err := conn.AddSet(set, nil); err != nil {
			return fmt.Errorf("build packet rules: %w", err)
		}
	}
	for _, c := range r.chains() {
		conn.AddChain(c.Chain)
		for _, exprs := range c.rules {
			conn.AddRule(&nftables.Rule{Table: r.table, Chain: c.Chain, Exprs: exprs, UserData: r.mark()})
		}
	}
	if err := r.elements(conn.SetAddElements, published); err != nil {
		return err
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("set packet rules in table %s: %w", r.table.Name, err)
	}
	return nil
}

// update takes ports back and publishes others in one kernel transaction. It
// fails when the maps do not hold what the records say: rebuild then.
func (r *ruleset) update(conn *nftables.Conn, withdrawn, published []publication) error {
	if err := r.elements(conn.SetDeleteElements, withdrawn); err != nil {
		return err
	}
	if err := r.elements(conn.SetAddElements, published); err != nil {
		return err
	}
	return conn.Flush()
}

func (r *ruleset) elements(apply func(*nftables.Set, []nftables.SetElement) error, ports []publication) error {
	perSet := map[*nftables.Set][]nftables.SetElement{}
	for _, p := range ports {
		set, key := r.publishIP, join(p.hostIP.AsSlice(), field(protocolNumber(p.proto)), portField(p.hostPort))
		if p.hostIP.IsUnspecified() {
			set, key = r.publishAny, key[4:]
		}
		perSet[set] = append(perSet[set], nftables.SetElement{Key: key, Val: join(p.target.AsSlice(), portField(p.containerPort))})
	}
	for set, elements := range perSet {
		if err := apply(set, elements); err != nil {
			return fmt.Errorf("change map %s: %w", set.Name, err)
		}
	}
	return nil
}

func protocolNumber(p network.IPProtocol) byte {
	if p == network.UDP {
		return unix.IPPROTO_UDP
	}
	return unix.IPPROTO_TCP
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

func match(key expr.MetaKey, op expr.CmpOp, ifname string) []expr.Any {
	name := make([]byte, unix.IFNAMSIZ)
	copy(name, ifname)
	return []expr.Any{&expr.Meta{Key: key, Register: reg1}, &expr.Cmp{Op: op, Register: reg1, Data: name}}
}

func matchPrefix(offset uint32, p netip.Prefix) []expr.Any {
	return []expr.Any{
		&expr.Payload{DestRegister: reg1, Base: expr.PayloadBaseNetworkHeader, Offset: offset, Len: 4},
		&expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: 4, Mask: ipNet(p).Mask, Xor: make([]byte, 4)},
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
