// SPDX-License-Identifier: GPL-2.0
/*
 * -m multiport, as xt_multiport.c has it. Revision 0 left the kernel in 2.6.36: it is unknown
 * here as it is there.
 */
#include <errno.h>
#include <linux/netfilter/xt_multiport.h>
#include <netinet/in.h>

#include "match.h"

/* The two ports; multiport reads no further. */
#define PORTS 4

static bool has_ports(uint16_t proto)
{
	return proto == IPPROTO_TCP || proto == IPPROTO_UDP || proto == IPPROTO_UDPLITE ||
	       proto == IPPROTO_SCTP || proto == IPPROTO_DCCP;
}

/* Is every flagged port followed by the end of its range? */
static bool ranges_are_whole(const struct xt_multiport_v1 *mp)
{
	unsigned int i;

	for (i = 0; i < mp->count; i++) {
		if (!mp->pflags[i])
			continue;
		if (++i >= mp->count || mp->pflags[i] || mp->ports[i - 1] > mp->ports[i])
			return false;
	}
	return true;
}

static int multiport_check(const struct ipt_entry *e, const void *info, unsigned int hook_mask,
			   struct bf_why *why)
{
	const struct xt_multiport_v1 *mp = info;

	if (!has_ports(e->ip.proto) || (e->ip.invflags & XT_INV_PROTO))
		return bf_why(why, -EINVAL, "multiport: needs a protocol with ports, not inverted");
	if (mp->flags > XT_MULTIPORT_EITHER)
		return bf_why(why, -EINVAL, "multiport: unknown flags 0x%x", mp->flags);
	if (mp->count > XT_MULTI_PORTS)
		return bf_why(why, -EINVAL, "multiport: %u ports, at most %u", mp->count,
			      XT_MULTI_PORTS);
	/* Kernels before 2026 accept these and read past the list: let this one judge. */
	if (!ranges_are_whole(mp))
		return bf_why(why, BF_NOT_TRANSLATABLE, "multiport: a range without an end");
	return 0;
}

/* One port or range, over one side of the packet. */
struct span {
	enum bf_field field;
	uint16_t lo, hi;
};

/* The list as alternatives, each over one field. Returns how many; @spans has room for all. */
static unsigned int spans_of(const struct xt_multiport_v1 *mp, struct span *spans)
{
	unsigned int i, n = 0;

	for (i = 0; i < mp->count; i++) {
		uint16_t lo = mp->ports[i];
		uint16_t hi = mp->pflags[i] ? mp->ports[++i] : lo;

		if (mp->flags != XT_MULTIPORT_SOURCE)
			spans[n++] = (struct span){BF_DPORT, lo, hi};
		if (mp->flags != XT_MULTIPORT_DESTINATION)
			spans[n++] = (struct span){BF_SPORT, lo, hi};
	}
	return n;
}

static void multiport_compile(struct bf_rule *r, const struct ipt_entry *e, const void *info)
{
	const struct xt_multiport_v1 *mp = info;
	struct span spans[2 * XT_MULTI_PORTS];
	unsigned int i, n = spans_of(mp, spans);
	int hit;

	bf_need_header(r, PORTS);
	/* The kernel's result is a bool of "true ^ invert": 2 makes hits and misses match. */
	if (mp->invert > 1)
		return;
	if (mp->invert) {
		for (i = 0; i < n; i++)
			bf_range(r, spans[i].field, spans[i].lo, spans[i].hi, true, BF_TO_NEXT);
		return;
	}
	if (!n) {
		bf_never(r, BF_TO_NEXT);
		return;
	}
	hit = bf_label(r);
	for (i = 0; i < n - 1; i++)
		bf_range(r, spans[i].field, spans[i].lo, spans[i].hi, true, hit);
	bf_range(r, spans[i].field, spans[i].lo, spans[i].hi, false, BF_TO_NEXT);
	bf_label_here(r, hit);
}

const struct bf_match bf_match_multiport = {
	.name = "multiport",
	.revision = 1,
	.size = sizeof(struct xt_multiport_v1),
	.options = "--sports, --dports, --ports, with ranges, all with !",
	.check = multiport_check,
	.compile = multiport_compile,
};
