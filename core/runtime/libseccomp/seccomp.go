// Package seccomp compiles system call filters, with the functions of
// github.com/seccomp/libseccomp-golang that runc's libcontainer calls, but
// without the C library behind it. Two costs go with the library: compiling
// docker's profile took it 18 ms in every container's init (here: a fraction of
// one), and it had to be installed where nacre is built.
//
// The filters are equal in effect: core/runtime has a test that runs both
// compilers' programs over all system calls and arguments. Supported are the
// architectures of table.go.
package seccomp

import (
	"fmt"
	"os"

	"golang.org/x/sys/unix"
)

// ScmpAction is what the kernel is told to do, as it wants to be told:
// SECCOMP_RET_* with the code in the low 16 bits.
type ScmpAction uint32

// The actions. ActInvalid is none of the kernel's.
const (
	ActKillThread  ScmpAction = 0x00000000
	ActTrap        ScmpAction = 0x00030000
	ActErrno       ScmpAction = 0x00050000
	ActTrace       ScmpAction = 0x7ff00000
	ActNotify      ScmpAction = 0x7fc00000
	ActLog         ScmpAction = 0x7ffc0000
	ActAllow       ScmpAction = 0x7fff0000
	ActKillProcess ScmpAction = 0x80000000
	ActInvalid     ScmpAction = 0xffffffff
)

// SetReturnCode gives an errno to ActErrno, a message to ActTrace; other
// actions have no room for one.
func (a ScmpAction) SetReturnCode(code int16) ScmpAction {
	if kind := a &^ 0xffff; kind == ActErrno || kind == ActTrace {
		return kind | ScmpAction(uint16(code))
	}
	return a
}

func (a ScmpAction) String() string { return fmt.Sprintf("%#08x", uint32(a)) }

// ScmpCompareOp compares an argument with a value.
type ScmpCompareOp uint

// The comparisons. CompareMaskedEqual is argument & Operand1 == Operand2.
const (
	CompareInvalid ScmpCompareOp = iota
	CompareNotEqual
	CompareLess
	CompareLessOrEqual
	CompareEqual
	CompareGreaterEqual
	CompareGreater
	CompareMaskedEqual
)

// ScmpCondition is a comparison of one argument; a system call has six.
type ScmpCondition struct {
	Argument           uint
	Op                 ScmpCompareOp
	Operand1, Operand2 uint64
}

const maxArguments = 6

// MakeCondition checks what it puts together. Operand2 is for
// CompareMaskedEqual alone; libcontainer always passes one.
func MakeCondition(arg uint, comparison ScmpCompareOp, values ...uint64) (ScmpCondition, error) {
	switch {
	case comparison <= CompareInvalid || comparison > CompareMaskedEqual:
		return ScmpCondition{}, fmt.Errorf("seccomp: no such comparison: %d", comparison)
	case arg >= maxArguments:
		return ScmpCondition{}, fmt.Errorf("seccomp: system calls have %d arguments, no number %d", maxArguments, arg)
	case len(values) == 0 || len(values) > 2:
		return ScmpCondition{}, fmt.Errorf("seccomp: %d values for a comparison", len(values))
	}
	c := ScmpCondition{Argument: arg, Op: comparison, Operand1: values[0]}
	if len(values) == 2 {
		c.Operand2 = values[1]
	}
	return c, nil
}

// ScmpFilter is a filter under construction. The native architecture is always in it.
type ScmpFilter struct {
	defaultAction ScmpAction
	arches        []ScmpArch
	rules         []rule

	noNewPrivs, log, ssb, waitKill bool
}

// rule is an action for one system call by its place in the table; without
// conditions it holds always, with several when all of them do.
type rule struct {
	call       int
	action     ScmpAction
	conditions []ScmpCondition
}

// NewFilter makes a filter that does the given to whatever no rule names.
func NewFilter(defaultAction ScmpAction) (*ScmpFilter, error) {
	native, err := GetNativeArch()
	if err != nil {
		return nil, err
	}
	return &ScmpFilter{defaultAction: defaultAction, arches: []ScmpArch{native}, noNewPrivs: true}, nil
}

// AddArch makes the filter hold for a further architecture; other ones' calls
// kill the thread.
func (f *ScmpFilter) AddArch(arch ScmpArch) error {
	arch, err := resolveArch(arch)
	if err != nil {
		return err
	}
	for _, have := range f.arches {
		if have == arch {
			return nil
		}
	}
	f.arches = append(f.arches, arch)
	return nil
}

// AddRule adds a rule without conditions. On architectures that lack the
// system call it has no effect.
func (f *ScmpFilter) AddRule(call ScmpSyscall, action ScmpAction) error {
	return f.AddRuleConditional(call, action, nil)
}

// AddRuleConditional adds a rule for which all conditions must hold, at most
// one per argument.
func (f *ScmpFilter) AddRuleConditional(call ScmpSyscall, action ScmpAction, conditions []ScmpCondition) error {
	if calls := setCalls(call); calls != nil && len(conditions) == 0 {
		for _, index := range calls {
			f.rules = append(f.rules, rule{index, action, nil})
		}
		return nil
	}
	index, err := callIndex(call)
	if err != nil {
		return err
	}
	var seen [maxArguments]bool
	for _, c := range conditions {
		if c.Argument >= maxArguments || seen[c.Argument] {
			return fmt.Errorf("seccomp: several conditions for argument %d", c.Argument)
		}
		seen[c.Argument] = true
	}
	f.rules = append(f.rules, rule{index, action, conditions})
	return nil
}

// ExportBPF writes the program in the kernel's form and byte order.
func (f *ScmpFilter) ExportBPF(file *os.File) error {
	program, err := f.compile()
	if err != nil {
		return err
	}
	_, err = file.Write(encode(program))
	return err
}

// SetOptimize has no effect: the program is a search tree in any case.
func (f *ScmpFilter) SetOptimize(int) error { return nil }

// SetNoNewPrivsBit and the like note what the loader of the filter asks for.
func (f *ScmpFilter) SetNoNewPrivsBit(state bool) error { f.noNewPrivs = state; return nil }

// GetNoNewPrivsBit tells what SetNoNewPrivsBit set.
func (f *ScmpFilter) GetNoNewPrivsBit() (bool, error) { return f.noNewPrivs, nil }

// SetLogBit asks the kernel to log actions other than ActAllow.
func (f *ScmpFilter) SetLogBit(state bool) error { return setFlag(&f.log, state, "SetLogBit", 3) }

// GetLogBit tells what SetLogBit set.
func (f *ScmpFilter) GetLogBit() (bool, error) { return f.log, nil }

// SetSSB leaves speculative store bypass alone.
func (f *ScmpFilter) SetSSB(state bool) error { return setFlag(&f.ssb, state, "SetSSB", 4) }

// GetSSB tells what SetSSB set.
func (f *ScmpFilter) GetSSB() (bool, error) { return f.ssb, nil }

// SetWaitKill lets only fatal signals wake a call that a supervisor looks at.
func (f *ScmpFilter) SetWaitKill(state bool) error {
	return setFlag(&f.waitKill, state, "SetWaitKill", 7)
}

// GetWaitKill tells what SetWaitKill set.
func (f *ScmpFilter) GetWaitKill() (bool, error) { return f.waitKill, nil }

func setFlag(flag *bool, state bool, what string, level uint) error {
	if have, err := GetAPI(); err != nil || have < level {
		return &VersionError{what: what, level: level, have: have}
	}
	*flag = state
	return nil
}

// VersionError says that the kernel is too old for something.
type VersionError struct {
	what        string
	level, have uint
}

func (e *VersionError) Error() string {
	return fmt.Sprintf("seccomp: %s needs a kernel of API level %d, this one has %d", e.what, e.level, e.have)
}

// apiFlags are the kernel's filter flags that each raise the API level by one
// as libseccomp counts, from level 2 on.
var apiFlags = [...]uintptr{
	unix.SECCOMP_FILTER_FLAG_TSYNC, unix.SECCOMP_FILTER_FLAG_LOG, unix.SECCOMP_FILTER_FLAG_SPEC_ALLOW,
	unix.SECCOMP_FILTER_FLAG_NEW_LISTENER, unix.SECCOMP_FILTER_FLAG_TSYNC_ESRCH, unix.SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
}

// GetAPI asks the kernel what it can do, in libseccomp's levels. A flag that
// the kernel knows gets as far as the missing program.
func GetAPI() (uint, error) {
	level := uint(1)
	for _, flag := range apiFlags {
		_, _, errno := unix.Syscall(unix.SYS_SECCOMP, unix.SECCOMP_SET_MODE_FILTER, flag, 0)
		if errno != unix.EFAULT {
			break
		}
		level++
	}
	return level, nil
}

// GetLibraryVersion is the version of the C library whose behaviour this is.
func GetLibraryVersion() (major, minor, micro uint) { return 2, 5, 4 }
