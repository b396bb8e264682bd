/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Frames with nothing unusual: what programs read that judge only what they are certain of, and let all else go up.
 *
 * An Ethernet header without a tag, and IPv4 without options, in order, that is no later fragment. Registers:
 *
 *	r6	the frame's address: its key is filled in
 *	r7	the packet
 *	r9	behind bf_plain_addresses(): 0, of which the verifier does not know that it is
 */
#ifndef BPFILTER_PLAIN_H
#define BPFILTER_PLAIN_H

#include <linux/if_ether.h>
#include <linux/ip.h>

#include "compile.h"

#define BF_L4_FIELDS                                                                               \
	(BF_FIELD_BIT(BF_SPORT) | BF_FIELD_BIT(BF_DPORT) | BF_FIELD_BIT(BF_ICMP) |                 \
	 BF_FIELD_BIT(BF_TCP_FLAGS))

/* What is read from the packet. */
#define BF_PLAIN_FIELDS                                                                            \
	(BF_L4_FIELDS | BF_FIELD_BIT(BF_SADDR) | BF_FIELD_BIT(BF_DADDR) | BF_FIELD_BIT(BF_PROTO) | \
	 BF_FIELD_BIT(BF_L4LEN) | BF_FIELD_BIT(BF_LEN))

#define BF_PLAIN_IP	    20
#define BF_PLAIN_IP_AT(mem) (ETH_HLEN + (int)offsetof(struct iphdr, mem))

/**
 * struct bf_plain - what is being written
 * @up: label: where a packet goes that is not like that
 * @whole: fragments go up, the first one as well
 * @pieces: a frame may have several pieces, of which the first one, with all headers, is what is read here; BF_FRAME_SKB
 *	is the context
 */
struct bf_plain {
	struct bf_asm *a;
	int up;
	bool whole, pieces;
};

/* r7 = the frame, which ends at r3; both headers are there. On entry r1 is the context. Clobbers r1 and r2. */
void bf_plain_begin(const struct bf_plain *p);

/* Lengths and checksum, as ip_rcv_core() has them: LEN, L4LEN. r3 stays. Clobbers r0 to r2 and r4, with @pieces r5. */
void bf_plain_header(const struct bf_plain *p);

/* SADDR, DADDR, PROTO, and r9. r3 stays. Clobbers r1. */
void bf_plain_addresses(const struct bf_plain *p);

/* What is behind the IP header: 20 bytes, or 8, or 4, as many of these as the packet has. Clobbers r1 and r2. */
void bf_plain_l4(const struct bf_plain *p);

#endif /* BPFILTER_PLAIN_H */
