// SPDX-License-Identifier: GPL-2.0
/* -m ecn, as xt_ecn.c of the kernel at hand has it. */
#include <errno.h>
#include <linux/netfilter/xt_ecn.h>
#include <netinet/in.h>

#include "match.h"

/* struct tcphdr, and its flags. */
#define TCP_HEADER 20
#define TCP_ECE	   0x40
#define TCP_CWR	   0x80

static int ecn_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
		     struct bf_why *why)
{
	const struct xt_ecn_info *info = data;

	if ((info->operation | info->invert) & XT_ECN_OP_MATCH_MASK)
		return bf_why(why, -EINVAL, "ecn: unknown operation 0x%x",
			      info->operation | info->invert);
	if (info->operation & (XT_ECN_OP_MATCH_ECE | XT_ECN_OP_MATCH_CWR) &&
	    (e->ip.proto != IPPROTO_TCP || e->ip.invflags & IPT_INV_PROTO))
		return bf_why(why, -EINVAL, "ecn: TCP's bits need protocol TCP, not inverted");
	return 0;
}

static void ecn_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_ecn_info *info = data;

	if (info->operation & XT_ECN_OP_MATCH_IP)
		bf_eq(r, BF_HEADER, (XT_ECN_IP_MASK & 0xff) << 16, info->ip_ect << 16,
		      info->invert & XT_ECN_OP_MATCH_IP, BF_TO_NEXT);
	if (!(info->operation & (XT_ECN_OP_MATCH_ECE | XT_ECN_OP_MATCH_CWR)))
		return;
	/* A header that is not there does not match. */
	bf_skip_fragments(r, BF_TRY_ECN);
	r->fields |= BF_FRAGMENTS;
	bf_range(r, BF_L4LEN, TCP_HEADER, UINT32_MAX, false, BF_TO_NEXT);
	if (info->operation & XT_ECN_OP_MATCH_ECE)
		bf_eq(r, BF_TCP_FLAGS, TCP_ECE, TCP_ECE, info->invert & XT_ECN_OP_MATCH_ECE,
		      BF_TO_NEXT);
	if (info->operation & XT_ECN_OP_MATCH_CWR)
		bf_eq(r, BF_TCP_FLAGS, TCP_CWR, TCP_CWR, info->invert & XT_ECN_OP_MATCH_CWR,
		      BF_TO_NEXT);
}

BF_ONLY_AT_HOOKS(ecn, "the header is not read as far there")

const struct bf_match bf_match_ecn = {
	.name = "ecn",
	.size = sizeof(struct xt_ecn_info),
	.tries = 1U << BF_TRY_ECN,
	.options = "--ecn-tcp-cwr, --ecn-tcp-ece, --ecn-ip-ect, all with !",
	.check = ecn_check,
	.place = ecn_place,
	.compile = ecn_compile,
};
