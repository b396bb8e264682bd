// SPDX-License-Identifier: GPL-2.0
/* -m ah, as ipt_ah.c has it. */
#include <errno.h>
#include <linux/netfilter_ipv4/ipt_ah.h>
#include <netinet/in.h>

#include "match.h"

/* struct ip_auth_hdr without the authentication data. */
#define AH_HEADER 12

static int ah_check(const struct ipt_entry *e, const void *info, unsigned int hook_mask,
		    struct bf_why *why)
{
	const struct ipt_ah *ah = info;

	if (ah->invflags & ~IPT_AH_INV_MASK)
		return bf_why(why, -EINVAL, "ah: unknown inversion flags 0x%x", ah->invflags);
	return 0;
}

static void ah_compile(struct bf_rule *r, const struct ipt_entry *e, const void *info)
{
	const struct ipt_ah *ah = info;

	bf_need_header(r, AH_HEADER);
	bf_range(r, BF_SPI, ah->spis[0], ah->spis[1], ah->invflags & IPT_AH_INV_SPI, BF_TO_NEXT);
}

BF_ONLY_AT_HOOKS(ah, "the index of its parameters is not read there")

const struct bf_match bf_match_ah = {
	.name = "ah",
	.size = sizeof(struct ipt_ah),
	.proto = IPPROTO_AH,
	.options = "--ahspi, with !",
	.check = ah_check,
	.place = ah_place,
	.compile = ah_compile,
};
