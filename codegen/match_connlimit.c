// SPDX-License-Identifier: GPL-2.0
/* -m connlimit, as xt_connlimit.c has it: the kernel counts connections, for each rule. */
#include <linux/in.h>
#include <linux/netfilter/xt_connlimit.h>
#include <linux/netfilter/xt_conntrack.h>

#include "match.h"

BF_ONLY_AT_HOOKS(connlimit, "only the kernel's own match can count connections")

/* Unless the packet is for that protocol and shorter than that behind the IP header: then it is dropped. */
static void need_bytes(struct bf_rule *r, uint8_t proto, uint32_t bytes)
{
	int other = bf_label(r);

	bf_eq(r, BF_PROTO, UINT32_MAX, proto, false, other);
	bf_range(r, BF_L4LEN, bytes, UINT32_MAX, false, BF_TO_DROP);
	bf_label_here(r, other);
}

/*
 * The kernel drops a packet that is of no connection and cannot be of one: a later fragment, one too short for its
 * protocol. Behind netfilter links that would be before the rules in front have counted it.
 */
static void connlimit_compile(struct bf_rule *r, const struct ipt_entry *e, const void *info)
{
	int connected = bf_label(r);

	bf_eq(r, BF_CT_STATE, XT_CONNTRACK_STATE_INVALID | XT_CONNTRACK_STATE_UNTRACKED, 0, true,
	      connected);
	bf_eq(r, BF_FRAGOFF, UINT32_MAX, 0, false, BF_TO_DROP);
	need_bytes(r, IPPROTO_TCP, 4);
	need_bytes(r, IPPROTO_UDP, 4);
	need_bytes(r, IPPROTO_ICMP, 8);
	bf_label_here(r, connected);
	bf_ask_compile(r, e, info);
}

const struct bf_match bf_match_connlimit = {
	.name = "connlimit",
	.revision = 1,
	.size = sizeof(struct xt_connlimit_info),
	.usersize = offsetof(struct xt_connlimit_info, data),
	.options = "all",
	.conntrack = true,
	.asks = true,
	.place = connlimit_place,
	.compile = connlimit_compile,
};
