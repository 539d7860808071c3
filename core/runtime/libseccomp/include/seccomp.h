/* What runc's libcontainer/seccomp/patchbpf takes from libseccomp's header:
 * one macro, and the kernel's AUDIT_ARCH_* numbers. */
#ifndef NACRE_SECCOMP_H
#define NACRE_SECCOMP_H

#include <elf.h>
#include <linux/audit.h>

#define SCMP_ACT_ERRNO(x) (0x00050000U | ((x) & 0x0000ffffU)) /* SECCOMP_RET_ERRNO | x */

#endif
