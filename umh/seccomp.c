// SPDX-License-Identifier: GPL-2.0
/* The seccomp filter of "bpfilter run". */
#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/net.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <stddef.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "seccomp.h"

#ifndef SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV
#define SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV (1UL << 5)
#endif

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define ARG_LOW(n) (offsetof(struct seccomp_data, args) + 8 * (n))
#else
#define ARG_LOW(n) (offsetof(struct seccomp_data, args) + 8 * (n) + 4)
#endif

/**
 * struct call_rule - a system call that is reported if its arguments are in a range
 * @arch: AUDIT_ARCH_*
 * @arg: the argument that is compared: optname, or the first of socketcall
 * @min, @max: its range, inclusive
 * @level: the second argument must be IPPROTO_IP as well
 *
 * The kernel looks at the lower half of these arguments only, and so does the filter.
 */
struct call_rule {
	uint32_t arch;
	uint32_t nr;
	unsigned int arg;
	uint32_t min;
	uint32_t max;
	bool level;
	bool get;
	bool compat;
};

#define SET_RULE(a, n, c)                                                                          \
	{                                                                                          \
		a, n, 2, IPT_SO_SET_REPLACE, IPT_SO_SET_MAX, true, false, c                        \
	}
#define GET_RULE(a, n, c)                                                                          \
	{                                                                                          \
		a, n, 2, IPT_SO_GET_INFO, IPT_SO_GET_MAX, true, true, c                            \
	}
#define SOCKETCALL_RULES(a, n, c)                                                                  \
	{a, n, 0, SYS_SETSOCKOPT, SYS_SETSOCKOPT, false, false, c},                                \
	{                                                                                          \
		a, n, 0, SYS_GETSOCKOPT, SYS_GETSOCKOPT, false, true, c                            \
	}

#if defined(__x86_64__)
#define NATIVE_ARCH AUDIT_ARCH_X86_64
#define X32_BIT	    0x40000000U
#elif defined(__aarch64__)
#define NATIVE_ARCH AUDIT_ARCH_AARCH64
#elif defined(__riscv) && __riscv_xlen == 64
#define NATIVE_ARCH AUDIT_ARCH_RISCV64
#elif defined(__s390x__)
#define NATIVE_ARCH AUDIT_ARCH_S390X
#elif defined(__powerpc64__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
#define NATIVE_ARCH AUDIT_ARCH_PPC64LE
#elif defined(__loongarch64)
#define NATIVE_ARCH AUDIT_ARCH_LOONGARCH64
#else
#error "the seccomp audit architecture of this machine is not known here: add it"
#endif

/* Numbers of the other ABIs are those of their system call tables. */
static const struct call_rule call_rules[] = {
	SET_RULE(NATIVE_ARCH, __NR_setsockopt, false),
	GET_RULE(NATIVE_ARCH, __NR_getsockopt, false),
#ifdef __NR_socketcall
	SOCKETCALL_RULES(NATIVE_ARCH, __NR_socketcall, false),
#endif
#if defined(__x86_64__)
	SET_RULE(NATIVE_ARCH, X32_BIT | 541, true),
	GET_RULE(NATIVE_ARCH, X32_BIT | 542, true),
	SET_RULE(AUDIT_ARCH_I386, 366, true),
	GET_RULE(AUDIT_ARCH_I386, 365, true),
	SOCKETCALL_RULES(AUDIT_ARCH_I386, 102, true),
#elif defined(__aarch64__)
	SET_RULE(AUDIT_ARCH_ARM, 294, true),
	GET_RULE(AUDIT_ARCH_ARM, 295, true),
#elif defined(__s390x__)
	SET_RULE(AUDIT_ARCH_S390, 366, true),
	GET_RULE(AUDIT_ARCH_S390, 365, true),
	SOCKETCALL_RULES(AUDIT_ARCH_S390, 102, true),
#endif
};

#define INSNS_PER_RULE 10

/*
 * One rule:
 *	if (arch != rule.arch || nr != rule.nr) goto next;
 *	if (rule.level && (u32)args[1] != IPPROTO_IP) goto next;
 *	if ((u32)args[rule.arg] < min || (u32)args[rule.arg] > max) goto next;
 *	return SECCOMP_RET_USER_NOTIF;
 *
 * For all other system calls only arch and nr are loaded, from which the kernel sees that they
 * are always allowed and does not run the filter for them at all (5.11).
 */
static size_t emit_rule(struct sock_filter *f, const struct call_rule *r)
{
	const struct sock_filter insns[INSNS_PER_RULE] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, arch)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r->arch, 0, 8),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, r->nr, 0, 6),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG_LOW(1)),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, IPPROTO_IP, 0, r->level ? 4 : 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, ARG_LOW(r->arg)),
		BPF_JUMP(BPF_JMP | BPF_JGE | BPF_K, r->min, 0, 2),
		BPF_JUMP(BPF_JMP | BPF_JGT | BPF_K, r->max, 1, 0),
		BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_USER_NOTIF),
	};

	memcpy(f, insns, sizeof(insns));
	return INSNS_PER_RULE;
}

static int sys_seccomp(unsigned int op, unsigned long flags, void *arg)
{
	long ret = syscall(__NR_seccomp, op, flags, arg);

	return ret < 0 ? -errno : (int)ret;
}

int bf_seccomp_install(void)
{
	struct sock_filter insns[ARRAY_SIZE(call_rules) * INSNS_PER_RULE + 1];
	struct sock_fprog prog = {.filter = insns};
	const unsigned long flags = SECCOMP_FILTER_FLAG_NEW_LISTENER;
	size_t n = 0, i;
	int ret;

	for (i = 0; i < ARRAY_SIZE(call_rules); i++)
		n += emit_rule(insns + n, &call_rules[i]);
	insns[n++] = (struct sock_filter)BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW);
	prog.len = n;

	ret = sys_seccomp(SECCOMP_SET_MODE_FILTER, flags | SECCOMP_FILTER_FLAG_WAIT_KILLABLE_RECV,
			  &prog);
	/* Before 5.19 a signal that comes while a call waits makes the caller repeat it. */
	if (ret == -EINVAL)
		ret = sys_seccomp(SECCOMP_SET_MODE_FILTER, flags, &prog);
	return ret;
}

int bf_seccomp_check(struct bf_why *why)
{
	struct seccomp_notif_sizes sizes;
	uint32_t action = SECCOMP_RET_USER_NOTIF;
	int ret;

	ret = sys_seccomp(SECCOMP_GET_ACTION_AVAIL, 0, &action);
	if (!ret)
		ret = sys_seccomp(SECCOMP_GET_NOTIF_SIZES, 0, &sizes);
	if (ret)
		return bf_why(
			why, -EOPNOTSUPP,
			"this kernel has no seccomp user notification (%s): Linux 5.6 or later "
			"with CONFIG_SECCOMP_FILTER is needed",
			strerror(-ret));
#ifdef __NR_pidfd_getfd
	/* -EBADF where it exists: there is no such pidfd */
	if (syscall(__NR_pidfd_getfd, -1, -1, 0) < 0 && errno == ENOSYS)
		return bf_why(why, -EOPNOTSUPP,
			      "this kernel has no pidfd_getfd(2): Linux 5.6 or later is needed");
#endif
	return 0;
}

void bf_seccomp_call(const struct seccomp_data *data, struct bf_sockopt_call *call)
{
	size_t i;

	memset(call, 0, sizeof(*call));
	for (i = 0; i < ARRAY_SIZE(call_rules); i++) {
		const struct call_rule *r = &call_rules[i];
		uint32_t arg = data->args[r->arg];

		if (r->arch != data->arch || r->nr != (uint32_t)data->nr)
			continue;
		if (arg < r->min || arg > r->max)
			continue;
		call->get = r->get;
		call->compat = r->compat;
		if (!r->level) {
			call->args = data->args[1];
			call->word = r->compat ? 4 : sizeof(long);
			return;
		}
		call->fd = data->args[0];
		call->level = data->args[1];
		call->opt = data->args[2];
		call->optval = data->args[3];
		call->optlen = data->args[4];
		return;
	}
}

static uint64_t word_at(const struct bf_sockopt_call *call, const void *words, unsigned int i)
{
	if (call->word == 4)
		return ((const uint32_t *)words)[i];
	return ((const uint64_t *)words)[i];
}

void bf_seccomp_socketcall(struct bf_sockopt_call *call, const void *words)
{
	call->fd = word_at(call, words, 0);
	call->level = word_at(call, words, 1);
	call->opt = word_at(call, words, 2);
	call->optval = word_at(call, words, 3);
	call->optlen = word_at(call, words, 4);
}
