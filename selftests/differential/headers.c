// SPDX-License-Identifier: GPL-2.0
/* Clauses about headers and senders that few rule sets have. */
#include "bpfilter.h"
#include "headers.h"
#include "pool.h"
#include "topology.h"

static void add_not(struct clauses *c, struct text *t)
{
	if (rng_chance(c->r, 35))
		text_add(t, " !");
}

/* "LO:HI", "LO", ordered, of numbers that rules and packets share. */
static void add_span(struct clauses *c, struct text *t, const uint32_t *values, unsigned int nr)
{
	uint32_t a = values[rng_below(c->r, nr)], b = values[rng_below(c->r, nr)];

	if (rng_chance(c->r, 40))
		text_add(t, "%u", a);
	else
		text_add(t, "%u:%u", a < b ? a : b, a < b ? b : a);
}

static void add_range_of_addrs(struct clauses *c, struct text *t, const char *option)
{
	uint32_t a = RNG_PICK(c->r, c->addrs), b = RNG_PICK(c->r, c->addrs);
	uint32_t lo = a < b ? a : b, hi = a < b ? b : a;

	if (rng_chance(c->r, 30))
		hi = lo | rng_below(c->r, 256);
	add_not(c, t);
	text_add(t, " --%s-range %u.%u.%u.%u-%u.%u.%u.%u", option, lo >> 24, lo >> 16 & 255,
		 lo >> 8 & 255, lo & 255, hi >> 24, hi >> 16 & 255, hi >> 8 & 255, hi & 255);
}

static void add_iprange(struct clauses *c, struct text *t)
{
	bool src = rng_chance(c->r, 50);

	text_add(t, " -m iprange");
	if (src)
		add_range_of_addrs(c, t, "src");
	if (!src || rng_chance(c->r, 30))
		add_range_of_addrs(c, t, "dst");
}

static void add_length(struct clauses *c, struct text *t)
{
	static const uint32_t lengths[] = {0,  20, 28,	29,  35,   40,	 44,	50,
					   60, 61, 100, 500, 1300, 1500, 65534, 65535};

	text_add(t, " -m length");
	add_not(c, t);
	text_add(t, " --length ");
	add_span(c, t, lengths, ARRAY_SIZE(lengths));
}

static void add_ttl(struct clauses *c, struct text *t)
{
	static const char *const options[] = {"eq", "eq", "lt", "gt"};
	static const unsigned int values[] = {0, 1, 2, 63, 64, 65, 127, 128, 200, 254, 255};
	unsigned int which = rng_below(c->r, 4);

	text_add(t, " -m ttl");
	if (which < 2)
		add_not(c, t);
	text_add(t, " --ttl-%s %u", options[which], RNG_PICK(c->r, values));
}

static void add_tos(struct clauses *c, struct text *t)
{
	static const unsigned int masks[] = {0xff, 0xff, 0xfc, 0x3f, 0x1c, 0x03, 0x01, 0x00};
	unsigned int mask = RNG_PICK(c->r, masks), value = rng_below(c->r, 40);

	if (rng_chance(c->r, 50)) {
		text_add(t, " -m dscp");
		add_not(c, t);
		text_add(t, " --dscp %u", rng_chance(c->r, 80) ? value / 4 : value + 24);
		return;
	}
	text_add(t, " -m tos");
	add_not(c, t);
	text_add(t, " --tos 0x%02x/0x%02x", rng_chance(c->r, 90) ? value & mask : value, mask);
}

static void add_pkttype(struct clauses *c, struct text *t)
{
	static const char *const types[] = {"unicast", "broadcast", "multicast"};

	text_add(t, " -m pkttype");
	add_not(c, t);
	text_add(t, " --pkt-type %s", RNG_PICK(c->r, types));
}

static void add_mac(struct clauses *c, struct text *t)
{
	uint8_t mac[6];

	topology_mac(rng_below(c->r, TOPOLOGY_IFS), rng_chance(c->r, 85), mac);
	if (rng_chance(c->r, 10))
		mac[rng_below(c->r, 6)] ^= 1U << rng_below(c->r, 8);
	text_add(t, " -m mac");
	add_not(c, t);
	text_add(t, " --mac-source %02X:%02X:%02X:%02X:%02X:%02X", mac[0], mac[1], mac[2], mac[3],
		 mac[4], mac[5]);
}

static void add_owner(struct clauses *c, struct text *t)
{
	static const char *const ids[] = {"0", "0-10", "1-4294967294", "1000", "0-0", "5-99"};
	unsigned int bits = rng_between(c->r, 1, 7);

	text_add(t, " -m owner");
	if (bits & 1) {
		add_not(c, t);
		text_add(t, " --uid-owner %s", RNG_PICK(c->r, ids));
	}
	if (bits & 2) {
		add_not(c, t);
		text_add(t, " --gid-owner %s", RNG_PICK(c->r, ids));
		if (c->questions && rng_chance(c->r, 50))
			text_add(t, " --suppl-groups");
	}
	if (bits & 4) {
		add_not(c, t);
		text_add(t, " --socket-exists");
	}
}

/* No packet of these passes a bridge: what is asked of one that has is in test_match_bridge.c. */
static void add_physdev(struct clauses *c, struct text *t, unsigned int hooks)
{
	static const char *const names[] = {"eth0", "eth+", "docker0", "nosuch0", "+"};
	/* In OUTPUT what asks for the outgoing port must be about bridged packets alone. */
	bool output = hooks & FROM_OUTPUT, bridged = rng_chance(c->r, 40);
	unsigned int bits = rng_below(c->r, output && !bridged ? 4 : 16);

	text_add(t, " -m physdev");
	if (bridged || !bits) {
		if (!output)
			add_not(c, t);
		text_add(t, " --physdev-is-bridged");
	}
	if (bits & 1) {
		add_not(c, t);
		text_add(t, " --physdev-in %s", RNG_PICK(c->r, names));
	}
	if (bits & 2) {
		add_not(c, t);
		text_add(t, " --physdev-is-in");
	}
	if (bits & 4) {
		add_not(c, t);
		text_add(t, " --physdev-out %s", RNG_PICK(c->r, names));
	}
	if (bits & 8) {
		add_not(c, t);
		text_add(t, " --physdev-is-out");
	}
}

/* Nor has one been encrypted: test_match_policy.c. */
static void add_policy(struct clauses *c, struct text *t, unsigned int hooks)
{
	static const char *const rest[] = {"none", "none", "ipsec", "ipsec ! --reqid 7",
					   "ipsec --strict ! --proto esp --next ! --mode tunnel"};
	bool out = hooks == FROM_OUTPUT || (hooks == FROM_FORWARD && rng_chance(c->r, 50));

	if (!out && hooks & FROM_OUTPUT)
		return;
	/* The last of them is translated for packets that leave alone. */
	text_add(t, " -m policy --dir %s --pol %s", out ? "out" : "in",
		 rest[rng_below(c->r, ARRAY_SIZE(rest) - !out)]);
}

void headers_add_connmark(struct clauses *c, struct text *t)
{
	static const char *const marks[] = {"0x0", "0x5", "0x5/0xf", "0x0/0x4", "0x1", "0x0/0x0"};

	text_add(t, " -m connmark");
	add_not(c, t);
	text_add(t, " --mark %s", RNG_PICK(c->r, marks));
}

/* Certain, or by numbers: what is left to chance cannot be compared. */
static void add_statistic(struct clauses *c, struct text *t)
{
	unsigned int every = rng_between(c->r, 1, rng_chance(c->r, 80) ? 5 : 300);

	text_add(t, " -m statistic");
	if (c->sound || rng_chance(c->r, 30)) {
		text_add(t, " --mode random");
		add_not(c, t);
		text_add(t, " --probability %u", rng_below(c->r, 2));
		return;
	}
	text_add(t, " --mode nth");
	add_not(c, t);
	text_add(t, " --every %u --packet %u", every, rng_below(c->r, every));
}

static void add_quota(struct clauses *c, struct text *t)
{
	static const uint32_t quotas[] = {0, 1, 28, 60, 500, 3000, 20000, 4294967295};

	text_add(t, " -m quota");
	add_not(c, t);
	text_add(t, " --quota %u", c->sound ? 0 : RNG_PICK(c->r, quotas));
}

static void add_ip_ect(struct clauses *c, struct text *t)
{
	text_add(t, " -m ecn");
	add_not(c, t);
	text_add(t, " --ecn-ip-ect %u", rng_below(c->r, 4));
}

void headers_add(struct clauses *c, struct text *t, unsigned int hooks)
{
	switch (rng_below(c->r, 15)) {
	case 0:
		add_iprange(c, t);
		return;
	case 1:
		add_length(c, t);
		return;
	case 2:
		add_ttl(c, t);
		return;
	case 3:
		add_tos(c, t);
		return;
	case 4:
		add_pkttype(c, t);
		return;
	case 5:
		headers_add_connmark(c, t);
		return;
	case 6:
		add_statistic(c, t);
		return;
	case 7:
		add_quota(c, t);
		return;
	case 8:
		add_ip_ect(c, t);
		return;
	case 9:
		text_add(t, " -m cpu");
		add_not(c, t);
		text_add(t, " --cpu %u", rng_below(c->r, 3));
		return;
	case 10:
		add_physdev(c, t, hooks);
		return;
	case 11:
		add_policy(c, t, hooks);
		return;
	default:
		if (hooks == FROM_OUTPUT)
			add_owner(c, t);
		else if (!(hooks & FROM_OUTPUT))
			add_mac(c, t);
		else
			add_ttl(c, t);
	}
}

static void add_spis(struct clauses *c, struct text *t, bool narrow)
{
	/* As pairs of ports they meet what packets have. */
	uint32_t a = RNG_PICK(c->r, c->ports), b = RNG_PICK(c->r, c->ports);
	const uint32_t values[] = {a,	    b,		 a << 16 | b,	   b << 16 | a,
				   a << 16, 0xffffffffU, b << 16 | 0xffff, 0};

	add_span(c, t, values, narrow ? 2 : ARRAY_SIZE(values));
}

static void add_two_ports(struct clauses *c, struct text *t)
{
	static const char *const options[] = {"--sport", "--dport"};
	unsigned int i;

	for (i = 0; i < 2; i++) {
		if (!rng_chance(c->r, 60))
			continue;
		add_not(c, t);
		text_add(t, " %s ", options[i]);
		add_spis(c, t, true);
	}
}

/* What the kernel is asked for. */
static void add_inside(struct clauses *c, struct text *t, bool sctp)
{
	static const char *const types[] = {"REQUEST", "DATA,ACK", "INVALID",
					    "REQUEST,RESPONSE,RESET"};
	static const char *const chunks[] = {"any DATA,INIT", "all DATA,SACK", "only DATA,INIT",
					     "any DATA:Be", "all ABORT:t,DATA:bE"};

	if (sctp) {
		text_add(t, " --chunk-types %s", RNG_PICK(c->r, chunks));
		return;
	}
	if (rng_chance(c->r, 60)) {
		add_not(c, t);
		text_add(t, " --dccp-types %s", RNG_PICK(c->r, types));
	}
	if (rng_chance(c->r, 50))
		text_add(t, " --dccp-option %u", rng_between(c->r, 1, 3));
}

void headers_add_protocol(struct clauses *c, struct text *t)
{
	static const char *const ips[] = {"esp", "ah", "ipcomp"};
	const char *name = ips[rng_below(c->r, 3)];

	switch (rng_below(c->r, 3)) {
	case 0:
		name = rng_chance(c->r, 50) ? "sctp" : "dccp";
		text_add(t, " -p %s -m %s", name, name);
		add_two_ports(c, t);
		if (c->questions)
			add_inside(c, t, *name == 's');
		return;
	default:
		text_add(t, " -p %s -m %s", name, name);
		if (rng_chance(c->r, 10))
			return;
		add_not(c, t);
		text_add(t, " --%sspi ", name);
		add_spis(c, t, name == ips[2]);
	}
}

void headers_add_tcp(struct clauses *c, struct text *t)
{
	static const uint32_t sizes[] = {0, 1, 88, 535, 536, 1459, 1460, 1461, 65534, 65535};
	unsigned int bits = rng_between(c->r, 1, 3);

	if (rng_chance(c->r, c->takers ? 2 : 60)) {
		text_add(t, " -m tcpmss");
		add_not(c, t);
		text_add(t, " --mss ");
		add_span(c, t, sizes, ARRAY_SIZE(sizes));
		return;
	}
	text_add(t, " -m ecn");
	if (bits & 1) {
		add_not(c, t);
		text_add(t, " --ecn-tcp-cwr");
	}
	if (bits & 2) {
		add_not(c, t);
		text_add(t, " --ecn-tcp-ece");
	}
}
