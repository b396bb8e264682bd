// SPDX-License-Identifier: GPL-2.0
#include "dice.h"

#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_limit.h>
#include <linux/netfilter/xt_mark.h>
#include <linux/netfilter/xt_multiport.h>
#include <linux/netfilter/xt_state.h>
#include <linux/netfilter/xt_tcpudp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint32_t roll(struct dice *d, uint32_t n)
{
	/* splitmix64 */
	uint64_t z = d->state += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return (z ^ z >> 31) % n;
}

bool chance(struct dice *d, unsigned int percent)
{
	return roll(d, 100) < percent;
}

#define PICK(d, array) ((array)[roll(d, ARRAY_SIZE(array))])

static const uint32_t addresses[] = {0x0a010203, 0x0a0102c8, 0x0a0180ff, 0xc0a88081, 0xffffffff, 1};
static const uint16_t ports[] = {0, 1, 80, 443, 444, 32767, 32768, 65535};
static const uint8_t protocols[] = {IPPROTO_TCP,  IPPROTO_TCP,	IPPROTO_UDP,
				    IPPROTO_ICMP, IPPROTO_SCTP, 255};

static void random_address(struct dice *d, struct in_addr *addr, struct in_addr *mask)
{
	static const uint32_t masks[] = {0xffffffff, 0xffffff00, 0xffff0000, 0xff000000,
					 0xfffffffe, 0x80000000, 0xff00ff00, 0x000000ff};
	uint32_t m = PICK(d, masks), a = PICK(d, addresses);

	mask->s_addr = htonl(m);
	addr->s_addr = htonl(chance(d, 95) ? a & m : a);
}

static void random_interface(struct dice *d, char *name, unsigned char *mask)
{
	static const char *const names[] = {"lo", "eth0", "lo1", "l", "averylongname15"};
	const char *n = PICK(d, names);

	strcpy(name, n);
	/* with the NUL, or "+": without */
	memset(mask, 0xff, strlen(n) + chance(d, 60));
}

static void random_ports(struct dice *d, uint16_t *range)
{
	range[0] = chance(d, 30) ? 0 : PICK(d, ports);
	range[1] = chance(d, 30) ? 65535 : PICK(d, ports);
	if (chance(d, 30))
		range[1] = range[0];
}

static void add_tcp(struct dice *d, struct blob *b)
{
	static const uint8_t masks[] = {0, 0x02, 0x17, 0x3f, 0x80};
	struct xt_tcp tcp = {.flg_mask = PICK(d, masks)};

	random_ports(d, tcp.spts);
	random_ports(d, tcp.dpts);
	tcp.flg_cmp = roll(d, 256) & tcp.flg_mask;
	if (chance(d, 30))
		tcp.invflags = roll(d, XT_TCP_INV_MASK + 1);
	/* Those that look at options shall often get there. */
	if (chance(d, 40))
		tcp = (struct xt_tcp){{0, 65535},
				      {0, 65535},
				      .option = roll(d, 5) + 1,
				      .invflags = chance(d, 50) ? XT_TCP_INV_OPTION : 0};
	blob_match(b, "tcp", 0, &tcp, sizeof(tcp));
}

static void add_udp(struct dice *d, struct blob *b)
{
	struct xt_udp udp = {};

	random_ports(d, udp.spts);
	random_ports(d, udp.dpts);
	if (chance(d, 30))
		udp.invflags = roll(d, XT_UDP_INV_MASK + 1);
	blob_match(b, "udp", 0, &udp, sizeof(udp));
}

static void add_icmp(struct dice *d, struct blob *b)
{
	static const uint8_t types[] = {0, 3, 8, 255};
	struct ipt_icmp icmp = {.type = PICK(d, types), .code = {roll(d, 3), 255}};

	icmp.invflags = chance(d, 30);
	blob_match(b, "icmp", 0, &icmp, sizeof(icmp));
}

static void add_multiport(struct dice *d, struct blob *b)
{
	struct xt_multiport_v1 mp = {.flags = roll(d, 3), .count = 1 + roll(d, 4)};
	unsigned int i;

	for (i = 0; i < mp.count; i++)
		mp.ports[i] = PICK(d, ports);
	if (mp.count >= 2 && mp.ports[0] <= mp.ports[1])
		mp.pflags[0] = 1;
	mp.invert = chance(d, 30);
	blob_match(b, "multiport", 1, &mp, sizeof(mp));
}

static uint32_t random_state(struct dice *d)
{
	return chance(d, 80) ? 1U << roll(d, 8) : 1U << 1 | XT_CONNTRACK_STATE_DNAT;
}

static void add_conntrack(struct dice *d, struct blob *b)
{
	struct xt_conntrack_mtinfo3 ct = {
		.match_flags = 1 << roll(d, 13) | 1 << roll(d, 13),
		.l4proto = PICK(d, protocols),
		.state_mask = random_state(d) | random_state(d),
		.status_mask = 1 << roll(d, 10),
		.expires_min = roll(d, 3),
		.expires_max = roll(d, 6),
	};
	struct in_addr addrs[8];
	uint16_t ranges[4][2];
	int i;

	ct.invert_flags = chance(d, 30) ? roll(d, 0x2000) : 0;
	for (i = 0; i < 4; i++) {
		random_address(d, &addrs[2 * i], &addrs[2 * i + 1]);
		random_ports(d, ranges[i]);
	}
	ct.origsrc_addr.in = addrs[0], ct.origsrc_mask.in = addrs[1];
	ct.origdst_addr.in = addrs[2], ct.origdst_mask.in = addrs[3];
	ct.replsrc_addr.in = addrs[4], ct.replsrc_mask.in = addrs[5];
	ct.repldst_addr.in = addrs[6], ct.repldst_mask.in = addrs[7];
	ct.origsrc_port = ranges[0][0], ct.origsrc_port_high = ranges[0][1];
	ct.origdst_port = ranges[1][0], ct.origdst_port_high = ranges[1][1];
	ct.replsrc_port = ranges[2][0], ct.replsrc_port_high = ranges[2][1];
	ct.repldst_port = ranges[3][0], ct.repldst_port_high = ranges[3][1];
	blob_match(b, "conntrack", 3, &ct, sizeof(ct));
}

static void add_others(struct dice *d, struct blob *b)
{
	uint32_t marks = d->module ? 8 : 2;
	struct xt_mark_mtinfo1 mark = {
		.mark = d->module ? roll(d, marks) : chance(d, 30),
		.mask = roll(d, marks),
		.invert = chance(d, 30),
	};
	struct xt_state_info state = {.statemask = roll(d, 128)};
	/* 10,000 a second, and so many at once that it holds for every packet of a test */
	struct xt_rateinfo rate = {.avg = 1, .burst = 5000000};
	static const char comment[256] = "a comment";

	if (chance(d, d->module ? 40 : 8))
		blob_match(b, "mark", 1, &mark, sizeof(mark));
	if (d->module && chance(d, 15))
		add_conntrack(d, b);
	if (chance(d, 8))
		blob_match(b, "state", 0, &state, sizeof(state));
	if (chance(d, 8))
		blob_match(b, "limit", 0, &rate, sizeof(rate));
	if (chance(d, 5))
		blob_match(b, "comment", 0, comment, sizeof(comment));
}

static void add_protocol(struct dice *d, struct blob *b)
{
	struct ipt_ip *ip = &blob_entry(b, b->rule)->ip;
	uint16_t proto = ip->proto = PICK(d, protocols);

	if (chance(d, 30)) {
		if (chance(d, 30))
			ip->invflags |= IPT_INV_PROTO;
		return;
	}
	if (proto == IPPROTO_TCP && chance(d, 70))
		add_tcp(d, b);
	else if (proto == IPPROTO_UDP && chance(d, 70))
		add_udp(d, b);
	else if (proto == IPPROTO_ICMP)
		add_icmp(d, b);
	else if (proto != 255)
		add_multiport(d, b);
}

static void add_conditions(struct dice *d, struct blob *b)
{
	struct ipt_ip *ip = blob_begin(b);

	if (chance(d, 25))
		return;
	if (chance(d, 30))
		random_address(d, &ip->src, &ip->smsk);
	if (chance(d, 30))
		random_address(d, &ip->dst, &ip->dmsk);
	if (chance(d, 15))
		random_interface(d, ip->iniface, ip->iniface_mask);
	if (chance(d, 15))
		random_interface(d, ip->outiface, ip->outiface_mask);
	if (chance(d, 10))
		ip->flags |= IPT_F_FRAG;
	if (chance(d, 30))
		ip->invflags = roll(d, 64) & ~(IPT_INV_TOS | IPT_INV_PROTO);
	if (chance(d, 60))
		add_protocol(d, b);
	add_others(d, b);
}

/* A verdict that is 0 is to be a jump; see aim(). */
static void add_rule(struct dice *d, struct blob *b)
{
	static const int verdicts[] = {BLOB_ACCEPT, BLOB_DROP, BLOB_RETURN, BLOB_NEXT,
				       BLOB_NEXT,   0,	       0,	    0};
	int verdict = PICK(d, verdicts);

	add_conditions(d, b);
	if (d->module && chance(d, 30)) {
		const struct xt_mark_tginfo2 info = {roll(d, 8), chance(d, 20) ? ~0U : roll(d, 8)};

		blob_end_target(b, "MARK", 2, &info, sizeof(info));
		return;
	}
	if (!verdict && chance(d, 25))
		blob_entry(b, b->rule)->ip.flags |= IPT_F_GOTO;
	blob_end(b, verdict);
}

static void add_rules(struct dice *d, struct blob *b, unsigned int max)
{
	unsigned int n = roll(d, max + 1);

	while (n--)
		add_rule(d, b);
}

static struct xt_standard_target *target_of(struct blob *b, uint32_t offset)
{
	struct ipt_entry *e = blob_entry(b, offset);

	return (struct xt_standard_target *)((char *)e + e->target_offset);
}

/*
 * Jumps lead forward, so that there are no loops: mostly to chains, sometimes to any rule. ERROR
 * entries must not be reached, or the table is refused.
 */
static void aim(struct dice *d, struct blob *b, const uint32_t *chains, unsigned int nr_chains,
		uint32_t last)
{
	uint32_t at, next, offsets[1024], n = 0, i;

	for (at = 0; at <= last; at = next) {
		next = at + blob_entry(b, at)->next_offset;
		if (!*target_of(b, at)->target.u.user.name)
			offsets[n++] = at;
	}
	for (i = 0; i < n; i++) {
		struct xt_standard_target *t = target_of(b, offsets[i]);
		uint32_t to = nr_chains ? chains[roll(d, nr_chains)] : 0;

		if (t->verdict)
			continue;
		if (to <= offsets[i] || chance(d, 20))
			to = i + 1 < n ? offsets[i + 1 + roll(d, n - i - 1)] : 0;
		t->verdict = to ? (int)to : BLOB_DROP;
	}
}

void random_table(struct dice *d, struct blob *b)
{
	static const unsigned int hooks[] = {NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT};
	unsigned int max = PICK(d, ((unsigned int[]){2, 5, 9, 16})), nr_chains = roll(d, 7), i;
	uint32_t chains[8], last;

	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		blob_hook(b, hooks[i]);
		add_rules(d, b, max + 3);
		last = blob_policy(b, hooks[i], chance(d, 60) ? BLOB_ACCEPT : BLOB_DROP);
	}
	for (i = 0; i < nr_chains; i++) {
		char name[16];

		snprintf(name, sizeof(name), "chain%u", i);
		chains[i] = blob_chain(b, name);
		add_rules(d, b, max);
		last = blob_rule(b, chance(d, 90) ? BLOB_RETURN : BLOB_DROP);
	}
	blob_finish(b);
	aim(d, b, chains, nr_chains, last);
}

static void random_l4(struct dice *d, uint8_t *l4, uint32_t len, uint8_t proto)
{
	uint16_t sport = htons(PICK(d, ports)), dport = htons(PICK(d, ports));
	uint32_t i;

	for (i = 0; i < len; i++)
		l4[i] = chance(d, 50) ? roll(d, 6) : roll(d, 256);
	if (proto == IPPROTO_ICMP) {
		static const uint8_t types[] = {0, 3, 8, 255};

		l4[0] = PICK(d, types);
		l4[1] = roll(d, 4);
		return;
	}
	memcpy(l4, &sport, 2);
	memcpy(l4 + 2, &dport, 2);
	if (chance(d, 80))
		l4[12] = (5 + roll(d, 3)) << 4;
}

static void random_connection(struct dice *d, uint32_t *key)
{
	unsigned int f;

	key[BF_CT_STATE] = random_state(d);
	key[BF_CT_STATUS] = roll(d, 1 << 10);
	key[BF_CT_DIR] = roll(d, 2);
	key[BF_CT_PROTO] = PICK(d, protocols);
	for (f = BF_CT_ORIGSRC; f <= BF_CT_REPLDST; f++)
		key[f] = PICK(d, addresses);
	for (f = BF_CT_ORIGSRC_PORT; f <= BF_CT_REPLDST_PORT; f++)
		key[f] = PICK(d, ports);
	key[BF_CT_EXPIRES] = roll(d, 7);
}

void random_packet(struct dice *d, struct packet *p)
{
	static const uint16_t fragments[] = {0, 0, 0, 0, 0x4000, 0x2000, 1, 0x2001, 0x1fff, 0xe002};
	static const uint8_t lengths[] = {0, 1, 3, 4, 7, 8, 12, 19, 20, 20, 20, 24, 28, 32, 60};
	uint8_t *ip = p->data, proto = PICK(d, protocols);
	uint32_t header = chance(d, 80) ? 20 : 20 + 4 * roll(d, 11);
	uint16_t fragment = htons(PICK(d, fragments));
	uint32_t source = htonl(PICK(d, addresses)), dest = htonl(PICK(d, addresses));

	memset(p, 0, sizeof(*p));
	if (d->module) {
		p->mark = chance(d, 70) ? roll(d, 8) : roll(d, UINT32_MAX);
		if (chance(d, 70))
			random_connection(d, p->ct - BF_CT_STATE);
	}
	p->hook = PICK(d, ((unsigned int[]){NF_INET_LOCAL_IN, NF_INET_LOCAL_IN, NF_INET_FORWARD,
					    NF_INET_FORWARD, NF_INET_LOCAL_OUT}));
	p->len = header + PICK(d, lengths);
	if (p->hook == NF_INET_LOCAL_OUT && !d->module)
		return;
	random_l4(d, ip + header, 64, proto);
	ip[0] = 0x40 | header / 4;
	memcpy(ip + 6, &fragment, 2);
	ip[9] = proto;
	memcpy(ip + 12, &source, 4);
	memcpy(ip + 16, &dest, 4);
	if (chance(d, 3))
		p->len = 20 + roll(d, header - 19);
}
