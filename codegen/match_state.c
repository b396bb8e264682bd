// SPDX-License-Identifier: GPL-2.0
/*
 * -m state, as xt_state.c has it. iptables sends "-m state" as "-m conntrack" revision 2 or 3
 * where the kernel has that; older ones, and clones of them, send this.
 */
#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_state.h>

#include "match.h"

/* The bits that mean the same in both matches: INVALID, ESTABLISHED, RELATED, NEW. */
#define COMMON_BITS 0xf

static void state_compile(struct bf_rule *r, const struct ipt_entry *e, const void *info)
{
	const struct xt_state_info *state = info;
	uint32_t mask = state->statemask & COMMON_BITS;

	/* The bit for UNTRACKED here is the bit for SNAT there. */
	if (state->statemask & XT_STATE_UNTRACKED)
		mask |= XT_CONNTRACK_STATE_UNTRACKED;
	bf_ct_state(r, mask, false);
}

const struct bf_match bf_match_state = {
	.name = "state",
	.size = sizeof(struct xt_state_info),
	.conntrack = true,
	.options = "--state, with !",
	.compile = state_compile,
};
