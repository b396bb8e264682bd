// SPDX-License-Identifier: GPL-2.0
#include "rule.h"

#include <stdlib.h>
#include <string.h>

#define PICK(d, array) ((array)[roll(d, ARRAY_SIZE(array))])

const char *const rule_interfaces[] = {
	"lo",	     "eth0",	 "eth1",      "eth12",		 "eth123", "wg0",
	"veth0a1b2", "veth0a3",	 "cali1f",    "averylongname15", "br-5c",  "br-",
	"e",	     "veth0a1b", "veth0a1b3", "veth0a1bcdef012"};
const unsigned int rule_nr_interfaces = ARRAY_SIZE(rule_interfaces);

void values_make(struct dice *d, struct values *v)
{
	static const uint16_t usual[] = {0, 1, 22, 53, 80, 443, 1023, 1024, 32767, 32768, 65535};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v->networks); i++)
		v->networks[i] = roll(d, UINT32_MAX);
	/* Neighbours, of which one has the highest bit, and the ends. */
	v->networks[1] = v->networks[0] ^ 1U << (8 + roll(d, 24));
	if (chance(d, 20))
		v->networks[2] = chance(d, 50) ? 0 : UINT32_MAX;
	for (i = 0; i < ARRAY_SIZE(v->ports); i++)
		v->ports[i] = chance(d, 50) ? PICK(d, usual) : roll(d, 65536);
	v->ports[1] = v->ports[0] + 1;
}

static uint32_t random_host(struct dice *d, const struct values *v)
{
	uint32_t net = PICK(d, v->networks);

	switch (roll(d, 4)) {
	case 0:
		return (net & 0xffffff00) | roll(d, 256);
	case 1:
		return (net & 0xffff0000) | roll(d, 8) << 8 | roll(d, 16) * 17;
	case 2:
		return (net & 0xff000000) | roll(d, 1 << 24);
	default:
		return net ^ 1U << roll(d, 32);
	}
}

static void set_prefix(struct dice *d, uint32_t host, unsigned int len, struct in_addr *addr,
		       struct in_addr *mask)
{
	uint32_t m = len ? UINT32_MAX << (32 - len) : 0;

	if (chance(d, 1))
		m = PICK(d, ((uint32_t[]){0xff00ff00, 0x000000ff, 0x80000001}));
	mask->s_addr = htonl(m);
	/* Bits that no address can have: the rule never matches. */
	addr->s_addr = htonl(chance(d, 1) ? host : host & m);
}

static void random_prefix(struct dice *d, const struct values *v, struct in_addr *addr,
			  struct in_addr *mask)
{
	static const uint8_t lengths[] = {0,  1,  8,  12, 16, 16, 20, 22, 24,
					  24, 24, 27, 28, 30, 31, 32, 32, 32};

	set_prefix(d, random_host(d, v), PICK(d, lengths), addr, mask);
}

static void random_ports(struct dice *d, const struct values *v, uint16_t *range)
{
	uint16_t a = PICK(d, v->ports), b = PICK(d, v->ports);

	switch (roll(d, 8)) {
	case 0:
	case 1:
		range[0] = 0, range[1] = 65535;
		break;
	case 2:
		range[0] = a < b ? a : b, range[1] = a < b ? b : a;
		break;
	case 3:
		range[0] = a, range[1] = a < 65000 ? a + roll(d, 10) : 65535;
		break;
	case 4:
		range[0] = a, range[1] = b; /* may be empty */
		break;
	default:
		range[0] = range[1] = chance(d, 50) ? a : roll(d, 65536);
	}
}

static void add_tcp(struct dice *d, const struct values *v, const struct kind *k, struct rule *r)
{
	static const uint8_t masks[] = {0, 0, 0, 0x02, 0x17, 0x3f, 0xff};

	r->ip.proto = IPPROTO_TCP;
	r->matches |= RULE_TCP;
	r->tcp = (struct xt_tcp){.spts = {0, 65535}, .dpts = {0, 65535}};
	if (chance(d, 20))
		random_ports(d, v, r->tcp.spts);
	if (k->style != STYLE_FLAGS)
		random_ports(d, v, r->tcp.dpts);
	r->tcp.flg_mask = chance(d, k->style == STYLE_FLAGS ? 100 : 10) ? PICK(d, masks) : 0;
	r->tcp.flg_cmp = roll(d, 256) & (chance(d, 98) ? r->tcp.flg_mask : 0xff);
	if (chance(d, k->invert))
		r->tcp.invflags = roll(d, XT_TCP_INV_MASK + 1) & ~XT_TCP_INV_OPTION;
	if (chance(d, 3)) {
		r->tcp.option = roll(d, 5) + 1;
		r->tcp.invflags |= chance(d, 50) ? XT_TCP_INV_OPTION : 0;
	}
}

static void add_udp(struct dice *d, const struct values *v, const struct kind *k, struct rule *r)
{
	r->ip.proto = IPPROTO_UDP;
	r->matches |= RULE_UDP;
	r->udp = (struct xt_udp){.spts = {0, 65535}};
	if (chance(d, 20))
		random_ports(d, v, r->udp.spts);
	random_ports(d, v, r->udp.dpts);
	if (chance(d, k->invert))
		r->udp.invflags = roll(d, XT_UDP_INV_MASK + 1);
}

static void add_icmp(struct dice *d, const struct kind *k, struct rule *r)
{
	static const uint8_t types[] = {0, 3, 8, 11, 255};
	uint8_t low = roll(d, 4);

	r->ip.proto = IPPROTO_ICMP;
	r->matches |= RULE_ICMP;
	r->icmp.type = PICK(d, types);
	r->icmp.code[0] = chance(d, 50) ? 0 : low;
	r->icmp.code[1] = chance(d, 50) ? 255 : low + roll(d, 3);
	r->icmp.invflags = chance(d, k->invert);
}

static void add_multiport(struct dice *d, const struct values *v, const struct kind *k,
			  struct rule *r)
{
	static const uint8_t protocols[] = {IPPROTO_TCP, IPPROTO_UDP, IPPROTO_SCTP};
	unsigned int i;

	r->ip.proto = PICK(d, protocols);
	r->matches |= RULE_MULTIPORT;
	r->multiport.flags = roll(d, 3);
	r->multiport.count = 1 + roll(d, chance(d, 20) ? XT_MULTI_PORTS : 4);
	r->multiport.invert = chance(d, k->invert);
	for (i = 0; i < r->multiport.count; i++) {
		r->multiport.ports[i] = PICK(d, v->ports);
		if (i && (i < 2 || !r->multiport.pflags[i - 2]) && chance(d, 30) &&
		    r->multiport.ports[i - 1] < r->multiport.ports[i])
			r->multiport.pflags[i - 1] = 1;
	}
}

static void add_protocol(struct dice *d, const struct values *v, const struct kind *k,
			 struct rule *r)
{
	unsigned int kind = roll(d, 100);

	if (kind < 40) {
		add_tcp(d, v, k, r);
	} else if (kind < 60) {
		add_udp(d, v, k, r);
	} else if (kind < 70) {
		add_icmp(d, k, r);
	} else if (kind < 80) {
		add_multiport(d, v, k, r);
	} else if (kind < 95) {
		r->ip.proto = PICK(d, ((uint8_t[]){1, 6, 17, 47, 50, 132, 255}));
		if (chance(d, k->invert))
			r->ip.invflags |= IPT_INV_PROTO;
	}
}

void rule_add_interface(struct dice *d, char *name, unsigned char *mask)
{
	const char *n = rule_interfaces[roll(d, rule_nr_interfaces)];
	size_t len = strlen(n);

	strcpy(name, n);
	/* Whole, or "+": without the NUL, and perhaps shorter. */
	if (chance(d, 60)) {
		memset(mask, 0xff, len + 1);
		return;
	}
	len -= len > 1 ? roll(d, len - 1) : 0;
	memset(name + len, 0, IFNAMSIZ - len);
	memset(mask, 0xff, len);
}

static void add_mark(struct dice *d, const struct kind *k, struct rule *r)
{
	static const uint32_t masks[] = {UINT32_MAX, UINT32_MAX, 7, 0xff, 0x10, 0xffff0000, 0};

	r->matches |= RULE_MATCH_MARK;
	r->mark.mask = PICK(d, masks);
	r->mark.mark = roll(d, 8) | roll(d, 4) * 0x10000;
	if (chance(d, 95))
		r->mark.mark &= r->mark.mask;
	r->mark.invert = chance(d, k->invert);
}

static void add_conntrack(struct dice *d, const struct values *v, const struct kind *k,
			  struct rule *r)
{
	struct xt_conntrack_mtinfo3 *ct = &r->conntrack;
	uint16_t ports[2];

	r->matches |= RULE_CONNTRACK;
	ct->match_flags = XT_CONNTRACK_STATE;
	ct->state_mask = 1 << roll(d, 8) | 1 << roll(d, 8);
	if (chance(d, 30))
		ct->match_flags = (chance(d, 50) ? XT_CONNTRACK_STATE : 0) | 1 << (1 + roll(d, 12));
	ct->l4proto = chance(d, 50) ? IPPROTO_TCP : IPPROTO_UDP;
	ct->status_mask = 1 << roll(d, 10);
	ct->expires_min = roll(d, 3);
	ct->expires_max = roll(d, 6);
	random_prefix(d, v, &ct->origsrc_addr.in, &ct->origsrc_mask.in);
	random_prefix(d, v, &ct->origdst_addr.in, &ct->origdst_mask.in);
	random_prefix(d, v, &ct->replsrc_addr.in, &ct->replsrc_mask.in);
	random_prefix(d, v, &ct->repldst_addr.in, &ct->repldst_mask.in);
	random_ports(d, v, ports);
	ct->origsrc_port = ct->replsrc_port = ports[0];
	ct->origsrc_port_high = ct->replsrc_port_high = ports[1];
	random_ports(d, v, ports);
	ct->origdst_port = ct->repldst_port = ports[0];
	ct->origdst_port_high = ct->repldst_port_high = ports[1];
	if (chance(d, k->invert))
		ct->invert_flags = roll(d, 0x2000);
}

/* One that is soon at its end, and gets nothing back within a test: one packet a minute. */
static void add_limit(struct dice *d, struct values *v, struct rule *r)
{
	if (v->limits == RULE_LIMITS)
		return;
	v->limits++;
	r->matches |= RULE_LIMIT;
	r->limit.avg = 60 * XT_LIMIT_SCALE;
	r->limit.burst = PICK(d, ((uint32_t[]){1, 5, 50, 500}));
	r->limit_first = chance(d, 30);
}

static void add_addrtype(struct dice *d, const struct kind *k, struct rule *r)
{
	r->matches |= RULE_ADDRTYPE;
	if (chance(d, 60))
		r->addrtype.source = 1 << roll(d, 8) | 1 << roll(d, 8);
	if (chance(d, 60))
		r->addrtype.dest = 1 << roll(d, 8) | 1 << roll(d, 8);
	if (chance(d, k->invert))
		r->addrtype.flags = roll(d, 4);
}

/* In here and out anywhere else, or the other way. */
static void add_other_interface(struct dice *d, struct rule *r)
{
	const char *name = rule_interfaces[roll(d, rule_nr_interfaces)];
	struct ipt_ip *ip = &r->ip;

	memset(ip->iniface, 0, sizeof(ip->iniface));
	memset(ip->outiface, 0, sizeof(ip->outiface));
	memset(ip->iniface_mask, 0, sizeof(ip->iniface_mask));
	memset(ip->outiface_mask, 0, sizeof(ip->outiface_mask));
	strcpy(ip->iniface, name);
	strcpy(ip->outiface, name);
	memset(ip->iniface_mask, 0xff, strlen(name) + 1);
	memset(ip->outiface_mask, 0xff, strlen(name) + 1);
	ip->invflags &= ~(IPT_INV_VIA_IN | IPT_INV_VIA_OUT);
	ip->invflags |= chance(d, 80) ? IPT_INV_VIA_OUT : IPT_INV_VIA_IN;
}

/* What a rule of any style may have besides. */
static void add_others(struct dice *d, struct values *v, const struct kind *k, struct rule *r)
{
	switch (roll(d, 10)) {
	case 0:
		r->ip.flags |= IPT_F_FRAG;
		if (chance(d, k->invert))
			r->ip.invflags |= IPT_INV_FRAG;
		break;
	case 1:
		add_conntrack(d, v, k, r);
		break;
	case 2:
		add_limit(d, v, r);
		break;
	case 3:
		add_addrtype(d, k, r);
		break;
	case 4:
		add_mark(d, k, r);
		break;
	case 5:
		if (!*r->ip.iniface)
			rule_add_interface(d, r->ip.iniface, r->ip.iniface_mask);
		break;
	case 6:
		if (!*r->ip.outiface)
			rule_add_interface(d, r->ip.outiface, r->ip.outiface_mask);
		break;
	case 7:
		if (!r->ip.proto)
			add_protocol(d, v, k, r);
		break;
	case 8:
		add_other_interface(d, r);
		break;
	default:
		r->ip.invflags ^= 1 << roll(d, 6) & ~(IPT_INV_TOS | IPT_INV_PROTO | IPT_INV_FRAG);
	}
}

static void add_addresses(struct dice *d, const struct values *v, const struct kind *k,
			  struct rule *r)
{
	random_prefix(d, v, &r->ip.src, &r->ip.smsk);
	random_prefix(d, v, &r->ip.dst, &r->ip.dmsk);
	if (chance(d, k->invert))
		r->ip.invflags |= IPT_INV_SRCIP;
	if (chance(d, k->invert))
		r->ip.invflags |= IPT_INV_DSTIP;
}

/* Each address wide or narrow, and ranges of ports across each other: more than one tree is best. */
static void add_spread(struct dice *d, const struct values *v, const struct kind *k, struct rule *r)
{
	uint16_t *ports = r->tcp.dpts;

	set_prefix(d, roll(d, UINT32_MAX), chance(d, 50) ? roll(d, 9) : 20 + roll(d, 13),
		   &r->ip.src, &r->ip.smsk);
	set_prefix(d, roll(d, UINT32_MAX), chance(d, 50) ? roll(d, 9) : 20 + roll(d, 13),
		   &r->ip.dst, &r->ip.dmsk);
	if (chance(d, k->invert))
		r->ip.invflags |= chance(d, 50) ? IPT_INV_SRCIP : IPT_INV_DSTIP;
	if (chance(d, 30)) {
		add_protocol(d, v, k, r);
		return;
	}
	if (chance(d, 70)) {
		add_tcp(d, v, k, r);
	} else {
		add_udp(d, v, k, r);
		ports = r->udp.dpts;
	}
	if (chance(d, 60)) {
		ports[0] = roll(d, 60000);
		ports[1] = ports[0] + roll(d, 5000);
	}
}

void rule_make(struct dice *d, struct values *v, const struct kind *k, struct rule *r, uint32_t n,
	       uint32_t of)
{
	enum style style = k->style == STYLE_MIXED ? roll(d, STYLE_MIXED) : k->style;

	switch (style) {
	case STYLE_BLOCK:
		set_prefix(d, random_host(d, v), chance(d, 70) ? 32 : 24, &r->ip.src, &r->ip.smsk);
		break;
	case STYLE_EXACT:
		set_prefix(d, random_host(d, v), 32, &r->ip.dst, &r->ip.dmsk);
		add_tcp(d, v, k, r);
		break;
	case STYLE_PORTS:
		add_protocol(d, v, k, r);
		break;
	case STYLE_DISPATCH:
		if (chance(d, 50))
			rule_add_interface(d, r->ip.iniface, r->ip.iniface_mask);
		else
			rule_add_interface(d, r->ip.outiface, r->ip.outiface_mask);
		break;
	case STYLE_FLAGS:
		if (chance(d, 70))
			add_tcp(d, v, k, r);
		else
			add_icmp(d, k, r);
		break;
	case STYLE_NESTED:
		/* From the innermost outwards, or the other way: the first network is the same for all. */
		n = v->ports[0] & 1 ? n : of - 1 - n;
		set_prefix(d, v->networks[0], 32 * n / of + roll(d, 2), &r->ip.src, &r->ip.smsk);
		if (chance(d, 50))
			set_prefix(d, v->networks[1], 32 - 32 * n / of, &r->ip.dst, &r->ip.dmsk);
		break;
	case STYLE_STATE:
		add_conntrack(d, v, k, r);
		break;
	case STYLE_MARKS:
		add_mark(d, k, r);
		break;
	case STYLE_SPREAD:
		add_spread(d, v, k, r);
		break;
	case STYLE_NEAR:
		/* Any distance from one host, by the logarithm: a tree of it has many steps. */
		set_prefix(d, v->networks[0] ^ roll(d, UINT32_MAX) >> roll(d, 30), 24 + roll(d, 9),
			   &r->ip.src, &r->ip.smsk);
		set_prefix(d, v->networks[1] ^ roll(d, UINT32_MAX) >> roll(d, 30), 24 + roll(d, 9),
			   &r->ip.dst, &r->ip.dmsk);
		break;
	default:
		add_addresses(d, v, k, r);
		if (chance(d, 80))
			add_protocol(d, v, k, r);
	}
	while (chance(d, k->other))
		add_others(d, v, k, r);
}

unsigned int rule_narrowness(const struct rule *r)
{
	const struct ipt_ip *ip = &r->ip;
	unsigned int bits = 0;

	if (!(ip->invflags & IPT_INV_SRCIP))
		bits += __builtin_popcount(ip->smsk.s_addr);
	if (!(ip->invflags & IPT_INV_DSTIP))
		bits += __builtin_popcount(ip->dmsk.s_addr);
	if (!(ip->invflags & IPT_INV_VIA_IN))
		bits += *ip->iniface ? 4 : 0;
	if (!(ip->invflags & IPT_INV_VIA_OUT))
		bits += *ip->outiface ? 4 : 0;
	if (r->matches & RULE_TCP && r->tcp.dpts[1] - r->tcp.dpts[0] < 1000 && !r->tcp.invflags)
		bits += 10;
	if (r->matches & RULE_UDP && r->udp.dpts[1] - r->udp.dpts[0] < 1000 && !r->udp.invflags)
		bits += 10;
	if (r->matches & RULE_MULTIPORT && !r->multiport.invert)
		bits += 6;
	if (r->matches & RULE_LIMIT)
		bits += 8;
	if (ip->flags & IPT_F_FRAG && !(ip->invflags & IPT_INV_FRAG))
		bits += 6;
	return bits;
}
