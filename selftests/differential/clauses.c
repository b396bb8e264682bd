// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "asks.h"
#include "clauses.h"
#include "headers.h"
#include "pool.h"
#include "topology.h"

static const uint32_t masks[] = {0x00000000, 0x80000000, 0xff000000, 0xff800000, 0xffff0000,
				 0xffffff00, 0xfffffff0, 0xfffffffe, 0xffffffff, 0xff00ff00,
				 0x000000ff, 0x00ff00ff, 0xffff00ff, 0x00000001, 0xfffffffd};

static uint32_t draw_addr(struct rng *r)
{
	const struct topology_if *f = &topology_ifs[rng_below(r, TOPOLOGY_IFS)];

	switch (rng_below(r, 7)) {
	case 0:
		return f->addr;
	case 1:
		return f->neighbour;
	case 2:
		return f->behind | rng_below(r, 256);
	case 3:
		return topology_odd_addrs[rng_below(r, topology_nr_odd_addrs)];
	case 4:
		return 0xc0000200 | rng_below(r, 256); /* 192.0.2.x: any is local */
	case 5:
		return 0x80808080 | (uint32_t)rng_next(r);
	default:
		return rng_next(r);
	}
}

void clauses_init(struct clauses *c, struct rng *r)
{
	unsigned int i;

	c->r = r;
	c->marks = rng_chance(r, 12);
	c->connection_marks = c->marks && rng_chance(r, 50);
	c->effects = rng_chance(r, 50);
	c->accounts = rng_chance(r, 25);
	c->questions = rng_chance(r, 15);
	c->takers = rng_chance(r, 8);
	for (i = 0; i < PALETTE; i++) {
		c->addrs[i] = draw_addr(r);
		c->ports[i] = pool_boundary_port(r);
	}
}

static void add_not(struct clauses *c, struct text *t)
{
	if (rng_chance(c->r, 25))
		text_add(t, " !");
}

static void add_ip(struct text *t, uint32_t a)
{
	text_add(t, "%u.%u.%u.%u", a >> 24, a >> 16 & 255, a >> 8 & 255, a & 255);
}

static void add_addr(struct clauses *c, struct text *t)
{
	uint32_t mask;

	add_ip(t, RNG_PICK(c->r, c->addrs));
	if (rng_chance(c->r, 25))
		return;
	if (rng_chance(c->r, 40)) {
		text_add(t, "/%u", rng_below(c->r, 33));
		return;
	}
	mask = rng_chance(c->r, 80) ? RNG_PICK(c->r, masks) : (uint32_t)rng_next(c->r);
	text_add(t, "/");
	add_ip(t, mask);
}

static void add_iface(struct clauses *c, struct text *t)
{
	static const char *const names[] = {"eth0",
					    "eth0",
					    "eth1",
					    "eth1",
					    "docker0",
					    "docker0",
					    "lo",
					    "lo",
					    "eth+",
					    "e+",
					    "docker+",
					    "l+",
					    "nosuch0",
					    "eth",
					    "eth00",
					    "ppp+",
					    "+",
					    "eth0+",
					    "docker01234567+",
					    "abcdefghijklmno"};

	text_add(t, "%s", RNG_PICK(c->r, names));
}

static unsigned int port(struct clauses *c)
{
	return rng_chance(c->r, 80) ? RNG_PICK(c->r, c->ports) : pool_boundary_port(c->r);
}

static void add_range(struct clauses *c, struct text *t)
{
	unsigned int a = port(c), b = port(c);

	switch (rng_below(c->r, 6)) {
	case 0:
		text_add(t, "%u:", a);
		break;
	case 1:
		text_add(t, ":%u", a);
		break;
	case 2:
		text_add(t, "%u:%u", a < b ? a : b, a < b ? b : a);
		break;
	default:
		text_add(t, "%u", a);
	}
}

static void add_ports(struct clauses *c, struct text *t)
{
	if (rng_chance(c->r, 40)) {
		add_not(c, t);
		text_add(t, " --sport ");
		add_range(c, t);
	}
	if (rng_chance(c->r, 60)) {
		add_not(c, t);
		text_add(t, " --dport ");
		add_range(c, t);
	}
}

static void add_flags(struct clauses *c, struct text *t)
{
	static const char *const flags[] = {"FIN", "SYN", "RST", "PSH", "ACK", "URG"};
	unsigned int part, bits, i;

	for (part = 0; part < 2; part++) {
		bits = rng_below(c->r, 64);
		text_add(t, " ");
		if (rng_chance(c->r, 15))
			bits = part ? 0 : 63;
		if (!bits)
			text_add(t, "NONE");
		for (i = 0; i < 6; i++)
			if (bits & (1 << i))
				text_add(t, "%s%s", flags[i], bits >> (i + 1) ? "," : "");
	}
}

static void add_tcp(struct clauses *c, struct text *t)
{
	static const uint8_t options[] = {1, 2, 3, 4, 5, 8, 28, 30, 128, 254, 255};

	text_add(t, " -m tcp");
	add_ports(c, t);
	switch (rng_below(c->r, 5)) {
	case 0:
		add_not(c, t);
		text_add(t, " --tcp-flags");
		add_flags(c, t);
		break;
	case 1:
		add_not(c, t);
		text_add(t, " --syn");
		break;
	case 2:
		/* Beside TCPMSS bpfilter does not have it. */
		if (c->takers && rng_chance(c->r, 98))
			break;
		add_not(c, t);
		text_add(t, " --tcp-option %u", RNG_PICK(c->r, options));
		break;
	}
}

static void add_icmp(struct clauses *c, struct text *t)
{
	static const char *const types[] = {"any", "8",	   "0",	    "echo-request", "3/4", "3/3",
					    "3",   "11",   "11/0",  "255/255",	    "13",  "14",
					    "5",   "12/1", "0/255", "254",	    "3/1", "17"};

	text_add(t, " -m icmp");
	add_not(c, t);
	text_add(t, " --icmp-type %s", RNG_PICK(c->r, types));
}

/* Up to 15 ports; a range takes two. */
static void add_multiport(struct clauses *c, struct text *t)
{
	static const char *const names[] = {"--sports", "--dports", "--ports"};
	unsigned int left = rng_chance(c->r, 20) ? 15 : rng_between(c->r, 1, 6);
	const char *comma = " ";

	text_add(t, " -m multiport");
	add_not(c, t);
	text_add(t, " %s", RNG_PICK(c->r, names));
	while (left) {
		unsigned int a = port(c), b = port(c);

		if (left >= 2 && a != b && rng_chance(c->r, 30)) {
			text_add(t, "%s%u:%u", comma, a < b ? a : b, a < b ? b : a);
			left -= 2;
		} else {
			text_add(t, "%s%u", comma, a);
			left--;
		}
		comma = ",";
	}
}

static void add_list(struct clauses *c, struct text *t, const char *const *names, unsigned int nr)
{
	unsigned int bits = rng_between(c->r, 1, (1U << nr) - 1), i;
	const char *comma = " ";

	if (rng_chance(c->r, 60))
		bits = 1U << rng_below(c->r, nr);
	for (i = 0; i < nr; i++) {
		if (!(bits & (1U << i)))
			continue;
		text_add(t, "%s%s", comma, names[i]);
		comma = ",";
	}
}

static const char *const states[] = {"NEW",	  "ESTABLISHED", "RELATED", "INVALID",
				     "UNTRACKED", "SNAT",	 "DNAT"};

static void add_ct_option(struct clauses *c, struct text *t, unsigned int which)
{
	static const char *const statuses[] = {"EXPECTED", "SEEN_REPLY", "ASSURED", "CONFIRMED"};
	static const char *const addrs[] = {"origsrc", "origdst", "replsrc", "repldst"};
	static const char *const protos[] = {"tcp", "udp", "icmp", "132", "1", "255", "sctp", "47"};
	/* Far from the timeouts that connections have. */
	static const unsigned int expires[] = {0, 1, 5, 20, 45, 90, 150, 250, 500, 900, 100000};
	unsigned int a = RNG_PICK(c->r, expires), b = RNG_PICK(c->r, expires);

	if (which != 3) /* the one that knows no inversion */
		add_not(c, t);
	switch (which) {
	case 0:
		text_add(t, " --ctstate");
		add_list(c, t, states, 7);
		break;
	case 1:
		text_add(t, " --ctstatus");
		if (rng_chance(c->r, 15))
			text_add(t, " NONE");
		else
			add_list(c, t, statuses, 4);
		break;
	case 2:
		text_add(t, " --ctproto %s", RNG_PICK(c->r, protos));
		break;
	case 3:
		text_add(t, " --ctdir %s", rng_chance(c->r, 50) ? "ORIGINAL" : "REPLY");
		break;
	case 4:
		text_add(t, " --ctexpire %u:%u", a < b ? a : b, a < b ? b : a);
		break;
	case 5:
	case 6:
		text_add(t, " --ct%s ", addrs[rng_below(c->r, 4)]);
		add_addr(c, t);
		break;
	default:
		text_add(t, " --ct%sport ", addrs[rng_below(c->r, 4)]);
		add_range(c, t);
	}
}

static void add_conntrack(struct clauses *c, struct text *t)
{
	unsigned int which = rng_below(c->r, 8);

	text_add(t, " -m conntrack");
	add_ct_option(c, t, rng_chance(c->r, 40) ? 0 : which);
	if (rng_chance(c->r, 35) && which != 0)
		add_ct_option(c, t, (which + 1) % 5 ? (which + 1) % 5 : 2);
}

static void add_mark(struct clauses *c, struct text *t)
{
	static const char *const marks[] = {"0x0",
					    "0x1",
					    "0xff",
					    "0x100",
					    "0x1/0x1",
					    "0x0/0x1",
					    "0x80000000/0x80000000",
					    "0xffffffff",
					    "0x10000/0xffff0000",
					    "0xdeadbeef",
					    "0x0/0x0",
					    "0x8000/0xff00",
					    "0x1/0xfffffffe"};

	text_add(t, " -m mark");
	add_not(c, t);
	text_add(t, " --mark %s", RNG_PICK(c->r, marks));
}

/*
 * So generous that it never ends, or so slow that only the burst ever passes. The most generous there is ends where a packet
 * meets it often, as it may in a chain of users, and when it is filled again is a matter of time.
 */
static void add_limit(struct clauses *c, struct text *t, unsigned int hooks)
{
	static const unsigned int bursts[] = {1, 2, 3, 5, 17, 100};

	if (hooks != FROM_ANY && rng_chance(c->r, 50))
		text_add(t, " -m limit --limit 10000/sec --limit-burst 10000");
	else
		text_add(t, " -m limit --limit %u/hour --limit-burst %u", rng_between(c->r, 1, 3),
			 bursts[rng_below(c->r, c->sound ? 5 : 6)]);
}

static void add_addrtype(struct clauses *c, struct text *t, unsigned int hooks)
{
	static const char *const types[] = {"UNSPEC",	"UNICAST",   "LOCAL",	  "BROADCAST",
					    "ANYCAST",	"MULTICAST", "BLACKHOLE", "UNREACHABLE",
					    "PROHIBIT", "THROW"};
	bool src = rng_chance(c->r, 50);

	text_add(t, " -m addrtype");
	if (src) {
		add_not(c, t);
		text_add(t, " --src-type");
		add_list(c, t, types, 10);
	}
	if (!src || rng_chance(c->r, 30)) {
		add_not(c, t);
		text_add(t, " --dst-type");
		add_list(c, t, types, 10);
	}
	if (!rng_chance(c->r, 25))
		return;
	if (hooks == FROM_INPUT || (hooks == FROM_FORWARD && rng_chance(c->r, 50)))
		text_add(t, " --limit-iface-in");
	else if (hooks == FROM_OUTPUT || hooks == FROM_FORWARD)
		text_add(t, " --limit-iface-out");
}

static void add_protocol(struct clauses *c, struct text *t)
{
	static const char *const others[] = {"0",   "all", "2", "47",  "50", "132", "33",
					     "136", "255", "1", "128", "51", "89",  "4"};

	switch (rng_below(c->r, 13)) {
	case 0:
	case 1:
	case 2:
		text_add(t, " -p tcp");
		if (rng_chance(c->r, 75))
			add_tcp(c, t);
		if (rng_chance(c->r, 20))
			headers_add_tcp(c, t);
		if (rng_chance(c->r, 20))
			add_multiport(c, t);
		break;
	case 3:
	case 4:
		text_add(t, " -p udp");
		if (rng_chance(c->r, 75)) {
			text_add(t, " -m udp");
			add_ports(c, t);
		}
		if (rng_chance(c->r, 20))
			add_multiport(c, t);
		break;
	case 5:
		text_add(t, " -p icmp");
		if (rng_chance(c->r, 80))
			add_icmp(c, t);
		break;
	case 6:
		text_add(t, rng_chance(c->r, 50) ? " -p tcp" : " -p udp");
		add_multiport(c, t);
		break;
	case 7:
		text_add(t, rng_chance(c->r, 50) ? " -p sctp" : " -p dccp");
		if (rng_chance(c->r, 60))
			add_multiport(c, t);
		break;
	case 8:
		text_add(t, " -p udplite");
		add_multiport(c, t);
		break;
	case 9:
		/* Without a protocol "!" has nothing to turn round: iptables refuses it. */
		text_add(t, " ! -p %s", others[rng_between(c->r, 2, 13)]);
		break;
	case 10:
		headers_add_protocol(c, t);
		break;
	default:
		text_add(t, " -p %s", RNG_PICK(c->r, others));
	}
}

static void add_comment(struct clauses *c, struct text *t)
{
	static const char *const comments[] = {"x", "\"two words\"", "\"-j DROP\"",
					       "\"a \\\"quoted\\\" one\""};

	text_add(t, " -m comment --comment %s", RNG_PICK(c->r, comments));
}

/* Wherever it stands: it counts what came to it, whatever comes of the rest of the rule. */
static void add_nfacct(struct clauses *c, struct text *t)
{
	unsigned int draw = c->sound ? 99 : rng_below(c->r, 400);

	text_add(t, " -m nfacct --nfacct-name ");
	if (!draw)
		text_add(t, "nosuch");
	else if (draw < 3)
		text_add(t, "%s", TOPOLOGY_QUOTA);
	else
		text_add(t, "%s%u", TOPOLOGY_ACCOUNT, rng_below(c->r, TOPOLOGY_ACCOUNTS - 1));
}

static void add_match(struct clauses *c, struct text *t, unsigned int hooks)
{
	if (c->marks && rng_chance(c->r, 50)) {
		if (c->connection_marks && rng_chance(c->r, 60))
			headers_add_connmark(c, t);
		else
			add_mark(c, t);
		return;
	}
	switch (rng_below(c->r, 18)) {
	case 0:
	case 1:
	case 2:
	case 3:
		add_conntrack(c, t);
		break;
	case 4:
		text_add(t, " -m state");
		add_not(c, t);
		text_add(t, " --state");
		add_list(c, t, states, 5);
		break;
	case 5:
	case 6:
		add_mark(c, t);
		break;
	case 7:
		add_limit(c, t, hooks);
		break;
	case 8:
		add_comment(c, t);
		break;
	case 9:
	case 10:
	case 11:
		add_addrtype(c, t, hooks);
		break;
	default:
		headers_add(c, t, hooks);
	}
}

void clauses_add(struct clauses *c, struct text *t, unsigned int hooks)
{
	if (rng_chance(c->r, 20)) {
		add_not(c, t);
		text_add(t, " -s ");
		add_addr(c, t);
	}
	if (rng_chance(c->r, 20)) {
		add_not(c, t);
		text_add(t, " -d ");
		add_addr(c, t);
	}
	if (hooks != FROM_OUTPUT && rng_chance(c->r, 15)) {
		add_not(c, t);
		text_add(t, " -i ");
		add_iface(c, t);
	}
	if (hooks != FROM_INPUT && rng_chance(c->r, 15)) {
		add_not(c, t);
		text_add(t, " -o ");
		add_iface(c, t);
	}
	if (c->accounts && rng_chance(c->r, 5))
		add_nfacct(c, t);
	if (rng_chance(c->r, 45))
		add_protocol(c, t);
	if (rng_chance(c->r, 6)) {
		add_not(c, t);
		text_add(t, " -f");
	}
	if (c->questions && rng_chance(c->r, 25))
		asks_add(c->r, t, hooks);
	if (rng_chance(c->r, 30))
		add_match(c, t, hooks);
	if (c->accounts && rng_chance(c->r, 5))
		add_nfacct(c, t);
	if (rng_chance(c->r, 6))
		add_match(c, t, hooks);
	if (c->questions && rng_chance(c->r, 15))
		asks_add(c->r, t, hooks);
}
