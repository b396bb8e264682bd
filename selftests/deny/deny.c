// SPDX-License-Identifier: GPL-2.0
/*
 * deny CALL[:ARG]=ERRNO... -- COMMAND [ARG...]
 *
 * Runs COMMAND with some system calls failing, to see on a good kernel what happens on one
 * that lacks a feature. ARG is what the call's first argument must be, a number. For
 * instance, a kernel without bpf_link: deny bpf:28=EINVAL -- COMMAND
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

#define MAX_RULES 16
#define LD(off)	  BPF_STMT(BPF_LD | BPF_W | BPF_ABS, off)

static const struct {
	const char *name;
	int nr;
} calls[] =
	{
		{"bpf", SYS_bpf},
		{"mount", SYS_mount},
		{"seccomp", SYS_seccomp},
		{"pidfd_getfd", SYS_pidfd_getfd},
		{"pidfd_open", SYS_pidfd_open},
		{"setns", SYS_setns},
},
  errors[] = {
	  {"EINVAL", EINVAL}, {"ENODEV", ENODEV}, {"ENOMEM", ENOMEM},
	  {"ENOSYS", ENOSYS}, {"EPERM", EPERM},
};

#define lookup(table, word, len) lookup_in(table, sizeof(table) / sizeof(table[0]), word, len)

static int lookup_in(const typeof(calls[0]) *table, size_t n, const char *word, size_t len)
{
	for (size_t i = 0; i < n; i++)
		if (strlen(table[i].name) == len && !memcmp(table[i].name, word, len))
			return table[i].nr;
	fprintf(stderr, "deny: do not know \"%.*s\"\n", (int)len, word);
	exit(2);
}

/* The instructions for one rule: if it applies, fail; else go on behind them. */
static struct sock_filter *add_rule(struct sock_filter *f, const char *rule)
{
	const char *eq = strchr(rule, '='), *colon = strchr(rule, ':');
	int nr, err;

	if (!eq) {
		fprintf(stderr, "deny: \"%s\" is not CALL[:ARG]=ERRNO\n", rule);
		exit(2);
	}
	nr = lookup(calls, rule, (size_t)((colon ? colon : eq) - rule));
	err = lookup(errors, eq + 1, strlen(eq + 1));
	*f++ = (struct sock_filter)LD(offsetof(struct seccomp_data, nr));
	*f++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, nr, 0, colon ? 3 : 1);
	if (colon) {
		*f++ = (struct sock_filter)LD(offsetof(struct seccomp_data, args[0]));
		*f++ = (struct sock_filter)BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K,
						    strtoul(colon + 1, NULL, 0), 0, 1);
	}
	*f++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | err);
	return f;
}

int main(int argc, char **argv)
{
	struct sock_filter filter[5 * MAX_RULES + 1], *f = filter;
	struct sock_fprog prog = {.filter = filter};
	int i = 1;

	for (; i < argc && strcmp(argv[i], "--"); i++) {
		if (i > MAX_RULES)
			return 2;
		f = add_rule(f, argv[i]);
	}
	*f++ = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prog.len = (unsigned short)(f - filter);
	if (i + 1 >= argc) {
		fprintf(stderr, "usage: deny CALL[:ARG]=ERRNO... -- COMMAND [ARG...]\n");
		return 2;
	}
	if (prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &prog)) {
		perror("deny: PR_SET_SECCOMP");
		return 2;
	}
	execvp(argv[i + 1], argv + i + 1);
	perror(argv[i + 1]);
	return 127;
}
