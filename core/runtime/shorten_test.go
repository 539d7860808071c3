//go:build cgo

package runtime

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	profiles "github.com/moby/profiles/seccomp"
	"github.com/opencontainers/runc/libcontainer/configs"
	"github.com/opencontainers/runc/libcontainer/specconv"
	"github.com/opencontainers/runtime-spec/specs-go"
	libseccomp "github.com/seccomp/libseccomp-golang"
)

// program compiles a configuration's rules, as libcontainer would add them.
func program(t *testing.T, c *configs.Seccomp) []byte {
	t.Helper()
	filter, err := libseccomp.NewFilter(libseccomp.ActErrno.SetReturnCode(1))
	if err != nil {
		t.Fatal(err)
	}
	for _, name := range c.Architectures {
		arch, err := libseccomp.GetArchFromString(name)
		if err == nil {
			err = filter.AddArch(arch)
		}
		if err != nil {
			t.Fatal(err)
		}
	}
	for _, call := range c.Syscalls {
		number, err := libseccomp.GetSyscallFromName(call.Name)
		if err != nil {
			continue // unknown names are left out
		}
		action := libseccomp.ActAllow
		if call.Action != configs.Allow {
			action = libseccomp.ActErrno
			if call.ErrnoRet != nil {
				action = action.SetReturnCode(int16(*call.ErrnoRet))
			}
		}
		var conditions []libseccomp.ScmpCondition
		for _, arg := range call.Args {
			c, err := libseccomp.MakeCondition(arg.Index, libseccomp.CompareEqual, arg.Value)
			if err != nil {
				t.Fatal(err)
			}
			conditions = append(conditions, c)
		}
		if err := filter.AddRuleConditional(number, action, conditions); err != nil {
			t.Fatal(err)
		}
	}
	file, err := os.Create(filepath.Join(t.TempDir(), "bpf"))
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	if err := filter.ExportBPF(file); err != nil {
		t.Fatal(err)
	}
	code, err := os.ReadFile(file.Name())
	if err != nil {
		t.Fatal(err)
	}
	return code
}

// largest is what libcontainer asks of every rule on every architecture.
func largest(c *configs.Seccomp, arch libseccomp.ScmpArch) (n libseccomp.ScmpSyscall) {
	for _, call := range c.Syscalls {
		if number, err := libseccomp.GetSyscallFromNameByArch(call.Name, arch); err == nil {
			n = max(n, number)
		}
	}
	return n
}

func TestShortenKeepsTheFilter(t *testing.T) {
	spec := &specs.Spec{Process: &specs.Process{Capabilities: &specs.LinuxCapabilities{Bounding: []string{"CAP_SYS_CHROOT", "CAP_MKNOD"}}}, Linux: &specs.Linux{}}
	docker, err := profiles.GetDefaultProfile(spec)
	if err != nil {
		t.Fatal(err)
	}
	errno := uint(38)
	mixed := &specs.LinuxSeccomp{DefaultAction: specs.ActErrno, Syscalls: []specs.LinuxSyscall{
		{Names: []string{"read", "nothing_of_that_name", "write", "socket", "_llseek"}, Action: specs.ActAllow},
		{Names: []string{"nobody", "knows", "these"}, Action: specs.ActAllow, ErrnoRet: &errno},
		{Names: []string{"close", "clone3"}, Action: specs.ActErrno, ErrnoRet: &errno},
		{Names: []string{"personality"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: 8, Op: specs.OpEqualTo}}},
		{Names: []string{"personality"}, Action: specs.ActAllow, Args: []specs.LinuxSeccompArg{{Index: 0, Value: 9, Op: specs.OpEqualTo}}},
		{Names: []string{"openat", "openat2"}, Action: specs.ActAllow},
	}}
	for name, profile := range map[string]*specs.LinuxSeccomp{"docker": docker, "mixed": mixed} {
		long, err := specconv.SetupSeccomp(profile)
		if err != nil {
			t.Fatal(err)
		}
		short, err := specconv.SetupSeccomp(profile)
		if err != nil {
			t.Fatal(err)
		}
		shorten(short)
		if len(short.Syscalls) >= len(long.Syscalls) {
			t.Errorf("%s: %d rules are no fewer than %d", name, len(short.Syscalls), len(long.Syscalls))
		}
		if !bytes.Equal(program(t, long), program(t, short)) {
			t.Errorf("%s: the short filter is another program", name)
		}
		for _, arch := range []libseccomp.ScmpArch{libseccomp.ArchNative, libseccomp.ArchX86, libseccomp.ArchX32, libseccomp.ArchARM64} {
			if a, b := largest(long, arch), largest(short, arch); a != b {
				t.Errorf("%s: the largest call on %v is %d, was %d", name, arch, b, a)
			}
		}
	}
}

func TestShortenTakesNoNameForASet(t *testing.T) {
	c := &configs.Seccomp{Syscalls: []*configs.Syscall{{Name: "reboot,mount", Action: configs.Allow}, {Name: "read", Action: configs.Allow}, {Name: "write", Action: configs.Notify}}}
	shorten(c)
	for _, call := range c.Syscalls {
		if strings.Contains(call.Name, "reboot") || call.Action == configs.Notify && call.Name != "write" {
			t.Errorf("%+v", call)
		}
	}
	shorten(nil)
}
