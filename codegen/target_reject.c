// SPDX-License-Identifier: GPL-2.0
/* -j REJECT, as ipt_REJECT.c has it. */
#include <errno.h>
#include <linux/icmp.h>
#include <linux/in.h>
#include <linux/netfilter_ipv4/ipt_REJECT.h>

#include "match.h"

static int reject_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
			struct bf_why *why)
{
	const struct ipt_reject_info *info = data;

	if (info->with == IPT_ICMP_ECHOREPLY)
		return bf_why(why, -EINVAL,
			      "REJECT: there is no such thing as an echo reply any more");
	if (info->with == IPT_TCP_RESET &&
	    (e->ip.proto != IPPROTO_TCP || e->ip.invflags & IPT_INV_PROTO))
		return bf_why(why, -EINVAL, "REJECT: a TCP reset is for TCP alone");
	return 0;
}

/* What is none of these the kernel drops without a word. */
static void reject_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	static const uint8_t codes[] = {
		[IPT_ICMP_NET_UNREACHABLE] = ICMP_NET_UNREACH,
		[IPT_ICMP_HOST_UNREACHABLE] = ICMP_HOST_UNREACH,
		[IPT_ICMP_PROT_UNREACHABLE] = ICMP_PROT_UNREACH,
		[IPT_ICMP_PORT_UNREACHABLE] = ICMP_PORT_UNREACH,
		[IPT_ICMP_NET_PROHIBITED] = ICMP_NET_ANO,
		[IPT_ICMP_HOST_PROHIBITED] = ICMP_HOST_ANO,
		[IPT_ICMP_ADMIN_PROHIBITED] = ICMP_PKT_FILTERED,
	};
	const struct ipt_reject_info *info = data;
	struct bf_effect effect;

	memset(&effect, 0, sizeof(effect));
	effect.kind = BF_EFFECT_RESET;
	if (info->with != IPT_TCP_RESET) {
		if (info->with >= ARRAY_SIZE(codes) || info->with == IPT_ICMP_ECHOREPLY)
			return;
		effect.kind = BF_EFFECT_UNREACHABLE;
		effect.code = codes[info->with];
	}
	bf_effect(r, &effect);
}

const struct bf_target bf_target_reject = {
	.name = "REJECT",
	.size = sizeof(struct ipt_reject_info),
	.options = "--reject-with, all types",
	.filter_only = true,
	.drops = true,
	.check = reject_check,
	.compile = reject_compile,
};
