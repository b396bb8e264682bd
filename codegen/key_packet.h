/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between the parts of the prologue of programs at interfaces. Registers throughout:
 *
 *	r6	the frame's address
 *	r7	the context: struct __sk_buff or struct xdp_md
 *	r8, r9	as each part says; neither is kept from one part to the next
 */
#ifndef BPFILTER_KEY_PACKET_H
#define BPFILTER_KEY_PACKET_H

#include "compile.h"

/* Of the frame, while the prologue runs; it overlaps what follows later. */
enum bf_frame_packet {
	BF_FRAME_HEADER = BF_FRAME_RETURNS, /* the IP header, up to 60 bytes; behind it zeroes */
	BF_FRAME_FIB = BF_FRAME_RETURNS,    /* then: struct bpf_fib_lookup */
	BF_FRAME_GROUP = BF_FRAME_MARK,	    /* uint32_t: not 0: the frame is not for one host */
	BF_FRAME_MORE = BF_FRAME_PC,	    /* uint32_t: not 0: more fragments follow */
	/* uint32_t: where the IP header is, from data on. At tc only where bf_kernel.has_dev. */
	BF_FRAME_AT = BF_FRAME_L3,
};

/* The loopback's index in every namespace; not in the UAPI. */
#define BF_LOOPBACK 1

#define BF_KEY(field) (BF_FRAME_KEY + 4 * (field))

#define BF_NAME_FIELDS(first) (0xfULL << (first))

/**
 * struct bf_packet_key - the prologue being written
 * @pass: label: the packet is the stack's business, or another interface's; nothing counts it
 * @drop: label: it is dropped, and nothing counts it
 * @bad: label: what arrives like this passes, since the stack discards it; what leaves is dropped
 */
struct bf_packet_key {
	struct bf_asm *a;
	const struct bf_program *p;
	int pass, drop, bad;
};

/*
 * key_tc.c, key_xdp.c: what arrives. Packets that IP does not get from this interface, or not from
 * here, go to @pass. It may write GROUP, L3, and for XDP the incoming interface's name.
 */
void bf_emit_arrival_tc(struct bf_packet_key *k);
void bf_emit_arrival_xdp(struct bf_packet_key *k);

/* Go to @egress if the packet leaves by the interface. Clobbers r1. */
void bf_emit_if_egress(struct bf_packet_key *k, int egress);

/*
 * key_dev.c: the interface that the packet came or goes by, and others by their index. All clobber r0 to r5.
 *
 * Where bf_kernel.has_dev is: r1 = address of its struct net_device, a number.
 */
void bf_emit_dev(struct bf_packet_key *k);
/* r0 = the struct bf_dev of the interface whose index is r1; to @drop if it is not known. */
void bf_emit_find_dev(struct bf_packet_key *k);
/* key[field] ... = name of the interface whose struct bf_dev is at r0. */
void bf_emit_dev_name(struct bf_packet_key *k, enum bf_field field);
/* key[field] ... = name of the packet's own interface, if the table looks at it; to @drop as above. */
void bf_emit_own_name(struct bf_packet_key *k, enum bf_field field);
/* r1 = its index. */
void bf_emit_own_index(struct bf_packet_key *k);

/*
 * key_route.c: HOOK, IIF and OIF, of a packet whose addresses, LEN and GROUP are there, and its header in
 * HEADER, which it overwrites. It uses BF_MAP_ROUTES where bf_kernel.has_dev.
 */
void bf_emit_hook(struct bf_packet_key *k);

/*
 * key_ct.c: BF_CT_STATE, of a packet whose other fields are there, and with the first bytes behind
 * its IP header in BUF. See there for what it says of packets of which it cannot be told.
 */
void bf_emit_ct_state(struct bf_packet_key *k);

/* To @found if conntrack has an entry for the packet, TCP or UDP. r7 is the context. Clobbers r0 to r5, and BUF. */
void bf_emit_no_ct_entry(struct bf_asm *a, int found);

/* Fields that it needs beyond those that the table looks at. */
#define BF_CT_NEEDS                                                                                \
	(BF_FIELD_BIT(BF_SADDR) | BF_FIELD_BIT(BF_DADDR) | BF_FIELD_BIT(BF_PROTO) |                \
	 BF_FIELD_BIT(BF_SPORT) | BF_FIELD_BIT(BF_DPORT) | BF_FIELD_BIT(BF_ICMP) |                 \
	 BF_FIELD_BIT(BF_TCP_FLAGS))

#endif /* BPFILTER_KEY_PACKET_H */
