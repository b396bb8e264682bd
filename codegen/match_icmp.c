// SPDX-License-Identifier: GPL-2.0
/* -m icmp, as icmp_match() of ip_tables has it (since 6.3 in xt_tcpudp.c). */
#include <errno.h>
#include <netinet/in.h>

#include "match.h"

/* struct icmphdr */
#define ICMP_HEADER 8
/* "any": every type and code. No packet can ask for type 255 alone. */
#define ANY_TYPE    0xff

static int icmp_check(const struct ipt_entry *e, const void *info, unsigned int hook_mask,
		      struct bf_why *why)
{
	const struct ipt_icmp *icmp = info;

	if (icmp->invflags & ~IPT_ICMP_INV)
		return bf_why(why, -EINVAL, "icmp: unknown inversion flags 0x%x", icmp->invflags);
	return 0;
}

static void icmp_compile(struct bf_rule *r, const struct ipt_entry *e, const void *info)
{
	const struct ipt_icmp *icmp = info;
	bool invert = icmp->invflags & IPT_ICMP_INV;

	bf_need_header(r, ICMP_HEADER);
	if (icmp->type != ANY_TYPE)
		bf_range(r, BF_ICMP, icmp->type << 8 | icmp->code[0],
			 icmp->type << 8 | icmp->code[1], invert, BF_TO_NEXT);
	else if (invert)
		bf_never(r, BF_TO_NEXT);
}

const struct bf_match bf_match_icmp = {
	.name = "icmp",
	.size = sizeof(struct ipt_icmp),
	.proto = IPPROTO_ICMP,
	.options = "--icmp-type, with !",
	.check = icmp_check,
	.compile = icmp_compile,
};
