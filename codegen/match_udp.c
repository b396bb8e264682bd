// SPDX-License-Identifier: GPL-2.0
/* -m udp, as xt_tcpudp.c has it. */
#include <errno.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <netinet/in.h>

#include "match.h"

/* struct udphdr */
#define UDP_HEADER 8

static int udp_check(const struct ipt_entry *e, const void *info, unsigned int hook_mask,
		     struct bf_why *why)
{
	const struct xt_udp *udp = info;

	if (udp->invflags & ~XT_UDP_INV_MASK)
		return bf_why(why, -EINVAL, "udp: unknown inversion flags 0x%x", udp->invflags);
	return 0;
}

static void udp_compile(struct bf_rule *r, const struct ipt_entry *e, const void *info)
{
	const struct xt_udp *udp = info;

	bf_need_header(r, UDP_HEADER);
	bf_range(r, BF_SPORT, udp->spts[0], udp->spts[1], udp->invflags & XT_UDP_INV_SRCPT,
		 BF_TO_NEXT);
	bf_range(r, BF_DPORT, udp->dpts[0], udp->dpts[1], udp->invflags & XT_UDP_INV_DSTPT,
		 BF_TO_NEXT);
}

const struct bf_match bf_match_udp = {
	.name = "udp",
	.size = sizeof(struct xt_udp),
	.proto = IPPROTO_UDP,
	.options = "--sport, --dport, all with !",
	.check = udp_check,
	.compile = udp_compile,
};
