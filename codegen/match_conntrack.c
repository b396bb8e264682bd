// SPDX-License-Identifier: GPL-2.0
/*
 * -m conntrack, as conntrack_mt() in xt_conntrack.c has it. Three revisions share one layout up
 * to the masks: 1 has them as bytes, 3 appends the ends of port ranges and keeps ports in host
 * byte order.
 */
#include <arpa/inet.h>
#include <linux/netfilter/xt_conntrack.h>

#include "match.h"

/* All states of which a packet has one. */
#define ALL_STATES                                                                                 \
	(XT_CONNTRACK_STATE_INVALID | XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED) |                  \
	 XT_CONNTRACK_STATE_BIT(IP_CT_RELATED) | XT_CONNTRACK_STATE_BIT(IP_CT_NEW) |               \
	 XT_CONNTRACK_STATE_UNTRACKED)

/*
 * Where the key may have more than one state, the rule possibly holds if one of them is asked for, and
 * certainly if all are. With one state that is the same, and what it always is.
 */
void bf_ct_state(struct bf_rule *r, uint32_t mask, bool invert)
{
	uint32_t asked = (invert ? ~mask : mask) & ALL_STATES;

	if (r->care == BF_CARE_NONE) {
		bf_eq(r, BF_CT_STATE, mask, 0, !invert, BF_TO_NEXT);
		return;
	}
	if (r->care != BF_CARE_MISS)
		bf_eq(r, BF_CT_STATE, asked, 0, true, BF_TO_NEXT);
	if (r->care != BF_CARE_HOLD)
		bf_eq(r, BF_CT_STATE, ALL_STATES & ~asked, 0, false,
		      r->care == BF_CARE_MISS ? BF_TO_NEXT : BF_TO_DROP);
}

/* What is the same in all revisions, with the masks widened. */
struct conntrack {
	const struct xt_conntrack_mtinfo3 *info; /* only up to invert_flags */
	uint16_t state_mask, status_mask;
	uint16_t low[4], high[4]; /* orig src, orig dst, repl src, repl dst */
};

static bool inverted(const struct conntrack *c, uint16_t flag)
{
	return c->info->invert_flags & flag;
}

static void compile_addresses(struct bf_rule *r, const struct conntrack *c)
{
	const struct xt_conntrack_mtinfo3 *info = c->info;
	const struct {
		uint16_t flag;
		enum bf_field field;
		const union nf_inet_addr *addr, *mask;
	} addresses[] = {
		{XT_CONNTRACK_ORIGSRC, BF_CT_ORIGSRC, &info->origsrc_addr, &info->origsrc_mask},
		{XT_CONNTRACK_ORIGDST, BF_CT_ORIGDST, &info->origdst_addr, &info->origdst_mask},
		{XT_CONNTRACK_REPLSRC, BF_CT_REPLSRC, &info->replsrc_addr, &info->replsrc_mask},
		{XT_CONNTRACK_REPLDST, BF_CT_REPLDST, &info->repldst_addr, &info->repldst_mask},
	};
	unsigned int i;

	/* Unlike in struct ipt_ip, address bits outside the mask are ignored. */
	for (i = 0; i < ARRAY_SIZE(addresses); i++)
		if (info->match_flags & addresses[i].flag)
			bf_eq(r, addresses[i].field, ntohl(addresses[i].mask->ip),
			      ntohl(addresses[i].addr->ip & addresses[i].mask->ip),
			      inverted(c, addresses[i].flag), BF_TO_NEXT);
}

static void compile_ports(struct bf_rule *r, const struct conntrack *c)
{
	static const uint16_t flags[] = {XT_CONNTRACK_ORIGSRC_PORT, XT_CONNTRACK_ORIGDST_PORT,
					 XT_CONNTRACK_REPLSRC_PORT, XT_CONNTRACK_REPLDST_PORT};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (c->info->match_flags & flags[i])
			bf_range(r, BF_CT_ORIGSRC_PORT + i, c->low[i], c->high[i],
				 inverted(c, flags[i]), BF_TO_NEXT);
}

/* All that needs a conntrack entry; the packet is known to have one. */
static void compile_entry(struct bf_rule *r, const struct conntrack *c)
{
	const struct xt_conntrack_mtinfo3 *info = c->info;

	if (info->match_flags & XT_CONNTRACK_DIRECTION)
		bf_eq(r, BF_CT_DIR, UINT32_MAX, 0, inverted(c, XT_CONNTRACK_DIRECTION), BF_TO_NEXT);
	compile_addresses(r, c);
	if (info->match_flags & XT_CONNTRACK_PROTO)
		bf_eq(r, BF_CT_PROTO, UINT32_MAX, info->l4proto, inverted(c, XT_CONNTRACK_PROTO),
		      BF_TO_NEXT);
	compile_ports(r, c);
	/* Any of the bits; NONE is an empty mask, which matches nothing. */
	if (info->match_flags & XT_CONNTRACK_STATUS)
		bf_eq(r, BF_CT_STATUS, c->status_mask, 0, !inverted(c, XT_CONNTRACK_STATUS),
		      BF_TO_NEXT);
	if (info->match_flags & XT_CONNTRACK_EXPIRES)
		bf_range(r, BF_CT_EXPIRES, info->expires_min, info->expires_max,
			 inverted(c, XT_CONNTRACK_EXPIRES), BF_TO_NEXT);
}

static void compile(struct bf_rule *r, const struct conntrack *c)
{
	const uint32_t no_entry = XT_CONNTRACK_STATE_INVALID | XT_CONNTRACK_STATE_UNTRACKED;
	bool state = c->info->match_flags & XT_CONNTRACK_STATE;
	int matched;

	/* Without an entry everything but the state is ignored if the state was asked for. */
	if (!state) {
		bf_eq(r, BF_CT_STATE, no_entry, 0, false, BF_TO_NEXT);
		compile_entry(r, c);
		return;
	}
	bf_ct_state(r, c->state_mask, inverted(c, XT_CONNTRACK_STATE));
	if (!(c->info->match_flags & ~(XT_CONNTRACK_STATE | XT_CONNTRACK_STATE_ALIAS)))
		return;
	matched = bf_label(r);
	bf_eq(r, BF_CT_STATE, no_entry, 0, false, matched);
	compile_entry(r, c);
	bf_label_here(r, matched);
}

static void conntrack_compile_1(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_conntrack_mtinfo1 *info = data;
	const uint16_t ports[4] = {ntohs(info->origsrc_port), ntohs(info->origdst_port),
				   ntohs(info->replsrc_port), ntohs(info->repldst_port)};
	struct conntrack c = {data, info->state_mask, info->status_mask, {}, {}};

	memcpy(c.low, ports, sizeof(ports));
	memcpy(c.high, ports, sizeof(ports));
	compile(r, &c);
}

static void conntrack_compile_2(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_conntrack_mtinfo2 *info = data;
	const uint16_t ports[4] = {ntohs(info->origsrc_port), ntohs(info->origdst_port),
				   ntohs(info->replsrc_port), ntohs(info->repldst_port)};
	struct conntrack c = {data, info->state_mask, info->status_mask, {}, {}};

	memcpy(c.low, ports, sizeof(ports));
	memcpy(c.high, ports, sizeof(ports));
	compile(r, &c);
}

static void conntrack_compile_3(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_conntrack_mtinfo3 *info = data;
	const struct conntrack c = {
		info,
		info->state_mask,
		info->status_mask,
		{info->origsrc_port, info->origdst_port, info->replsrc_port, info->repldst_port},
		{info->origsrc_port_high, info->origdst_port_high, info->replsrc_port_high,
		 info->repldst_port_high},
	};

	compile(r, &c);
}

/*
 * An entry is seen there only if there is one, and nat may have been at work: nothing but the state.
 */
static int place(uint16_t match_flags, uint16_t state_mask, enum bf_attach attach,
		 struct bf_why *why)
{
	const uint16_t nat = XT_CONNTRACK_STATE_SNAT | XT_CONNTRACK_STATE_DNAT;

	if (match_flags & ~(XT_CONNTRACK_STATE | XT_CONNTRACK_STATE_ALIAS) || state_mask & nat)
		return bf_not_placed(why, "conntrack", attach,
				     "but for --ctstate and the states other than SNAT and DNAT");
	return 0;
}

static int conntrack_place_1(const void *data, enum bf_attach attach, struct bf_why *why)
{
	const struct xt_conntrack_mtinfo1 *info = data;

	return place(info->match_flags, info->state_mask, attach, why);
}

/* Revision 3 is the same up to its masks. */
static int conntrack_place_2(const void *data, enum bf_attach attach, struct bf_why *why)
{
	const struct xt_conntrack_mtinfo2 *info = data;

	return place(info->match_flags, info->state_mask, attach, why);
}

const struct bf_match bf_match_conntrack_1 = {
	.name = "conntrack",
	.revision = 1,
	.size = sizeof(struct xt_conntrack_mtinfo1),
	.conntrack = true,
	.place = conntrack_place_1,
	.compile = conntrack_compile_1,
};

const struct bf_match bf_match_conntrack_2 = {
	.name = "conntrack",
	.revision = 2,
	.size = sizeof(struct xt_conntrack_mtinfo2),
	.conntrack = true,
	.place = conntrack_place_2,
	.compile = conntrack_compile_2,
};

const struct bf_match bf_match_conntrack_3 = {
	.name = "conntrack",
	.revision = 3,
	.size = sizeof(struct xt_conntrack_mtinfo3),
	.conntrack = true,
	.options = "--ctstate, --ctproto, --ctorigsrc, --ctorigdst, --ctreplsrc, --ctrepldst, "
		   "--ctorigsrcport, --ctorigdstport, --ctreplsrcport, --ctrepldstport, "
		   "--ctstatus, --ctexpire, all with !, --ctdir",
	.place = conntrack_place_2,
	.compile = conntrack_compile_3,
};
