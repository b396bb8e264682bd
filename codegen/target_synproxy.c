// SPDX-License-Identifier: GPL-2.0
/*
 * -j SYNPROXY, as ipt_SYNPROXY.c has it: the kernel's own target, which takes the packet, drops it, or lets it go on. So it is put
 * to the kernel where the rule is reached, as a question is.
 */
#include <linux/netfilter.h>
#include <linux/netfilter/xt_SYNPROXY.h>

#include "match.h"

static void synproxy_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	bf_ask_for_target(r, e, data, false);
}

const struct bf_target bf_target_synproxy = {
	.name = "SYNPROXY",
	.size = sizeof(struct xt_synproxy_info),
	.proto = IPPROTO_TCP,
	.hooks = 1 << NF_INET_LOCAL_IN | 1 << NF_INET_FORWARD,
	.conntrack = true,
	.asks = true,
	.options = "--sack-perm, --timestamp, --ecn, --wscale, --mss; at BPF netfilter links",
	.compile = synproxy_compile,
};
