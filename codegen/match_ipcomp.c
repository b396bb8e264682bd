// SPDX-License-Identifier: GPL-2.0
/* -m ipcomp, as xt_ipcomp.c has it. */
#include <errno.h>
#include <linux/netfilter/xt_ipcomp.h>
#include <netinet/in.h>

#include "match.h"

/* struct ip_comp_hdr. Its index is where others have their destination port. */
#define IPCOMP_HEADER 4

static int ipcomp_check(const struct ipt_entry *e, const void *info, unsigned int hook_mask,
			struct bf_why *why)
{
	const struct xt_ipcomp *comp = info;

	if (comp->invflags & ~XT_IPCOMP_INV_MASK)
		return bf_why(why, -EINVAL, "ipcomp: unknown inversion flags 0x%x", comp->invflags);
	return 0;
}

static void ipcomp_compile(struct bf_rule *r, const struct ipt_entry *e, const void *info)
{
	const struct xt_ipcomp *comp = info;

	bf_need_header(r, IPCOMP_HEADER);
	bf_range(r, BF_DPORT, comp->spis[0], comp->spis[1], comp->invflags & XT_IPCOMP_INV_SPI,
		 BF_TO_NEXT);
}

const struct bf_match bf_match_ipcomp = {
	.name = "ipcomp",
	.size = sizeof(struct xt_ipcomp),
	.proto = IPPROTO_COMP,
	.options = "--ipcompspi, with !",
	.check = ipcomp_check,
	.compile = ipcomp_compile,
};
