package seccomp

import (
	"cmp"
	"encoding/binary"
	"errors"
	"slices"
)

// instruction is one of classic BPF: struct sock_filter.
type instruction struct {
	code   uint16
	jt, jf uint8
	k      uint32
}

// The few operations that a filter needs.
const (
	opLoad = 0x20 // ld [k]
	opAnd  = 0x54 // and #k
	opJump = 0x05 // ja k
	opJeq  = 0x15 // jeq #k, jt, jf
	opJgt  = 0x25
	opJge  = 0x35
	opRet  = 0x06 // ret #k
)

// Offsets in struct seccomp_data.
const (
	offNumber = 0
	offArch   = 4
	offArgs   = 16
)

// maxProgram is the kernel's limit (BPF_MAXINSNS).
const maxProgram = 4096

// A compiled program is: load the architecture, jump to its part, load the
// number, search it in a tree of ranges, and at the leaf return an action or
// look at the arguments first.
func (f *ScmpFilter) compile() ([]instruction, error) {
	program := ret(ActKillThread) // an architecture that the filter does not know
	for _, arch := range slices.Backward(f.arches) {
		if arch == ArchX32 && slices.Contains(f.arches, ArchAMD64) {
			continue // within the part of x86-64
		}
		program = branch(opJeq, arches[arch].token, f.part(arch), program)
	}
	program = append([]instruction{{code: opLoad, k: offArch}}, program...)
	if len(program) > maxProgram {
		return nil, errors.New("seccomp: the filter is too long for the kernel")
	}
	return program, nil
}

// part is the code for one architecture's token.
func (f *ScmpFilter) part(arch ScmpArch) []instruction {
	code := f.tree(arch)
	if arch == ArchAMD64 {
		// -1 is how a tracer asks for a call to be skipped; it is no call of x32.
		x32 := branch(opJeq, ^uint32(0), ret(f.defaultAction), ret(ActKillThread))
		if slices.Contains(f.arches, ArchX32) {
			x32 = f.tree(ArchX32)
		}
		code = branch(opJge, x32Bit, x32, code)
	}
	return append([]instruction{{code: opLoad, k: offNumber}}, code...)
}

// leaf is what to do with the numbers from one on, up to the next leaf: look at
// the arguments, or without code just the action.
type leaf struct {
	from   uint32
	action ScmpAction
	code   []instruction
}

// tree is the search for a system call's number.
func (f *ScmpFilter) tree(arch ScmpArch) []instruction {
	rules := f.rulesOf(arch)
	leaves := append(make([]leaf, 0, len(rules)+1), leaf{action: f.defaultAction})
	add := func(next leaf) {
		if last := leaves[len(leaves)-1]; last.code != nil || next.code != nil || last.action != next.action {
			leaves = append(leaves, next)
		}
	}
	for len(rules) > 0 {
		number, n := rules[0].number, 1
		for n < len(rules) && rules[n].number == number {
			n++
		}
		add(decide(rules[:n], arches[arch].narrow, f.defaultAction))
		if rules = rules[n:]; len(rules) == 0 || rules[0].number != number+1 {
			add(leaf{from: number + 1, action: f.defaultAction})
		}
	}
	return search(leaves)
}

// search finds the leaf by halves. As many as short jumps reach across are one block.
func search(leaves []leaf) []instruction {
	if code := block(leaves); code != nil {
		return code
	}
	middle := len(leaves) / 2
	return branch(opJge, leaves[middle].from, search(leaves[middle:]), search(leaves[:middle]))
}

// maxBlock is how long a block can be: its first jump reaches the last instruction.
const maxBlock = 256

// block is a tree of jumps with what the leaves do behind it, the same action
// once for all: that halves the program, and every start of a process
// reads, checks and translates it anew. nil when it is too long.
func block(leaves []leaf) []instruction {
	code := make([]instruction, len(leaves)-1, 2*len(leaves)+8)
	ends := make([]int, len(leaves)) // where each leaf's code is
	for i, l := range leaves {
		same := slices.IndexFunc(leaves[:i], func(o leaf) bool { return l.code == nil && o.code == nil && o.action == l.action })
		switch {
		case same >= 0:
			ends[i] = ends[same]
			continue
		case l.code == nil:
			l.code = ret(l.action)
		}
		ends[i] = len(code)
		code = append(code, l.code...)
	}
	if len(leaves) > 1 && len(code) > maxBlock {
		return nil
	}
	var tree func(at, from, to int) (start int)
	tree = func(at, from, to int) int {
		if to-from == 1 {
			return ends[from]
		}
		middle := (from + to) / 2
		no := tree(at+1, from, middle)
		yes := tree(at+middle-from, middle, to) // behind the jumps of the other half
		code[at] = instruction{code: opJge, jt: uint8(yes - at - 1), jf: uint8(no - at - 1), k: leaves[middle].from}
		return at
	}
	tree(0, 0, len(leaves))
	return code
}

// branch goes to yes or no, whichever lies farther off by a long jump if need be.
func branch(op uint16, k uint32, yes, no []instruction) []instruction {
	code := make([]instruction, 0, len(yes)+len(no)+2)
	if len(no) <= 255 {
		code = append(code, instruction{code: op, jt: uint8(len(no)), k: k})
	} else {
		code = append(code, instruction{code: op, jf: 1, k: k}, instruction{code: opJump, k: uint32(len(no))})
	}
	return append(append(code, no...), yes...)
}

func ret(action ScmpAction) []instruction { return []instruction{{code: opRet, k: uint32(action)}} }

// numbered is a rule with its call's number on one architecture.
type numbered struct {
	number uint32
	*rule
}

// rulesOf sorts the rules by number, and by age where they have the same.
func (f *ScmpFilter) rulesOf(arch ScmpArch) []numbered {
	rules := make([]numbered, 0, len(f.rules))
	column := arches[arch].column
	for i := range f.rules {
		r := &f.rules[i]
		entry := &syscalls[r.call]
		if arch == ArchX86 {
			if via, selector, ok := x86Mux(entry.name); ok {
				rules = append(rules, numbered{via, muxed(*r, selector)})
			}
		}
		if number := entry.numbers[column]; number != missing {
			rules = append(rules, numbered{uint32(number), r})
		}
	}
	return sorted(rules)
}

// sorted brings rules into the order of their numbers, and else leaves them as
// they are. Sorting plain numbers is much quicker than a stable sort of rules,
// which was half of what compiling took.
func sorted(rules []numbered) []numbered {
	keys := make([]uint64, len(rules))
	for i, r := range rules {
		keys[i] = uint64(r.number)<<32 | uint64(i)
	}
	slices.Sort(keys)
	out := make([]numbered, len(rules))
	for i, key := range keys {
		out[i] = rules[uint32(key)]
	}
	return out
}

// muxed is a rule for the multiplexing call: the first argument is the selector.
func muxed(r rule, selector uint64) *rule {
	conditions := []ScmpCondition{{Argument: 0, Op: CompareEqual, Operand1: selector}}
	for _, c := range r.conditions {
		if c.Argument != 0 {
			conditions = append(conditions, c)
		}
	}
	r.conditions = conditions
	return &r
}

// decide makes the leaf of one system call. A rule without conditions settles
// it; else the first rule whose conditions hold does. Where the conditions of
// rules with different actions overlap, libseccomp asks the rule first that
// begins with the later argument, and so does this.
func decide(rules []numbered, narrow bool, otherwise ScmpAction) leaf {
	for _, r := range rules {
		if len(r.conditions) == 0 {
			return leaf{from: r.number, action: r.action}
		}
	}
	number := rules[0].number
	slices.SortStableFunc(rules, func(a, b numbered) int { return cmp.Compare(b.firstArgument(), a.firstArgument()) })
	code := ret(otherwise)
	for _, r := range slices.Backward(rules) {
		code = append(r.code(narrow), code...)
	}
	return leaf{from: number, code: code}
}

func (r *rule) firstArgument() uint {
	first := uint(maxArguments)
	for _, c := range r.conditions {
		first = min(first, c.Argument)
	}
	return first
}

// code returns the action if all conditions hold and else falls through.
func (r *rule) code(narrow bool) []instruction {
	code := ret(r.action)
	for _, c := range slices.Backward(r.conditions) {
		code = append(c.code(narrow, uint8(len(code))), code...)
	}
	return code
}

// code falls through if the condition holds and else skips as much as given.
func (c ScmpCondition) code(narrow bool, skip uint8) []instruction {
	mask, value := ^uint64(0), c.Operand1
	if c.Op == CompareMaskedEqual {
		mask, value = c.Operand1, c.Operand2&c.Operand1
	}
	code := append(c.load(0, uint32(mask)), c.compareLow(uint32(value), skip))
	if narrow {
		return code
	}
	high := c.load(4, uint32(mask>>32))
	n := uint8(len(code)) // to the end of the comparison, from the start of the low half
	h := uint32(value >> 32)
	switch c.Op {
	case CompareEqual, CompareMaskedEqual:
		high = append(high, instruction{code: opJeq, jf: n + skip, k: h})
	case CompareNotEqual:
		high = append(high, instruction{code: opJeq, jf: n, k: h})
	case CompareGreater, CompareGreaterEqual:
		high = append(high, instruction{code: opJgt, jt: n + 1, k: h}, instruction{code: opJeq, jf: n + skip, k: h})
	case CompareLess, CompareLessOrEqual:
		high = append(high, instruction{code: opJgt, jt: n + skip + 1, k: h}, instruction{code: opJeq, jf: n, k: h})
	}
	return append(high, code...)
}

// load gets one half of the argument, masked.
func (c ScmpCondition) load(half, mask uint32) []instruction {
	code := []instruction{{code: opLoad, k: offArgs + 8*uint32(c.Argument) + half}}
	if mask != ^uint32(0) {
		code = append(code, instruction{code: opAnd, k: mask})
	}
	return code
}

// compareLow compares the low half, which decides when the high halves are equal.
func (c ScmpCondition) compareLow(value uint32, skip uint8) instruction {
	jump := instruction{k: value}
	switch c.Op {
	case CompareEqual, CompareMaskedEqual:
		jump.code, jump.jf = opJeq, skip
	case CompareNotEqual:
		jump.code, jump.jt = opJeq, skip
	case CompareGreater:
		jump.code, jump.jf = opJgt, skip
	case CompareGreaterEqual:
		jump.code, jump.jf = opJge, skip
	case CompareLess:
		jump.code, jump.jt = opJge, skip
	case CompareLessOrEqual:
		jump.code, jump.jt = opJgt, skip
	}
	return jump
}

func encode(program []instruction) []byte {
	out := make([]byte, 0, 8*len(program))
	for _, i := range program {
		out = binary.NativeEndian.AppendUint16(out, i.code)
		out = append(out, i.jt, i.jf)
		out = binary.NativeEndian.AppendUint32(out, i.k)
	}
	return out
}
