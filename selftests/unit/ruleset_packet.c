// SPDX-License-Identifier: GPL-2.0
/* Packets that get to the rules of a ruleset: each is made from the rules on its way. */
#include "ruleset.h"

#include <string.h>

#define PICK(d, array) ((array)[roll(d, ARRAY_SIZE(array))])

static void random_name(struct dice *d, char *name)
{
	memset(name, 0, IFNAMSIZ);
	strcpy(name, rule_interfaces[roll(d, rule_nr_interfaces)]);
}

/* What the kernel leaves behind a name when the interface had a longer one before. */
static void leave_former_name(struct dice *d, char *name)
{
	size_t i;

	if (!*name || chance(d, 80))
		return;
	for (i = strlen(name) + 1; i < IFNAMSIZ; i++)
		name[i] = chance(d, 20) ? 0 : 'a' + roll(d, 26);
}

static void random_fields(struct dice *d, const struct ruleset *s, struct bpfilter_packet *p)
{
	const struct values *v = &s->values;
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_TCP,  IPPROTO_TCP,  IPPROTO_UDP,
					    IPPROTO_UDP, IPPROTO_ICMP, IPPROTO_SCTP, 255};
	unsigned int i;

	memset(p, 0, sizeof(*p));
	p->saddr = PICK(d, v->networks) ^ roll(d, 300);
	p->daddr = PICK(d, v->networks) ^ roll(d, 300) << roll(d, 24);
	p->protocol = PICK(d, protocols);
	p->l4len = 20 + roll(d, 60000);
	p->mark = chance(d, 60) ? 0 : roll(d, 8) | roll(d, 4) * 0x10000;
	p->sport = chance(d, 30) ? PICK(d, v->ports) : roll(d, 65536);
	p->dport = chance(d, 50) ? PICK(d, v->ports) : roll(d, 65536);
	p->tcp_flags = PICK(d, ((uint8_t[]){0x02, 0x10, 0x10, 0x18, 0x12, 0x11, 0x04, 0xff, 0}));
	random_name(d, p->in);
	random_name(d, p->out);
	p->ct_state = chance(d, 80) ? 1U << (1 + roll(d, 3)) : 1U << roll(d, 8);
	if (chance(d, 10))
		p->ct_state |= XT_CONNTRACK_STATE_DNAT;
	for (i = 0; i < 6; i++)
		p->addr_type[i / 3][i % 3] = 1 + roll(d, 5);
}

/* All that there is of a connection, where a rule looks at it. */
static void random_connection(struct dice *d, struct bpfilter_packet *p)
{
	p->ct_status = roll(d, 1 << 10);
	p->ct_dir = roll(d, 2);
	p->ct_protocol = p->protocol;
	p->ct_orig_saddr = p->ct_repl_daddr = p->saddr;
	p->ct_orig_daddr = p->ct_repl_saddr = p->daddr;
	p->ct_orig_sport = p->ct_repl_dport = p->sport;
	p->ct_orig_dport = p->ct_repl_sport = p->dport;
	p->ct_expires = roll(d, 7);
}

/* An address of the prefix, or not of it. */
static uint32_t meet_prefix(struct dice *d, uint32_t now, struct in_addr addr, struct in_addr mask,
			    bool invert)
{
	uint32_t m = ntohl(mask.s_addr), a = ntohl(addr.s_addr);

	if (!m)
		return now;
	if (!invert)
		return a | (now & ~m);
	return (now & m) == a ? now ^ (m & -m) << roll(d, 2) : now;
}

static uint32_t meet_range(struct dice *d, uint32_t now, uint32_t lo, uint32_t hi, bool invert)
{
	if (lo > hi || (!lo && hi == 65535))
		return now;
	if (invert)
		return chance(d, 50) ? (lo - 1) & 0xffff : (hi + 1) & 0xffff;
	switch (roll(d, 4)) {
	case 0:
		return lo;
	case 1:
		return hi;
	default:
		return lo + roll(d, hi - lo + 1);
	}
}

static void meet_interface(struct dice *d, char *now, const char *name, const unsigned char *mask,
			   bool invert)
{
	size_t len = strnlen(name, IFNAMSIZ);

	if (!mask[0])
		return;
	if (invert) {
		random_name(d, now);
		return;
	}
	memset(now, 0, IFNAMSIZ);
	memcpy(now, name, len);
	/* Without the NUL in its mask it is a beginning. */
	if (len < IFNAMSIZ - 2 && !mask[len] && chance(d, 70)) {
		now[len] = 'a' + roll(d, 26);
		if (chance(d, 50))
			now[len + 1] = '0' + roll(d, 10);
	}
}

static void meet_multiport(struct dice *d, const struct xt_multiport_v1 *mp,
			   struct bpfilter_packet *p)
{
	uint32_t i = roll(d, mp->count), port;

	if (i && mp->pflags[i - 1])
		i--;
	port = mp->ports[i];
	if (mp->pflags[i])
		port = meet_range(d, port, mp->ports[i], mp->ports[i + 1], false);
	if (mp->invert)
		port = (port + 1) & 0xffff;
	if (mp->flags != XT_MULTIPORT_DESTINATION && chance(d, 70))
		p->sport = port;
	else
		p->dport = port;
}

static void meet_protocol(struct dice *d, const struct rule *r, struct bpfilter_packet *p)
{
	if (r->ip.proto && !(r->ip.invflags & IPT_INV_PROTO))
		p->protocol = r->ip.proto;
	else if (r->ip.proto == p->protocol)
		p->protocol = 1 + roll(d, 20);
	if (r->matches & RULE_TCP) {
		p->sport = meet_range(d, p->sport, r->tcp.spts[0], r->tcp.spts[1],
				      r->tcp.invflags & XT_TCP_INV_SRCPT);
		p->dport = meet_range(d, p->dport, r->tcp.dpts[0], r->tcp.dpts[1],
				      r->tcp.invflags & XT_TCP_INV_DSTPT);
		p->tcp_flags = (p->tcp_flags & ~r->tcp.flg_mask) | r->tcp.flg_cmp;
		if (r->tcp.invflags & XT_TCP_INV_FLAGS)
			p->tcp_flags ^= r->tcp.flg_mask & -r->tcp.flg_mask;
	}
	if (r->matches & RULE_UDP) {
		p->sport = meet_range(d, p->sport, r->udp.spts[0], r->udp.spts[1],
				      r->udp.invflags & XT_UDP_INV_SRCPT);
		p->dport = meet_range(d, p->dport, r->udp.dpts[0], r->udp.dpts[1],
				      r->udp.invflags & XT_UDP_INV_DSTPT);
	}
	/* The type and code lie where others have their source port. */
	if (r->matches & RULE_ICMP && r->icmp.type != 255)
		p->sport = r->icmp.type << 8 |
			   (uint8_t)(r->icmp.code[0] + (r->icmp.invflags ? -1 : (int)roll(d, 2)));
	if (r->matches & RULE_MULTIPORT)
		meet_multiport(d, &r->multiport, p);
}

static void meet_connection(struct dice *d, const struct xt_conntrack_mtinfo3 *ct,
			    struct bpfilter_packet *p)
{
	if (ct->match_flags & XT_CONNTRACK_STATE && !(ct->invert_flags & XT_CONNTRACK_STATE))
		p->ct_state = chance(d, 70) ? ct->state_mask & -ct->state_mask : ct->state_mask;
	if (!(ct->match_flags & ~XT_CONNTRACK_STATE))
		return;
	random_connection(d, p);
	p->ct_protocol = ct->l4proto;
	p->ct_status |= ct->status_mask;
	p->ct_orig_saddr =
		meet_prefix(d, p->ct_orig_saddr, ct->origsrc_addr.in, ct->origsrc_mask.in, false);
	p->ct_orig_daddr =
		meet_prefix(d, p->ct_orig_daddr, ct->origdst_addr.in, ct->origdst_mask.in, false);
	p->ct_repl_saddr =
		meet_prefix(d, p->ct_repl_saddr, ct->replsrc_addr.in, ct->replsrc_mask.in, false);
	p->ct_repl_daddr =
		meet_prefix(d, p->ct_repl_daddr, ct->repldst_addr.in, ct->repldst_mask.in, false);
	p->ct_orig_sport =
		meet_range(d, p->ct_orig_sport, ct->origsrc_port, ct->origsrc_port_high, false);
	p->ct_orig_dport =
		meet_range(d, p->ct_orig_dport, ct->origdst_port, ct->origdst_port_high, false);
	p->ct_repl_sport =
		meet_range(d, p->ct_repl_sport, ct->replsrc_port, ct->replsrc_port_high, false);
	p->ct_repl_dport =
		meet_range(d, p->ct_repl_dport, ct->repldst_port, ct->repldst_port_high, false);
}

/* What the rule asks for; where it asks for nothing all stays as it is. */
static void meet(struct dice *d, const struct rule *r, struct bpfilter_packet *p)
{
	const struct ipt_ip *ip = &r->ip;

	p->saddr = meet_prefix(d, p->saddr, ip->src, ip->smsk, ip->invflags & IPT_INV_SRCIP);
	p->daddr = meet_prefix(d, p->daddr, ip->dst, ip->dmsk, ip->invflags & IPT_INV_DSTIP);
	meet_interface(d, p->in, ip->iniface, ip->iniface_mask, ip->invflags & IPT_INV_VIA_IN);
	meet_interface(d, p->out, ip->outiface, ip->outiface_mask, ip->invflags & IPT_INV_VIA_OUT);
	if (ip->proto)
		meet_protocol(d, r, p);
	if (ip->flags & IPT_F_FRAG)
		p->fragoff = ip->invflags & IPT_INV_FRAG ? 0 : 2 + roll(d, 0x1ffe);
	if (r->matches & RULE_MATCH_MARK)
		p->mark = ((p->mark & ~r->mark.mask) | r->mark.mark) ^ r->mark.invert;
	if (r->matches & RULE_CONNTRACK)
		meet_connection(d, &r->conntrack, p);
	if (r->matches & RULE_ADDRTYPE) {
		if (r->addrtype.source)
			p->addr_type[0][0] = __builtin_ctz(r->addrtype.source);
		if (r->addrtype.dest)
			p->addr_type[1][0] = __builtin_ctz(r->addrtype.dest);
	}
}

/* One thing is other than the rules would have it. */
static void disturb(struct dice *d, const struct ruleset *s, struct bpfilter_packet *p)
{
	static const uint8_t lengths[] = {0, 1, 3, 4, 7, 8, 12, 19, 20, 21};
	static const uint16_t fragments[] = {1, 1, 2, 0x1fff};

	switch (roll(d, 16)) {
	case 0:
		p->saddr += chance(d, 50) ? 1 : -1;
		break;
	case 1:
		p->daddr += chance(d, 50) ? 1 : -1;
		break;
	case 2:
		p->saddr ^= 1U << roll(d, 32);
		break;
	case 3:
		p->daddr ^= 1U << roll(d, 32);
		break;
	case 4:
		p->sport = (p->sport + (chance(d, 50) ? 1 : -1)) & 0xffff;
		break;
	case 5:
		p->dport = (p->dport + (chance(d, 50) ? 1 : -1)) & 0xffff;
		break;
	case 6:
		p->dport = PICK(d, s->values.ports);
		break;
	case 7:
		p->protocol = chance(d, 50) ? IPPROTO_TCP : roll(d, 256);
		break;
	case 8:
		p->tcp_flags = roll(d, 256);
		break;
	case 9:
		p->fragoff = PICK(d, fragments);
		break;
	case 10:
	case 11:
		p->l4len = PICK(d, lengths);
		break;
	case 12:
		random_name(d, p->in);
		break;
	case 13:
		random_name(d, p->out);
		break;
	case 14:
		p->mark ^= 1U << roll(d, 32);
		break;
	default:
		p->ct_state = 1U << roll(d, 8);
	}
}

/* What no packet can have is taken away, and what follows from the rest is filled in. */
static void make_possible(struct dice *d, struct bpfilter_packet *p)
{
	const uint32_t no_entry = XT_CONNTRACK_STATE_INVALID | XT_CONNTRACK_STATE_UNTRACKED;

	p->len = p->l4len + 20 + (chance(d, 80) ? 0 : 4 * roll(d, 11));
	if (p->fragoff || p->l4len < 4)
		p->sport = p->dport = 0;
	p->icmp = p->fragoff || p->l4len < 8 ? 0 : p->sport;
	if (p->fragoff || p->l4len < 20)
		p->tcp_flags = 0;
	if (p->hook == NF_INET_LOCAL_OUT)
		memset(p->in, 0, IFNAMSIZ);
	if (p->hook == NF_INET_LOCAL_IN)
		memset(p->out, 0, IFNAMSIZ);
	leave_former_name(d, p->in);
	leave_former_name(d, p->out);
	if (p->ct_state & no_entry) {
		p->ct_state &= -p->ct_state;
		memset(&p->ct_status, 0,
		       offsetof(struct bpfilter_packet, thoff) -
			       offsetof(struct bpfilter_packet, ct_status));
	}
}

static uint32_t chain_of(const struct ruleset *s, uint32_t rule)
{
	uint32_t i;

	for (i = s->nr_chains - 1; i && s->chains[i].first > rule; i--)
		;
	return i;
}

/* Meet some rule, and those that lead to its chain. Returns the hook's chain. */
static uint32_t take_aim(struct dice *d, const struct ruleset *s, struct bpfilter_packet *p)
{
	uint32_t way[RULESET_CHAINS + 1], n = 0, rule = roll(d, s->nr_rules), chain;

	for (;;) {
		const struct chain *c;

		way[n++] = rule;
		chain = chain_of(s, rule);
		c = &s->chains[chain];
		if (!c->nr_callers || (chain < 3 && chance(d, 90)) || n > RULESET_CHAINS)
			break;
		rule = c->callers[roll(d, c->nr_callers)];
		/* Jumps within a chain lead to where it was already. */
		if (chain_of(s, rule) == chain)
			break;
	}
	while (n--)
		meet(d, &s->rules[way[n]], p);
	return chain;
}

void ruleset_packet(struct dice *d, const struct ruleset *s, struct bpfilter_packet *p)
{
	uint32_t chain = RULESET_CHAINS;

	random_fields(d, s, p);
	if (s->nr_rules && chance(d, 90))
		chain = take_aim(d, s, p);
	while (chance(d, 25))
		disturb(d, s, p);
	p->hook = NF_INET_LOCAL_IN + (chain < 3 ? chain : roll(d, 3));
	make_possible(d, p);
}
