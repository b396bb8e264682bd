// SPDX-License-Identifier: GPL-2.0
/* -m iprange, as xt_iprange.c has it; revision 0 left the kernel in 2.6.36. */
#include <arpa/inet.h>
#include <linux/netfilter/xt_iprange.h>

#include "match.h"

static void iprange_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_iprange_mtinfo *info = data;

	/* A range that ends before it begins is an empty one. */
	if (info->flags & IPRANGE_SRC)
		bf_range(r, BF_SADDR, ntohl(info->src_min.ip), ntohl(info->src_max.ip),
			 info->flags & IPRANGE_SRC_INV, BF_TO_NEXT);
	if (info->flags & IPRANGE_DST)
		bf_range(r, BF_DADDR, ntohl(info->dst_min.ip), ntohl(info->dst_max.ip),
			 info->flags & IPRANGE_DST_INV, BF_TO_NEXT);
}

const struct bf_match bf_match_iprange = {
	.name = "iprange",
	.revision = 1,
	.size = sizeof(struct xt_iprange_mtinfo),
	.options = "--src-range, --dst-range, all with !",
	.compile = iprange_compile,
};
