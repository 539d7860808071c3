package runtime_test

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	profiles "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
	"golang.org/x/net/bpf"
)

// filterSpec describes a filter to both compilers.
type filterSpec struct {
	action uint32
	arches []string // libseccomp's names
	rules  []ruleSpec
}

type ruleSpec struct {
	action     uint32
	name       string
	conditions []libseccomp.ScmpCondition
}

// lines is the form that testdata/reference.c reads. The comparisons have the
// same numbers there.
func (f filterSpec) lines() string {
	var b strings.Builder
	fmt.Fprintf(&b, "default %x\n", f.action)
	for _, arch := range f.arches {
		fmt.Fprintf(&b, "arch %s\n", arch)
	}
	for _, r := range f.rules {
		fmt.Fprintf(&b, "rule %x %s", r.action, r.name)
		for _, c := range r.conditions {
			fmt.Fprintf(&b, " %d:%d:%x:%x", c.Argument, c.Op, c.Operand1, c.Operand2)
		}
		b.WriteByte('\n')
	}
	return b.String()
}

// ours compiles with the package that takes the C library's place.
func (f filterSpec) ours(t *testing.T) []bpf.Instruction {
	t.Helper()
	filter, err := libseccomp.NewFilter(libseccomp.ScmpAction(f.action))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range f.arches {
		arch, err := libseccomp.GetArchFromString(name)
		if err != nil {
			t.Fatal(err)
		}
		if err := filter.AddArch(arch); err != nil {
			t.Fatal(err)
		}
	}
	for _, r := range f.rules {
		call, err := libseccomp.GetSyscallFromName(r.name)
		if err != nil {
			t.Fatal(err)
		}
		if err := filter.AddRuleConditional(call, libseccomp.ScmpAction(r.action), r.conditions); err != nil {
			t.Fatal(err)
		}
	}
	return disassemble(t, export(t, filter))
}

func export(t testing.TB, filter *libseccomp.ScmpFilter) []byte {
	t.Helper()
	path := filepath.Join(t.TempDir(), "bpf")
	f, err := os.Create(path)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	if err := filter.ExportBPF(f); err != nil {
		t.Fatal(err)
	}
	data, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	return data
}

func disassemble(t testing.TB, program []byte) []bpf.Instruction {
	t.Helper()
	var raw []bpf.RawInstruction
	for at := 0; at+8 <= len(program); at += 8 {
		raw = append(raw, bpf.RawInstruction{
			Op: binary.NativeEndian.Uint16(program[at:]), Jt: program[at+2], Jf: program[at+3],
			K: binary.NativeEndian.Uint32(program[at+4:]),
		})
	}
	out, all := bpf.Disassemble(raw)
	if !all || len(out) == 0 {
		t.Fatalf("a program of %d bytes cannot be disassembled", len(program))
	}
	return out
}

// reference is the real library, compiled once.
type reference string

func newReference(t *testing.T) reference {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "reference")
	if out, err := exec.Command("gcc", "-O1", "-o", binary, "testdata/reference.c", "-lseccomp").CombinedOutput(); err != nil {
		t.Fatalf("compile the reference (gcc and libseccomp-dev are needed): %v\n%s", err, out)
	}
	return reference(binary)
}

func (r reference) run(t *testing.T, input string) []byte {
	t.Helper()
	cmd := exec.Command(string(r))
	cmd.Stdin = strings.NewReader(input)
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("reference: %v: %s\n%s", err, stderr.String(), input)
	}
	return out
}

// knows tells which names the installed library can resolve; newer calls are
// the business of our table alone.
func (r reference) knows(t *testing.T, names []string) map[string]bool {
	t.Helper()
	known := map[string]bool{}
	for line := range strings.Lines(string(r.run(t, "known "+strings.Join(names, "\nknown ")+"\n"))) {
		fields := strings.Fields(line)
		known[fields[0]] = fields[1] != "-1"
	}
	return known
}

// data is struct seccomp_data as the interpreter wants it: it reads big-endian words.
func data(arch uint32, number uint32, args [6]uint64) []byte {
	out := make([]byte, 64)
	binary.BigEndian.PutUint32(out, number)
	binary.BigEndian.PutUint32(out[4:], arch)
	for i, arg := range args {
		binary.BigEndian.PutUint32(out[16+8*i:], uint32(arg))
		binary.BigEndian.PutUint32(out[20+8*i:], uint32(arg>>32))
	}
	return out
}

// differ runs both programs over all numbers on all architectures and returns
// the first call that they judge differently.
func differ(t *testing.T, a, b []bpf.Instruction, argValues []uint64, rounds int) string {
	t.Helper()
	vmA, errA := bpf.NewVM(a)
	vmB, errB := bpf.NewVM(b)
	if errA != nil || errB != nil {
		t.Fatal(errA, errB)
	}
	random := rand.New(rand.NewPCG(1, 2))
	numbers := []uint32{0x3fffffff, 0x7fffffff, 0x80000000, 0xfffffffe, 0xffffffff, 0xf0001, 0xf0002, 0xf0005}
	for n := range uint32(620) {
		numbers = append(numbers, n, n|0x40000000)
	}
	for _, arch := range []uint32{0xc000003e, 0x40000003, 0xc00000b7, 0x40000028, 0, 0x12345678} {
		for _, number := range numbers {
			for range rounds {
				var args [6]uint64
				for i := range args {
					args[i] = argValues[random.IntN(len(argValues))]
				}
				packet := data(arch, number, args)
				gotA, errA := vmA.Run(packet)
				gotB, errB := vmB.Run(packet)
				if gotA != gotB || errA != nil || errB != nil {
					return fmt.Sprintf("arch %#x call %d args %#x: %#x and %#x (%v, %v)", arch, number, args, gotA, gotB, errA, errB)
				}
			}
		}
	}
	return ""
}

// around are the values next to those that a filter compares with.
func around(f filterSpec) []uint64 {
	values := []uint64{0, 1, ^uint64(0), 1 << 31, 1 << 32, 1<<32 - 1, 0x7e020000}
	for _, r := range f.rules {
		for _, c := range r.conditions {
			for _, v := range []uint64{c.Operand1, c.Operand2} {
				values = append(values, v, v-1, v+1, v|1<<32, v&0xffffffff)
			}
		}
	}
	slices.Sort(values)
	return slices.Compact(values)
}

var dockerArches = []string{"x86_64", "x86", "x32"}

// dockerProfile is the default profile as libcontainer hands it over.
func dockerProfile(t testing.TB, capabilities ...string) filterSpec {
	t.Helper()
	profile, err := profiles.GetDefaultProfile(&specs.Spec{
		Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: capabilities}},
	})
	if err != nil {
		t.Fatal(err)
	}
	actions := map[specs.LinuxSeccompAction]uint32{specs.ActAllow: 0x7fff0000, specs.ActErrno: 0x00050000}
	action := func(a specs.LinuxSeccompAction, errno *uint) uint32 {
		v, ok := actions[a]
		if !ok {
			t.Fatalf("action %s", a)
		}
		if a == specs.ActErrno {
			if errno == nil {
				return v | 1
			}
			return v | uint32(*errno)
		}
		return v
	}
	ops := map[specs.LinuxSeccompOperator]libseccomp.ScmpCompareOp{
		specs.OpEqualTo: libseccomp.CompareEqual, specs.OpNotEqual: libseccomp.CompareNotEqual,
		specs.OpLessThan: libseccomp.CompareLess, specs.OpGreaterThan: libseccomp.CompareGreater,
		specs.OpMaskedEqual: libseccomp.CompareMaskedEqual,
	}
	f := filterSpec{action: action(profile.DefaultAction, profile.DefaultErrnoRet), arches: dockerArches}
	for _, call := range profile.Syscalls {
		for _, name := range call.Names {
			if _, err := libseccomp.GetSyscallFromName(name); err != nil {
				continue // as libcontainer does
			}
			r := ruleSpec{action: action(call.Action, call.ErrnoRet), name: name}
			for _, arg := range call.Args {
				op, ok := ops[arg.Op]
				if !ok {
					t.Fatalf("operator %s", arg.Op)
				}
				r.conditions = append(r.conditions, libseccomp.ScmpCondition{Argument: arg.Index, Op: op, Operand1: arg.Value, Operand2: arg.ValueTwo})
			}
			f.rules = append(f.rules, r)
		}
	}
	return f
}

// withoutUnknown leaves out what the reference cannot compile.
func (f filterSpec) withoutUnknown(t *testing.T, r reference) filterSpec {
	t.Helper()
	var names []string
	for _, rule := range f.rules {
		names = append(names, rule.name)
	}
	known := r.knows(t, names)
	f.rules = slices.DeleteFunc(slices.Clone(f.rules), func(rule ruleSpec) bool { return !known[rule.name] || rule.action == f.action })
	return f
}

func TestDockersProfileIsLibseccomps(t *testing.T) {
	r := newReference(t)
	for name, capabilities := range map[string][]string{
		"default": {"CAP_CHOWN", "CAP_SYS_CHROOT"}, "privileged": {"CAP_SYS_ADMIN", "CAP_SYS_PTRACE", "CAP_SYS_MODULE", "CAP_BPF", "CAP_SYS_TIME"},
	} {
		t.Run(name, func(t *testing.T) {
			f := dockerProfile(t, capabilities...).withoutUnknown(t, r)
			if len(f.rules) < 350 {
				t.Fatalf("only %d rules are compared", len(f.rules))
			}
			ours := f.ours(t)
			if d := differ(t, ours, disassemble(t, r.run(t, f.lines())), around(f), 40); d != "" {
				t.Error(d)
			}
			if len(ours) > 420 { // 684 with a return for every range of calls
				t.Errorf("the program has %d instructions", len(ours))
			}
		})
	}
}

// Neighbouring calls with different actions make more ranges than short jumps reach across.
func TestManyRanges(t *testing.T) {
	r := newReference(t)
	f := dockerProfile(t, "CAP_SYS_ADMIN", "CAP_BPF").withoutUnknown(t, r)
	for i := range f.rules {
		f.rules[i].action, f.rules[i].conditions = []uint32{0x7fff0000, 0x50002, 0x50003}[i%3], nil
	}
	slices.SortStableFunc(f.rules, func(a, b ruleSpec) int { return strings.Compare(a.name, b.name) })
	f.rules = slices.CompactFunc(f.rules, func(a, b ruleSpec) bool { return a.name == b.name })
	if d := differ(t, f.ours(t), disassemble(t, r.run(t, f.lines())), []uint64{0, 1}, 2); d != "" {
		t.Error(d)
	}
}

// Without socketcall and ipc in the list the multiplexing shows.
func TestMultiplexedCalls(t *testing.T) {
	r := newReference(t)
	names := []string{"socket", "bind", "connect", "listen", "accept", "accept4", "getsockname", "getpeername", "socketpair",
		"send", "recv", "sendto", "recvfrom", "shutdown", "setsockopt", "getsockopt", "sendmsg", "recvmsg", "recvmmsg", "sendmmsg",
		"semop", "semget", "semctl", "semtimedop", "msgsnd", "msgrcv", "msgget", "msgctl", "shmat", "shmdt", "shmget", "shmctl"}
	values := []uint64{1 << 32}
	for v := range uint64(30) {
		values = append(values, v)
	}
	for _, name := range names {
		for _, conditions := range [][]libseccomp.ScmpCondition{nil, {{Argument: 0, Op: libseccomp.CompareNotEqual, Operand1: 4}}, {{Argument: 1, Op: libseccomp.CompareEqual, Operand1: 4}}} {
			f := filterSpec{action: 0x50001, arches: dockerArches, rules: []ruleSpec{{0x7fff0000, name, conditions}}}
			if d := differ(t, f.ours(t), disassemble(t, r.run(t, f.lines())), values, 8); d != "" {
				t.Errorf("%s %v: %s", name, conditions, d)
			}
		}
	}
}

// Random filters: any comparison, several rules for one call.
func TestRandomFilters(t *testing.T) {
	r := newReference(t)
	random := rand.New(rand.NewPCG(3, 4))
	names := []string{"read", "clone", "personality", "chown32", "socket", "ioctl", "x32_nosuch", "futex", "mmap", "openat2"}
	values := []uint64{0, 1, 8, 0xffffffff, 1 << 32, 1<<32 + 8, 1 << 63, ^uint64(0), 0x7e020000}
	for i := range 80 {
		f := filterSpec{action: 0x50001, arches: [][]string{nil, {"x86_64"}, {"x86"}, {"x32"}, dockerArches}[random.IntN(5)]}
		for range 1 + random.IntN(6) {
			rule := ruleSpec{action: 0x7fff0000, name: names[random.IntN(len(names))]}
			for _, arg := range random.Perm(6)[:random.IntN(3)] {
				rule.conditions = append(rule.conditions, libseccomp.ScmpCondition{
					Argument: uint(arg), Op: libseccomp.ScmpCompareOp(1 + random.IntN(7)),
					Operand1: values[random.IntN(len(values))], Operand2: values[random.IntN(len(values))],
				})
			}
			f.rules = append(f.rules, rule)
		}
		f.rules = slices.DeleteFunc(f.rules, func(r ruleSpec) bool { return r.name == "x32_nosuch" })
		if d := differ(t, f.ours(t), disassemble(t, r.run(t, f.lines())), around(f), 12); d != "" {
			t.Fatalf("filter %s: %s\n%s", strconv.Itoa(i), d, f.lines())
		}
	}
}

func BenchmarkDockersProfile(b *testing.B) {
	f := dockerProfile(b)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	if err != nil {
		b.Fatal(err)
	}
	defer null.Close()
	b.Logf("%d rules", len(f.rules))
	for b.Loop() {
		filter, err := libseccomp.NewFilter(libseccomp.ScmpAction(f.action))
		if err != nil {
			b.Fatal(err)
		}
		for _, name := range f.arches {
			arch, _ := libseccomp.GetArchFromString(name)
			if err := filter.AddArch(arch); err != nil {
				b.Fatal(err)
			}
		}
		for _, r := range f.rules {
			call, _ := libseccomp.GetSyscallFromName(r.name)
			if err := filter.AddRuleConditional(call, libseccomp.ScmpAction(r.action), r.conditions); err != nil {
				b.Fatal(err)
			}
		}
		if err := filter.ExportBPF(null); err != nil {
			b.Fatal(err)
		}
	}
}
