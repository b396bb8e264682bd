// SPDX-License-Identifier: GPL-2.0
/* -m pkttype, as xt_pkttype.c has it. */
#include <linux/if_packet.h>
#include <linux/netfilter/xt_pkttype.h>

#include "match.h"

/* Its place in BF_HEADER, which it has to itself but for what lies above. */
#define TYPE_MASK 0xff

/*
 * A packet that was looped back is a multicast or a broadcast one, as its destination says:
 *
 *	type == @type || (type == PACKET_LOOPBACK && is multicast == @multicast)
 */
static void looped_compile(struct bf_rule *r, uint32_t type, bool multicast, bool invert)
{
	int end = bf_label(r);

	bf_eq(r, BF_HEADER, TYPE_MASK, type, true, invert ? BF_TO_NEXT : end);
	bf_eq(r, BF_HEADER, TYPE_MASK, PACKET_LOOPBACK, false, invert ? end : BF_TO_NEXT);
	bf_eq(r, BF_DADDR, 0xf0000000, 0xe0000000, multicast == invert, BF_TO_NEXT);
	bf_label_here(r, end);
}

static void pkttype_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_pkttype_info *info = data;
	bool invert = info->invert;

	/* The kernel's result is a bool of "equal ^ invert": 2 makes it true either way. */
	if (info->invert != 0 && info->invert != 1)
		return;
	if (info->pkttype == PACKET_MULTICAST || info->pkttype == PACKET_BROADCAST)
		looped_compile(r, info->pkttype, info->pkttype == PACKET_MULTICAST, invert);
	else if (info->pkttype >= 0 && info->pkttype <= TYPE_MASK &&
		 info->pkttype != PACKET_LOOPBACK)
		bf_eq(r, BF_HEADER, TYPE_MASK, info->pkttype, invert, BF_TO_NEXT);
	else if (!invert)
		bf_never(r, BF_TO_NEXT);
}

BF_ONLY_AT_HOOKS(pkttype, "the stack has not yet told what it is")

const struct bf_match bf_match_pkttype = {
	.name = "pkttype",
	.size = sizeof(struct xt_pkttype_info),
	.options = "--pkt-type, with !",
	.place = pkttype_place,
	.compile = pkttype_compile,
};
