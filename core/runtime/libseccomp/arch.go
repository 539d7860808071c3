package seccomp

import (
	"fmt"
	"runtime"
)

// ScmpArch is an architecture, or rather one of the system call tables of one.
type ScmpArch uint

// The architectures; those that table.go has no numbers for can be named, not used.
const (
	ArchInvalid ScmpArch = iota
	ArchNative
	ArchX86
	ArchAMD64
	ArchX32
	ArchARM
	ArchARM64
	ArchRISCV64
	ArchLOONGARCH64
	ArchMIPS
	ArchMIPS64
	ArchMIPS64N32
	ArchMIPSEL
	ArchMIPSEL64
	ArchMIPSEL64N32
	ArchPPC
	ArchPPC64
	ArchPPC64LE
	ArchS390
	ArchS390X
)

// arches describes the supported ones. token is the kernel's AUDIT_ARCH_*.
var arches = [...]struct {
	token  uint32
	column int  // in the table
	narrow bool // arguments have 32 bits
}{
	ArchX86:         {0x40000003, col386, true},
	ArchAMD64:       {0xc000003e, colAMD64, false},
	ArchX32:         {0xc000003e, colX32, true},
	ArchARM:         {0x40000028, colARM, true},
	ArchARM64:       {0xc00000b7, colARM64, false},
	ArchRISCV64:     {0xc00000f3, colRISCV64, false},
	ArchLOONGARCH64: {0xc0000102, colLOONG64, false},
}

// x32Bit marks the calls of x32, which shares its token with x86-64.
const x32Bit = 0x40000000

// GetArchFromString knows the names of libseccomp and of the runtime specification.
func GetArchFromString(name string) (ScmpArch, error) {
	switch name {
	case "x86", "SCMP_ARCH_X86":
		return ArchX86, nil
	case "amd64", "x86-64", "x86_64", "x64", "SCMP_ARCH_X86_64":
		return ArchAMD64, nil
	case "x32", "SCMP_ARCH_X32":
		return ArchX32, nil
	case "arm", "SCMP_ARCH_ARM":
		return ArchARM, nil
	case "arm64", "aarch64", "SCMP_ARCH_AARCH64":
		return ArchARM64, nil
	case "riscv64", "SCMP_ARCH_RISCV64":
		return ArchRISCV64, nil
	case "loongarch64", "SCMP_ARCH_LOONGARCH64":
		return ArchLOONGARCH64, nil
	}
	return ArchInvalid, fmt.Errorf("seccomp: architecture %q is not supported", name)
}

// GetNativeArch is the architecture that this program was built for.
func GetNativeArch() (ScmpArch, error) {
	switch runtime.GOARCH {
	case "amd64":
		return ArchAMD64, nil
	case "386":
		return ArchX86, nil
	case "arm64":
		return ArchARM64, nil
	case "arm":
		return ArchARM, nil
	case "riscv64":
		return ArchRISCV64, nil
	case "loong64":
		return ArchLOONGARCH64, nil
	}
	return ArchInvalid, fmt.Errorf("seccomp: architecture %q is not supported", runtime.GOARCH)
}

func resolveArch(arch ScmpArch) (ScmpArch, error) {
	if arch == ArchNative {
		return GetNativeArch()
	}
	if int(arch) >= len(arches) || arches[arch].token == 0 {
		return ArchInvalid, fmt.Errorf("seccomp: architecture %d is not supported", arch)
	}
	return arch, nil
}
