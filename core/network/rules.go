package network

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The rules live in one table of our own per address family, as `nft list
// table ip nacre` shows it (and `ip6 nacre`, where a network has IPv6):
//
//	map publish_ip  { ipv4_addr . inet_proto . inet_service : ipv4_addr . inet_service }
//	map publish_any { inet_proto . inet_service : ipv4_addr . inet_service }
//	set bridges     { ifname }           our bridges
//	set internal    { ifname }           those with no way out or in
//	set within      { ifname . ifname }  each bridge and itself: traffic inside a network
//	set subnets     { ipv4_addr; flags interval }  whose containers reach published ports through the host
//	set outbound    { ipv4_addr; flags interval }  whose containers leave with the host's address
//	chain raw         hook prerouting,  priority raw     packets for 127.0.0.0/8 must not come in over a bridge
//	chain prerouting  hook prerouting,  priority dstnat  published ports, for packets from outside
//	chain output      hook output,      priority dstnat  published ports, for the host's own connections
//	chain forward     hook forward,     priority filter  into a bridge only what belongs there
//	chain postrouting hook postrouting, priority srcnat  masquerading
//
// Publishing a port adds one element to a map, a network some to the sets.
// Base chains of other tables are asked as well by the kernel: what they drop
// stays dropped.

// rulesVersion is kept with every rule; rules of another version are replaced.
const rulesVersion = "2"

// ruleNet is what the rules must know of a network.
type ruleNet struct {
	bridge     string
	subnet     netip.Prefix
	internal   bool
	masquerade bool
}

// ruleset is the table of one engine for one family.
type ruleset struct {
	is4   bool
	nets  []ruleNet // sorted by bridge
	table *nftables.Table

	publishIP, publishAny                        *nftables.Set
	bridges, internal, within, subnets, outbound *nftables.Set
}

// newRuleset is the table of an engine's networks that have addresses of the family.
func newRuleset(table string, is4 bool, nets []ruleNet) *ruleset {
	t := &nftables.Table{Name: table, Family: nftables.TableFamilyIPv4}
	address := nftables.TypeIPAddr
	if !is4 {
		t.Family, address = nftables.TableFamilyIPv6, nftables.TypeIP6Addr
	}
	target := nftables.MustConcatSetType(address, nftables.TypeInetService)
	name := nftables.TypeIFName
	r := &ruleset{
		is4: is4, table: t,
		publishIP: &nftables.Set{Name: "publish_ip", IsMap: true, DataType: target,
			KeyType: nftables.MustConcatSetType(address, nftables.TypeInetProto, nftables.TypeInetService)},
		publishAny: &nftables.Set{Name: "publish_any", IsMap: true, DataType: target,
			KeyType: nftables.MustConcatSetType(nftables.TypeInetProto, nftables.TypeInetService)},
		bridges:  &nftables.Set{Name: "bridges", KeyType: name, KeyByteOrder: binaryutil.NativeEndian},
		internal: &nftables.Set{Name: "internal", KeyType: name, KeyByteOrder: binaryutil.NativeEndian},
		within:   &nftables.Set{Name: "within", KeyType: nftables.MustConcatSetType(name, name), Concatenation: true},
		subnets:  &nftables.Set{Name: "subnets", KeyType: address, Interval: true},
		outbound: &nftables.Set{Name: "outbound", KeyType: address, Interval: true},
	}
	for i, set := range r.sets() {
		set.Table, set.ID = t, uint32(i+1)
	}
	for _, net := range nets {
		if net.subnet.Addr().Is4() == is4 {
			r.nets = append(r.nets, net)
		}
	}
	slices.SortFunc(r.nets, func(a, b ruleNet) int { return strings.Compare(a.bridge, b.bridge) })
	return r
}

func (r *ruleset) sets() []*nftables.Set {
	return []*nftables.Set{r.publishIP, r.publishAny, r.bridges, r.internal, r.within, r.subnets, r.outbound}
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
	in, out, notOut := member(expr.MetaKeyIIFNAME, r.bridges, false), member(expr.MetaKeyOIFNAME, r.bridges, false), member(expr.MetaKeyOIFNAME, r.bridges, true)
	toLocal := []expr.Any{
		&expr.Fib{Register: reg1, FlagDADDR: true, ResultADDRTYPE: true},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: binaryutil.NativeEndian.PutUint32(unix.RTN_LOCAL)},
	}
	dnat := matchConntrack(expr.CtKeySTATUS, ctStatusDNAT)
	accept, drop := verdict(expr.VerdictAccept), verdict(expr.VerdictDrop)
	masquerade := []expr.Any{&expr.Masq{}}
	publish := [][]expr.Any{join(toLocal, r.lookupIP()), join(toLocal, r.lookupAny())}
	fromLoopback := r.matchPrefix(r.sourceOffset(), r.loopback())
	fromHost := publish
	if !r.is4 {
		// The answer to ::1 would come in over the bridge, where the kernel takes no such packet, whatever is set. So that
		// programs that try ::1 before 127.0.0.1 are refused at once, and need not wait.
		fromHost = append([][]expr.Any{join(r.matchPrefix(r.destinationOffset(), loopback6), accept)}, publish...)
	}

	list := []chain{
		base("prerouting", nftables.ChainTypeNAT, nftables.ChainHookPrerouting, nftables.ChainPriorityNATDest, publish...),
		base("output", nftables.ChainTypeNAT, nftables.ChainHookOutput, nftables.ChainPriorityNATDest, fromHost...),
		base("forward", nftables.ChainTypeFilter, nftables.ChainHookForward, nftables.ChainPriorityFilter,
			join(r.withinOne(), accept), // seen where the kernel filters bridged packets
			join(member(expr.MetaKeyIIFNAME, r.internal, false), drop),
			join(member(expr.MetaKeyOIFNAME, r.internal, false), drop),
			join(out, matchConntrack(expr.CtKeySTATE, ctStateEstablished|ctStateRelated), accept),
			join(out, dnat, accept),
			join(out, drop)),
		base("postrouting", nftables.ChainTypeNAT, nftables.ChainHookPostrouting, nftables.ChainPriorityNATSource,
			join(r.from(r.outbound), notOut, masquerade),
			// A container that reaches another one, or itself, through a published port: the answer must come back through the host.
			join(r.from(r.subnets), out, dnat, masquerade),
			join(fromLoopback, out, masquerade)),
	}
	if r.is4 {
		list = append([]chain{base("raw", nftables.ChainTypeFilter, nftables.ChainHookPrerouting, nftables.ChainPriorityRaw,
			join(in, r.matchPrefix(r.destinationOffset(), r.loopback()), drop))}, list...)
	}
	return list
}

// rulesState is how the kernel's rules stand to what they should be.
type rulesState struct {
	intact bool           // of this version, for these networks
	first  *nftables.Rule // that bears the digest of the networks
}

// look compares the rules with what they should be. One chain speaks for all:
// what empties tables empties it too, and every start pays for the question.
func (r *ruleset) look(conn *nftables.Conn) (rulesState, error) {
	chains := r.chains()
	witness := chains[len(chains)-1]
	rules, err := conn.GetRules(r.table, witness.Chain)
	if errors.Is(err, unix.ENOENT) {
		return rulesState{}, nil
	}
	if err != nil {
		return rulesState{}, fmt.Errorf("read the packet rules of table %s: %w", r.table.Name, err)
	}
	if len(rules) != len(witness.rules) {
		return rulesState{}, nil
	}
	for i, rule := range rules {
		if !bytes.Equal(rule.UserData, r.mark(witness.Chain, i)) {
			return rulesState{}, nil
		}
	}
	return rulesState{intact: true, first: rules[0]}, nil
}

// mark is kept with a rule: the version, and with the first of the witness the digest of the networks.
func (r *ruleset) mark(c *nftables.Chain, i int) []byte {
	if c.Name == "postrouting" && i == 0 {
		return []byte("nacre " + rulesVersion + " " + r.digest())
	}
	return []byte("nacre " + rulesVersion)
}

// digest is the same in every process.
func (r *ruleset) digest() string {
	h := sha256.New()
	for _, n := range r.nets {
		fmt.Fprintf(h, "%s %s %t %t\n", n.bridge, n.subnet.String(), n.internal, n.masquerade)
	}
	return hex.EncodeToString(h.Sum(nil)[:6])
}

// rebuild replaces the whole table in one kernel transaction.
func (r *ruleset) rebuild(conn *nftables.Conn, published []publication) error {
	conn.AddTable(r.table) // so that the deletion cannot fail
	conn.DelTable(r.table)
	conn.AddTable(r.table)
	for _, set := range r.sets() {
		if err := conn.AddSet(set, nil); err != nil {
			return fmt.Errorf("build packet rules: %w", err)
		}
	}
	for _, c := range r.chains() {
		conn.AddChain(c.Chain)
		for i, exprs := range c.rules {
			conn.AddRule(&nftables.Rule{Table: r.table, Chain: c.Chain, Exprs: exprs, UserData: r.mark(c.Chain, i)})
		}
	}
	if err := r.netElements(conn.SetAddElements, r.nets); err != nil {
		return err
	}
	if err := r.portElements(conn.SetAddElements, published); err != nil {
		return err
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("set packet rules in table %s: %w", r.table.Name, err)
	}
	return nil
}

// remove takes the table away, if it is there.
func (r *ruleset) remove(conn *nftables.Conn) error {
	conn.AddTable(r.table) // so that the deletion cannot fail
	conn.DelTable(r.table)
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("remove the packet rules of table %s: %w", r.table.Name, err)
	}
	return nil
}

// update takes ports back and publishes others in one kernel transaction. It
// fails when the maps do not hold what the records say: rebuild then.
func (r *ruleset) update(conn *nftables.Conn, withdrawn, published []publication) error {
	if err := r.portElements(conn.SetDeleteElements, withdrawn); err != nil {
		return err
	}
	if err := r.portElements(conn.SetAddElements, published); err != nil {
		return err
	}
	return conn.Flush()
}

// become changes intact rules for these networks to those for others. It
// fails when the sets do not hold what the networks say: rebuild then.
func (r *ruleset) become(conn *nftables.Conn, next *ruleset, first *nftables.Rule) error {
	if err := r.netElements(conn.SetDeleteElements, without(r.nets, next.nets)); err != nil {
		return err
	}
	if err := next.netElements(conn.SetAddElements, without(next.nets, r.nets)); err != nil {
		return err
	}
	chains := next.chains()
	witness := chains[len(chains)-1]
	conn.ReplaceRule(&nftables.Rule{Table: next.table, Chain: witness.Chain, Handle: first.Handle, Exprs: witness.rules[0], UserData: next.mark(witness.Chain, 0)})
	return conn.Flush()
}

type applyElements func(*nftables.Set, []nftables.SetElement) error

// without are the networks that others does not have.
func without(nets, others []ruleNet) []ruleNet {
	return slices.DeleteFunc(slices.Clone(nets), func(n ruleNet) bool { return slices.Contains(others, n) })
}

// netElements are networks' places in the sets: one message per set, however
// many they are, because the kernel answers each in a socket's buffer.
func (r *ruleset) netElements(apply applyElements, nets []ruleNet) error {
	perSet := map[*nftables.Set][]nftables.SetElement{}
	for _, net := range nets {
		name := ifnameField(net.bridge)
		interval := []nftables.SetElement{{Key: net.subnet.Masked().Addr().AsSlice()}, {Key: afterLast(net.subnet), IntervalEnd: true}}
		perSet[r.bridges] = append(perSet[r.bridges], nftables.SetElement{Key: name})
		perSet[r.within] = append(perSet[r.within], nftables.SetElement{Key: join(name, name)})
		perSet[r.subnets] = append(perSet[r.subnets], interval...)
		if net.internal {
			perSet[r.internal] = append(perSet[r.internal], nftables.SetElement{Key: name})
		}
		if net.masquerade {
			perSet[r.outbound] = append(perSet[r.outbound], interval...)
		}
	}
	return applyAll(apply, perSet)
}

// applyAll changes the sets in parts that fit into a message's attribute, whose length has 16 bits.
func applyAll(apply applyElements, perSet map[*nftables.Set][]nftables.SetElement) error {
	const most = 400 // of some 80 to 120 bytes
	for set, elements := range perSet {
		for part := range slices.Chunk(elements, most) {
			if err := apply(set, part); err != nil {
				return fmt.Errorf("change set %s: %w", set.Name, err)
			}
		}
	}
	return nil
}

// afterLast is the first address behind a prefix.
func afterLast(p netip.Prefix) []byte {
	b := p.Masked().Addr().AsSlice()
	for i := range b {
		if host := 8*(i+1) - p.Bits(); host >= 8 {
			b[i] = 0xff
		} else if host > 0 {
			b[i] |= 1<<host - 1
		}
	}
	for i := len(b) - 1; i >= 0; i-- {
		if b[i]++; b[i] != 0 {
			break
		}
	}
	return b
}

// portElements are published ports of this family in the maps.
func (r *ruleset) portElements(apply applyElements, ports []publication) error {
	perSet := map[*nftables.Set][]nftables.SetElement{}
	for _, p := range ports {
		if p.hostIP.Is4() != r.is4 {
			continue
		}
		set, key := r.publishIP, join(p.hostIP.AsSlice(), field(protocolNumber(p.proto)), portField(p.hostPort))
		if p.hostIP.IsUnspecified() {
			set, key = r.publishAny, key[p.hostIP.BitLen()/8:]
		}
		perSet[set] = append(perSet[set], nftables.SetElement{Key: key, Val: join(p.target.AsSlice(), portField(p.containerPort))})
	}
	return applyAll(apply, perSet)
}
