/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The early-drop stage: an XDP program in front of a table that is at netfilter's links. What INPUT is certain to drop it
 * drops in the driver, with the counters of the rules on the way, which are the table's own; all else goes up, uncounted,
 * to be judged where the table is.
 *
 * "Certain" has two halves. The rules are walked in three-valued logic: a test of what a driver cannot tell (most of conntrack: tracked.h;
 * marks, the time, what the kernel is asked for) lets the packet up, and the counters of rules that have matched are only
 * noted until a rule drops (early.c). And before the packet is dropped, the kernel's own structures are looked at, to make sure
 * that it would have come to INPUT as it is: path.c. Nothing has to be watched for that.
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
 * path.c: go to @up unless the packet would come to INPUT as it is. bf_emit_local(): unless it is for one of the machine's
 * addresses, and if it is a segment of a connection and there is GRO; which comes before the rules, so that what is forwarded, and
 * ACKs, are not searched for; r8 is its struct net_device.
 */
void bf_emit_path(struct bf_asm *a, const struct bf_program *p, int up);
void bf_emit_local(struct bf_asm *a, const struct bf_program *p, int up);

/*
 * path_source.c: go to @up unless the stack lets the packet's source pass, where rp_filter is on. r8 is its struct net_device, r9 its
 * struct net. That calls a function, which is emitted once in the program, behind all else.
 */
void bf_emit_source(struct bf_asm *a, int up);
void bf_emit_source_function(struct bf_asm *a);

/* Why a packet goes up that the rules drop: counts->packets[r7]++, counts->last = r7. r7 is clobbered, as r0 to r5. */
void bf_emit_early_count(struct bf_asm *a);

#endif /* BPFILTER_EARLY_H */
