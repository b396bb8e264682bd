// SPDX-License-Identifier: GPL-2.0
/* How many replies of REJECT there are: icmp_global_allow(), icmpv4_xrlim_allow(). */
#include <linux/netfilter.h>

#include "key_packet.h"
#include "reject.h"

#define NSEC 1000000000ULL

#define TOKENS ((int)offsetof(struct bf_reply_limit, tokens))

/*
 * inet_peer_xrlim_allow(): a bucket (struct bf_reply_limit, at r1) fills with time, nanoseconds up to r3; a reply takes r2 of it.
 * r0 = 0 if there is not so much.
 */
void bf_emit_reply_allow(struct bf_reject *r)
{
	const int last = offsetof(struct bf_reply_limit, last);
	struct bf_asm *a = r->a;
	int forward = bf_asm_label(a), some = bf_asm_label(a), none = bf_asm_label(a);

	bf_function(a, r->allow);
	bf_mov(a, BPF_REG_6, BPF_REG_1);
	bf_mov(a, BPF_REG_7, BPF_REG_2);
	bf_mov(a, BPF_REG_8, BPF_REG_3);
	bf_helper(a, BPF_FUNC_ktime_get_ns);
	bf_mov(a, BPF_REG_1, BPF_REG_0);
	bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_6, last);
	bf_stx(a, BPF_DW, BPF_REG_6, last, BPF_REG_0);
	bf_alu(a, BPF_SUB, BPF_REG_1, BPF_REG_2);
	/* Another processor was here a moment later. */
	bf_jifi(a, BPF_JSGE, BPF_REG_1, 0, forward);
	bf_movi(a, BPF_REG_1, 0);
	bf_asm_here(a, forward);
	bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_6, TOKENS);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_2);
	bf_jif(a, BPF_JLE, BPF_REG_1, BPF_REG_8, some);
	bf_mov(a, BPF_REG_1, BPF_REG_8);
	bf_asm_here(a, some);
	bf_movi(a, BPF_REG_0, 0);
	bf_jif(a, BPF_JLT, BPF_REG_1, BPF_REG_7, none);
	bf_alu(a, BPF_SUB, BPF_REG_1, BPF_REG_7);
	bf_movi(a, BPF_REG_0, 1);
	bf_asm_here(a, none);
	bf_stx(a, BPF_DW, BPF_REG_6, TOKENS, BPF_REG_1);
	bf_exit(a);
}

/* r0: another one of @burst, at most one in @interval, by the bucket at r1 */
static void allow(struct bf_reject *r, uint64_t interval, uint64_t burst)
{
	struct bf_asm *a = r->a;

	bf_ld_imm64(a, BPF_REG_2, interval);
	bf_ld_imm64(a, BPF_REG_3, burst * interval);
	bf_call(a, r->allow);
}

/* For the host that gets it; else to @silent. r9 = its bucket, or 0 if it needs none. */
static void allow_host(struct bf_reject *r, uint64_t interval)
{
	struct bf_asm *a = r->a;
	int done = bf_asm_label(a);

	bf_movi(a, BPF_REG_9, 0);
	bf_reject_get(r, BPF_REG_1, BF_KEY(BF_HOOK));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, NF_INET_LOCAL_OUT, done);
	bf_reject_get(r, BPF_REG_9, BF_KEY(BF_SADDR));
	bf_alu32i(a, BPF_MUL, BPF_REG_9, 0x9e3779b1);
	bf_alu32i(a, BPF_RSH, BPF_REG_9, 32 - BF_REPLY_BITS);
	bf_alui(a, BPF_MUL, BPF_REG_9, sizeof(struct bf_reply_limit));
	bf_map_value(a, BPF_REG_2, BF_MAP_REPLIES);
	bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_2);
	bf_alui(a, BPF_ADD, BPF_REG_9, offsetof(struct bf_replies, hosts));
	bf_mov(a, BPF_REG_1, BPF_REG_9);
	allow(r, interval, 6);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, r->silent);
	bf_asm_here(a, done);
}

/* For the namespace; else to @silent, and the bucket at r9, unless that is 0, gets back what was taken. */
static void allow_all(struct bf_reject *r, uint64_t interval, uint64_t host_interval)
{
	struct bf_asm *a = r->a;
	int done = bf_asm_label(a);

	bf_map_value(a, BPF_REG_1, BF_MAP_REPLIES);
	bf_alui(a, BPF_ADD, BPF_REG_1, offsetof(struct bf_replies, all));
	allow(r, interval, a->kernel->replying.burst);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, done);
	if (host_interval) {
		bf_jifi(a, BPF_JEQ, BPF_REG_9, 0, r->silent);
		bf_ld_imm64(a, BPF_REG_2, host_interval);
		bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_9, TOKENS);
		bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_2);
		bf_stx(a, BPF_DW, BPF_REG_9, TOKENS, BPF_REG_1);
	}
	bf_jmp(a, r->silent);
	bf_asm_here(a, done);
}

/*
 * As icmp_send() limits itself: nothing that comes over the loopback; else errors for each host that gets them, unless they go over
 * the loopback, as those for what the machine itself sends; then all in all. What a host gets too often takes nothing of
 * what there is for all. Hosts that share a bucket get less. Resets have no limit.
 */
void bf_emit_reply_limits(struct bf_reject *r)
{
	const struct bf_replying *k = &r->a->kernel->replying;
	const uint64_t host_interval = k->interval_ms * (NSEC / 1000);
	struct bf_asm *a = r->a;
	int done = bf_asm_label(a);

	bf_reject_get(r, BPF_REG_1, BF_REJECT_CODE);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_REJECT_RESET, done);
	bf_reject_get(r, BPF_REG_1, BF_REJECT_IFINDEX);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_LOOPBACK, done);
	if (host_interval)
		allow_host(r, host_interval);
	if (k->per_second)
		allow_all(r, NSEC / k->per_second, host_interval);
	bf_asm_here(a, done);
}
