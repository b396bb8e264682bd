// SPDX-License-Identifier: GPL-2.0
/*
 * -j TCPMSS, as xt_TCPMSS.c has it: the kernel's own target, which changes the packet, and drops some. So it is put to the kernel
 * where the rule is reached, as a question is, and rules that follow see the packet as long as it is then.
 */
#include <errno.h>
#include <linux/netfilter.h>
#include <linux/netfilter/xt_TCPMSS.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <linux/tcp.h>

#include "match.h"

#define TCP_SYN 0x02 /* byte 13 of the header */

/* Does a match of the rule ask for SYNs? */
static bool is_for_syns(const struct ipt_entry *e)
{
	uint32_t pos = sizeof(*e);

	while (pos < e->target_offset) {
		const struct xt_entry_match *m = (const void *)((const char *)e + pos);
		const struct xt_tcp *tcp = (const void *)m->data;

		if (!strcmp(m->u.user.name, "tcp") && tcp->flg_cmp & TCP_SYN &&
		    !(tcp->invflags & XT_TCP_INV_FLAGS))
			return true;
		pos += m->u.match_size;
	}
	return false;
}

static int tcpmss_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
			struct bf_why *why)
{
	const struct xt_tcpmss_info *info = data;

	if (info->mss == XT_TCPMSS_CLAMP_PMTU && hook_mask & 1 << NF_INET_LOCAL_IN)
		return bf_why(why, -EINVAL, "TCPMSS: the path is not known in INPUT");
	if (!is_for_syns(e))
		return bf_why(why, -EINVAL, "TCPMSS: the rule is not for SYNs");
	return 0;
}

/* Of its rule, newer kernels say so as well where nf_tables has it. */
static uint32_t tcpmss_hooks(const void *data)
{
	const struct xt_tcpmss_info *info = data;

	return info->mss == XT_TCPMSS_CLAMP_PMTU ? 1U << NF_INET_FORWARD | 1U << NF_INET_LOCAL_OUT
						 : 0;
}

static void tcpmss_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	bf_ask_for_target(r, e, data, true);
}

const struct bf_target bf_target_tcpmss = {
	.name = "TCPMSS",
	.size = sizeof(struct xt_tcpmss_info),
	.proto = IPPROTO_TCP,
	.asks = true,
	.options =
		"--set-mss, --clamp-mss-to-pmtu; at BPF netfilter links, without rules that look at TCP options",
	.check = tcpmss_check,
	.compile = tcpmss_compile,
	.hooks_of = tcpmss_hooks,
};
