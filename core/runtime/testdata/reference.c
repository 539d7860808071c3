/* Compiles a filter with the real libseccomp: the test's yardstick. Lines of
 * standard input describe it, standard output gets the program. */
#include <errno.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static void fail(const char *what, int rc)
{
	fprintf(stderr, "%s: %s\n", what, strerror(-rc));
	exit(1);
}

int main(void)
{
	char line[4096], word[64];
	scmp_filter_ctx ctx = NULL;
	uint32_t action;

	while (fgets(line, sizeof(line), stdin)) {
		if (sscanf(line, "default %" SCNx32, &action) == 1) {
			if (!(ctx = seccomp_init(action)))
				fail("init", -EINVAL);
			seccomp_attr_set(ctx, SCMP_FLTATR_CTL_OPTIMIZE, 2);
		} else if (sscanf(line, "arch %63s", word) == 1) {
			int rc = seccomp_arch_add(ctx, seccomp_arch_resolve_name(word));
			if (rc && rc != -EEXIST)
				fail("arch", rc);
		} else if (sscanf(line, "known %63s", word) == 1) {
			printf("%s %d\n", word, seccomp_syscall_resolve_name(word));
		} else if (sscanf(line, "rule %" SCNx32 " %63s", &action, word) == 2) {
			struct scmp_arg_cmp args[6];
			int nr = seccomp_syscall_resolve_name(word), n = 0, used;
			char *at = strchr(strchr(line, ' ') + 1, ' ') + 1 + strlen(word);
			unsigned arg, op;
			while (sscanf(at, " %u:%u:%" SCNx64 ":%" SCNx64 "%n", &arg, &op, &args[n].datum_a, &args[n].datum_b, &used) == 4) {
				args[n].arg = arg;
				args[n++].op = op;
				at += used;
			}
			int rc = seccomp_rule_add_array(ctx, action, nr, n, args);
			if (rc && rc != -EEXIST)
				fail(line, rc);
		}
	}
	return ctx ? seccomp_export_bpf(ctx, 1) : 0;
}
