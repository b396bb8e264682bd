// SPDX-License-Identifier: GPL-2.0
/* -m mac, as xt_mac.c has it. */
#include <errno.h>
#include <linux/netfilter/xt_mac.h>

#include "match.h"

static int mac_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
		     struct bf_why *why)
{
	if (hook_mask &
	    ~(1U << NF_INET_PRE_ROUTING | 1U << NF_INET_LOCAL_IN | 1U << NF_INET_FORWARD))
		return bf_why(why, -EINVAL, "mac: only in INPUT and FORWARD");
	return 0;
}

static void mac_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_mac_info *info = data;
	const unsigned char *a = info->srcaddr;
	uint32_t first = (uint32_t)a[0] << 24 | a[1] << 16 | a[2] << 8 | a[3];
	uint32_t last = (uint32_t)a[4] << 24 | a[5] << 16 | BF_MAC_VALID;
	int differs;

	/* Without an Ethernet header there is no match, inverted or not. */
	if (info->invert == 0) {
		bf_eq(r, BF_MAC + 1, UINT32_MAX, last, false, BF_TO_NEXT);
		bf_eq(r, BF_MAC, UINT32_MAX, first, false, BF_TO_NEXT);
		return;
	}
	bf_eq(r, BF_MAC + 1, BF_MAC_VALID, BF_MAC_VALID, false, BF_TO_NEXT);
	/* The kernel's result is a bool of "equal ^ invert": 2 makes it true either way. */
	if (info->invert != 1)
		return;
	differs = bf_label(r);
	bf_eq(r, BF_MAC + 1, UINT32_MAX, last, false, differs);
	bf_eq(r, BF_MAC, UINT32_MAX, first, true, BF_TO_NEXT);
	bf_label_here(r, differs);
}

BF_ONLY_AT_HOOKS(mac, "the frame is not read there")

const struct bf_match bf_match_mac = {
	.name = "mac",
	.size = sizeof(struct xt_mac_info),
	.options = "--mac-source, with !",
	.check = mac_check,
	.place = mac_place,
	.compile = mac_compile,
};
