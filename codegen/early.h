/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The early-drop stage: an XDP program in front of a table that is at netfilter's links. What INPUT or FORWARD is certain to
 * drop it drops in the driver, with the counters of the rules on the way, which are the table's own; all else goes up, uncounted,
 * to be judged where the table is.
 *
 * "Certain" has two halves. The rules are walked in three-valued logic: a test of what a driver cannot tell (most of conntrack: tracked.h;
 * marks, the time, what the kernel is asked for) lets the packet up, and the counters of rules that have matched are only
 * noted until a rule drops (early.c). And before the packet is dropped, the kernel's own structures are looked at, to make sure
 * that it would have come there as it is: path.c. Nothing has to be watched for that.
 */
#ifndef BPFILTER_EARLY_H
#define BPFILTER_EARLY_H

#include "compile.h"

/**
 * struct bf_early - where the table is
 * @cookie: of the network namespace (SO_NETNS_COOKIE)
 * @root_id: the program at its link at LOCAL_IN
 * @stride: of its counters
 */
struct bf_early {
	uint64_t cookie;
	uint32_t root_id;
	uint32_t stride;
};

/**
 * bf_compile_early - compile the early-drop stage of a table
 * @early: is kept by the program
 * @program: for BF_ATTACH_XDP. Its BF_MAP_COUNTERS is not described: it is the one of the table in force
 *
 * 0, -ENOMEM, -E2BIG, or -EOPNOTSUPP: the kernel does not tell what must be known, or there is nothing to drop early.
 */
int bf_compile_early(const struct bf_table *table, const struct bf_kernel *kernel,
		     const struct bf_early *early, struct bf_program **program, struct bf_why *why);

/* In words, for a line that ends with it; NULL for BF_EARLY_NONE. */
const char *bf_early_text(enum bf_early_why why);

/* Fill the frame, as bf_emit_key() does; all that is not plain goes to @up. */
void bf_emit_key_early(struct bf_asm *a, const struct bf_program *p, int readable, int up);

/*
 * The packet's way through the rules ends with r0 .. r5 and r7 .. r9 free. If it is certain, count and drop; else to @in_vain if the rules
 * do not tell, or to @up.
 */
void bf_emit_early_drop(struct bf_asm *a, const struct bf_program *p, int in_vain, int up);

/* The rules do not drop it for certain: with many of them in a row less are searched for. Clobbers r0 to r5. */
void bf_emit_early_in_vain(struct bf_asm *a);

/*
 * path.c: go to @up unless the packet would come to INPUT or FORWARD, which the key's HOOK says, as it is. bf_emit_chain(): which of them
 * gets it, and the name of the interface that it is forwarded by. To @up if that is neither, or one that drops nothing, and with a segment of a
 * connection if there is GRO; which comes before the rules, so that ACKs are not searched for; r8 is its struct net_device.
 */
void bf_emit_path(struct bf_asm *a, const struct bf_program *p, int up);
void bf_emit_chain(struct bf_asm *a, const struct bf_program *p, int up);

/*
 * path_source.c: go to @up unless the stack lets the packet's source pass, where rp_filter is on. r8 is its struct net_device, r9 its
 * struct net. That calls a function, with @walk the label of bf_fib_back_function().
 */
void bf_emit_source(struct bf_asm *a, int up);
void bf_emit_source_function(struct bf_asm *a, int walk);

/*
 * path_forward.c: go to @up unless the packet, which is for none of the machine's addresses, is forwarded by another interface, whose name
 * becomes OIF. r8 and r9 as above. That calls a function, as above.
 */
void bf_emit_forward(struct bf_asm *a, const struct bf_program *p, int up);
void bf_emit_forward_function(struct bf_asm *a, int walk);

/*
 * The same, at the end: go to @up if there is a socket that takes the packet away. r7 is the context. Clobbers r9. And to @ipsec if IPsec may
 * have a say; r9 is the struct net.
 */
void bf_emit_socket(struct bf_asm *a, int up);
void bf_emit_ipsec(struct bf_asm *a, int ipsec);

/*
 * r0 = the socket that the packet's addresses and ports lead to, by bpf_sk_lookup_udp() or bpf_skc_lookup_tcp(), or 0; and release it, r0. r7 is the
 * context.
 */
void bf_emit_sk_lookup(struct bf_asm *a, int helper);
void bf_emit_sk_release(struct bf_asm *a);

/* Those functions, once in the program, behind all else. */
void bf_emit_path_functions(struct bf_asm *a, const struct bf_program *p);

/* key[BF_HOOK] = hook, without the verifier knowing. Clobbers r1 and r2. */
void bf_emit_early_hook(struct bf_asm *a, uint32_t hook);

/* Why a packet goes up that the rules drop: counts->packets[r7]++, counts->last = r7. r7 is clobbered, as r0 to r5. */
void bf_emit_early_count(struct bf_asm *a);

#endif /* BPFILTER_EARLY_H */
