/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Root programs: what is attached to hooks, and stays there while tables come and go. A root runs the
 * table's program, which stands in slot 0 of a prog array (the switch); where there is none, the packet
 * passes.
 *
 * In slot 1 stands, while a table moves from some hooks to others, a guard: it runs before the table and
 * sees to it that each packet is judged by one of the two. A packet that was judged is tagged:
 *
 *	XDP -- 8 bytes of metadata in front of the frame --> tc ingress -- skb->tc_index --> LOCAL_IN, FORWARD
 *
 * and a guard lets pass what has a tag. Tags are only looked at behind guards: whoever else writes there
 * can at most have what arrives through our own hooks judged by one of two tables in force.
 *
 * At tc egress OUTPUT is run, once a packet, for what this namespace has sent and IP has seen. A packet that
 * goes through several interfaces one above the other (a bridge and its port, a VLAN and what is below it) is
 * judged at the uppermost, and tagged there for those below. An interface that puts it into another packet
 * (a tunnel) removes the tag: what comes out of it passes OUTPUT as well.
 */
#ifndef BPFILTER_ROOT_H
#define BPFILTER_ROOT_H

#include "program.h"

/* Slots of a switch. */
enum bf_slot { BF_SLOT_TABLE, BF_SLOT_GUARD, BF_NR_SLOTS };

/* What a root or guard is for. Its maps, by number: 0 is the switch, 1 is BF_MAP_DEVS. */
enum bf_root {
	BF_ROOT_LINK,
	BF_ROOT_TC_INGRESS,
	BF_ROOT_TC_EGRESS,
	BF_ROOT_XDP,
	BF_GUARD_LINK,
	BF_GUARD_TC, /* at ingress */
	BF_GUARD_XDP,
	BF_ROOT_EARLY, /* in front of a table at links: early.h */
};

/* In bf_dev.flags, for BF_ROOT_TC_EGRESS, beside those of program.h. */
#define BF_DEV_PORT    0x2 /* a port of a bridge, bond, ...: what it sends was judged at that */
#define BF_DEV_STACKED 0x4 /* it hands the packet itself to another interface, for that to send */

/**
 * bf_compile_root - a root or a guard
 *
 * -EOPNOTSUPP: the kernel's sk_buff has no tc_index, so that there is no guard at links. Free with
 * bf_program_free().
 */
int bf_compile_root(const struct bf_kernel *kernel, enum bf_root root, struct bf_program **program);

#endif /* BPFILTER_ROOT_H */
