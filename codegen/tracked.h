/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The early-drop stage where connections are tracked: is a packet one that conntrack finds NEW, without anything being left
 * behind of it when it is dropped?
 *
 * That is told of TCP and UDP, of which the kernel says to a driver's program whether there is an entry. If there is one, of
 * either direction, the packet goes up, whatever it is. If there is none, conntrack makes one, of which nothing remains
 * when INPUT drops the packet; in between it has the packet's tuple, no status, no mark. So what nf_conntrack_in() of
 * net/netfilter/nf_conntrack_core.c does with such a packet is:
 *
 *	invert the tuple	always possible with ports
 *	make an entry		not if there are nf_conntrack_max of them: the packet is dropped then, uncounted
 *	look for an expectation	RELATED if there is one: goes up as soon as the namespace has any, for whatever
 *	TCP, UDP		INVALID with a header that is not in order, with a wrong checksum (unless the sysctl is off, or the
 *				packet has come with its checksum known) and, of TCP, with flags that do not begin a
 *				connection. What is picked up in the middle depends on more: of TCP a SYN alone is NEW
 *
 * A template, which may say otherwise, comes from raw or from nf_tables, with which nothing is dropped early. nat's
 * PREROUTING has to be without a rule: it would see the packet. What other hooks of conntrack and nat do is behind the filter.
 */
#ifndef BPFILTER_TRACKED_H
#define BPFILTER_TRACKED_H

#include "compile.h"

/*
 * In the frame, uint64_t each, which path.c finds out: not 0 if a hook of conntrack has been met; the sk_buff that the frame is
 * of, or 0.
 */
#define BF_FRAME_TRACKED (BF_FRAME_RETURNS + 32)
#define BF_FRAME_SUMMED	 (BF_FRAME_RETURNS + 40)

/* What is known of conntrack's fields where a packet is NEW; of CT_STATUS not all bits. */
#define BF_NEW_FIELDS (BF_CT_FIELDS & ~BF_FIELD_BIT(BF_CT_EXPIRES))

/* So many datagrams of a connection that has an entry go up before it is asked about again. */
#define BF_EARLY_CREDIT 15

/* Does the kernel tell all that must be known? */
bool bf_tracked_known(const struct bf_kernel *kernel);

/* Is this a test of conntrack's of which the answer is known for a packet that is NEW? */
bool bf_tracked_op_known(const struct bf_op *op);

/* Behind the key's own: to @up if the packet cannot be NEW, by its protocol and flags alone. Clobbers r1. */
void bf_emit_may_be_new(struct bf_asm *a, int up);

/*
 * For a table that looks at conntrack's fields, before its rules: the fields in the key are a NEW packet's. To @up if there is an
 * entry, of UDP: most datagrams have one, and are not to be searched for. First SYNs have none, most often, and those that are
 * accepted need not be asked about: of TCP it is left to bf_emit_tracked(). r7 is the context. Clobbers r0 to r5, r8 and r9.
 */
void bf_emit_new_key(struct bf_asm *a, const struct bf_program *p, int up);

/**
 * bf_emit_tracked - at the end of the packet's way to INPUT
 * @why: labels, by enum bf_early_why
 *
 * To @up or a reason unless all is as the comment above has it, if a hook of conntrack has been met; if there was none, unless
 * the table does not look at conntrack. On entry r7 is the context and r9 the struct net. Clobbers all but r6.
 */
void bf_emit_tracked(struct bf_asm *a, const struct bf_program *p, int up, const int *why);

#endif /* BPFILTER_TRACKED_H */
