// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "clauses.h"
#include "shapes.h"
#include "topology.h"

#define NETWORKS   24
/* iptables takes its time with chains. */
#define MAX_CHAINS 1500

/**
 * struct drawing - a rule set being drawn
 * @networks: what the addresses of its rules have in common; many of them are the topology's, so that
 *	packets come by
 * @rules: to be copied behind the chains
 */
struct drawing {
	struct rng *r;
	struct ruleset *rs;
	struct text rules;
	uint32_t networks[NETWORKS];
};

static void draw_networks(struct drawing *d)
{
	unsigned int i;

	for (i = 0; i < NETWORKS; i++) {
		const struct topology_if *f = &topology_ifs[i % TOPOLOGY_IFS];

		d->networks[i] = i < 3 ? f->addr : i < 6 ? f->behind : (uint32_t)rng_next(d->r);
	}
	d->networks[6] = 0xc0000200; /* all of it is local */
}

static uint32_t draw_host(struct drawing *d)
{
	uint32_t net = RNG_PICK(d->r, d->networks);

	switch (rng_below(d->r, 3)) {
	case 0:
		return (net & 0xffffff00) | rng_below(d->r, 256);
	case 1:
		return (net & 0xffff0000) | rng_below(d->r, 65536);
	default:
		return net ^ 1U << rng_below(d->r, 20);
	}
}

static void add_prefix(struct drawing *d, const char *option, uint32_t a, unsigned int len)
{
	a &= len ? UINT32_MAX << (32 - len) : 0;
	text_add(&d->rules, " %s %u.%u.%u.%u/%u", option, a >> 24, a >> 16 & 255, a >> 8 & 255,
		 a & 255, len);
}

static unsigned int draw_port(struct drawing *d)
{
	static const uint16_t usual[] = {0,   1,    22,	  25,	53,    80,    443,
					 445, 1023, 1024, 3306, 32768, 49151, 65535};

	return rng_chance(d->r, 60) ? RNG_PICK(d->r, usual) : rng_below(d->r, 65536);
}

static void add_ports(struct drawing *d, const char *option)
{
	unsigned int a = draw_port(d), b = draw_port(d);

	if (rng_chance(d->r, 60))
		text_add(&d->rules, " %s %u", option, a);
	else
		text_add(&d->rules, " %s %u:%u", option, a < b ? a : b, a < b ? b : a);
}

static void add_protocol(struct drawing *d)
{
	unsigned int draw = rng_below(d->r, 10);

	if (draw == 9) {
		text_add(&d->rules, " -p icmp");
	} else if (draw > 1) {
		text_add(&d->rules, " -p %s", draw < 7 ? "tcp" : "udp");
		if (rng_chance(d->r, 15))
			add_ports(d, "--sport");
		if (rng_chance(d->r, 85))
			add_ports(d, "--dport");
	}
}

static void add_verdict(struct drawing *d)
{
	static const char *const verdicts[] = {"ACCEPT", "ACCEPT", "DROP", "RETURN"};

	text_add(&d->rules, " -j %s\n", RNG_PICK(d->r, verdicts));
}

static const char *draw_hook(struct drawing *d)
{
	static const char *const hooks[] = {"INPUT", "FORWARD", "FORWARD", "OUTPUT"};

	return RNG_PICK(d->r, hooks);
}

static void draw_access(struct drawing *d, unsigned int rules)
{
	static const uint8_t lengths[] = {0, 8, 16, 16, 20, 24, 24, 24, 28, 30, 32, 32, 32};
	const char *hook = draw_hook(d);

	text_add(&d->rules, "-A %s -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n", hook);
	while (rules--) {
		text_add(&d->rules, "-A %s", hook);
		add_prefix(d, "-s", draw_host(d), RNG_PICK(d->r, lengths));
		if (rng_chance(d->r, 80))
			add_prefix(d, "-d", draw_host(d), RNG_PICK(d->r, lengths));
		add_protocol(d);
		add_verdict(d);
	}
}

static void draw_block(struct drawing *d, unsigned int rules)
{
	ruleset_add(d->rs, ":BLOCK - [0:0]");
	text_add(&d->rules, "-A INPUT -j BLOCK\n-A FORWARD ! -i lo -j BLOCK\n");
	while (rules--) {
		text_add(&d->rules, "-A BLOCK");
		add_prefix(d, "-s", rng_chance(d->r, 20) ? draw_host(d) : rng_next(d->r),
			   rng_chance(d->r, 80) ? 32 : rng_between(d->r, 18, 31));
		text_add(&d->rules, " -j DROP\n");
	}
}

/* Chains for one service: its endpoints, of which the first that fits takes the packet. */
static unsigned int draw_service(struct drawing *d, unsigned int service)
{
	unsigned int endpoints = rng_between(d->r, 1, 3), rules = 1, i;

	ruleset_add(d->rs, ":SVC-%u - [0:0]", service);
	text_add(&d->rules, "-A SERVICES");
	add_prefix(d, "-d", draw_host(d), 32);
	text_add(&d->rules, " -p %s", rng_chance(d->r, 80) ? "tcp" : "udp");
	add_ports(d, "--dport");
	text_add(&d->rules, " -m comment --comment \"service %u\" -%c SVC-%u\n", service,
		 rng_chance(d->r, 90) ? 'j' : 'g', service);
	for (i = 0; i < endpoints; i++) {
		text_add(&d->rules, "-A SVC-%u", service);
		add_prefix(d, "-s", draw_host(d), rng_chance(d->r, 50) ? 32 : rng_below(d->r, 17));
		if (rng_chance(d->r, 25))
			text_add(&d->rules, " -m limit --limit 1/hour --limit-burst 3");
		add_verdict(d);
		rules++;
	}
	return rules;
}

static void draw_services(struct drawing *d, unsigned int rules)
{
	unsigned int i, made = 0;

	ruleset_add(d->rs, ":SERVICES - [0:0]");
	text_add(&d->rules,
		 "-A INPUT -j SERVICES\n-A FORWARD -j SERVICES\n-A OUTPUT -j SERVICES\n");
	for (i = 0; i < MAX_CHAINS && made < rules; i++)
		made += draw_service(d, i);
	while (made++ < rules) {
		text_add(&d->rules, "-A SERVICES");
		add_prefix(d, "-d", draw_host(d), 32);
		text_add(&d->rules, " -p tcp");
		add_ports(d, "--dport");
		add_verdict(d);
	}
}

/* What an endpoint lets pass. */
static void draw_endpoint(struct drawing *d, struct clauses *c, unsigned int endpoint,
			  unsigned int rules)
{
	unsigned int n = rng_between(d->r, 2, rules < 12 ? 12 : rules), i;
	unsigned int call = endpoint && rng_chance(d->r, 50) ? rng_between(d->r, 1, n - 1) : 0;

	ruleset_add(d->rs, ":ep-%u - [0:0]", endpoint);
	text_add(&d->rules, "-A ep-%u -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT\n",
		 endpoint);
	for (i = 1; i < n; i++) {
		text_add(&d->rules, "-A ep-%u", endpoint);
		if (rng_chance(d->r, 10)) {
			clauses_add(c, &d->rules, FROM_ANY);
		} else {
			add_prefix(d, rng_chance(d->r, 50) ? "-s" : "-d", draw_host(d),
				   rng_between(d->r, 8, 32));
			add_protocol(d);
		}
		if (i == call)
			text_add(&d->rules, " -%c ep-%u\n", rng_chance(d->r, 30) ? 'g' : 'j',
				 rng_below(d->r, endpoint));
		else
			add_verdict(d);
	}
}

static void draw_chains(struct drawing *d, unsigned int rules)
{
	unsigned int endpoints = rng_between(d->r, 8, 200), i, group;
	struct clauses c = {.sound = true};

	clauses_init(&c, d->r);
	c.marks = false;
	for (group = 0; group < 8; group++) {
		ruleset_add(d->rs, ":group-%u - [0:0]", group);
		text_add(&d->rules, "-A %s", draw_hook(d));
		if (rng_chance(d->r, 50))
			text_add(&d->rules, " -m conntrack ! --ctstate INVALID");
		text_add(&d->rules, " -j group-%u\n", group);
	}
	/* Those after it jump to those before: none of them comes back to itself. */
	for (i = 0; i < endpoints; i++) {
		draw_endpoint(d, &c, i, 2 * rules / endpoints);
		text_add(&d->rules, "-A group-%u", rng_below(d->r, 8));
		add_prefix(d, rng_chance(d->r, 50) ? "-s" : "-d", draw_host(d),
			   rng_between(d->r, 12, 32));
		text_add(&d->rules, " -%c ep-%u\n", rng_chance(d->r, 50) ? 'g' : 'j', i);
	}
}

static void draw_counting(struct drawing *d, unsigned int rules)
{
	const char *hook = draw_hook(d);

	while (rules--) {
		text_add(&d->rules, "-A %s", hook);
		if (rng_chance(d->r, 70))
			add_prefix(d, "-s", draw_host(d), rng_below(d->r, 33));
		if (rng_chance(d->r, 40))
			add_prefix(d, "-d", draw_host(d), rng_below(d->r, 33));
		if (rng_chance(d->r, 60))
			add_protocol(d);
		if (rng_chance(d->r, 5))
			text_add(&d->rules, " -m limit --limit 1/hour --limit-burst %u",
				 rng_between(d->r, 1, 17));
		if (rng_below(d->r, 1000) < 3)
			add_verdict(d);
		else
			text_add(&d->rules, "\n");
	}
}

static void draw_nested(struct drawing *d, unsigned int rules)
{
	const char *hook = draw_hook(d);
	bool inwards = rng_chance(d->r, 50);
	unsigned int i;

	for (i = 0; i < rules; i++) {
		unsigned int len = 32 * (uint64_t)(inwards ? i : rules - 1 - i) / rules + 1;
		unsigned int lo = rng_below(d->r, 32768) * len / 33;

		text_add(&d->rules, "-A %s", hook);
		add_prefix(d, "-s", RNG_PICK(d->r, d->networks), len);
		add_prefix(d, "-d", d->networks[rng_below(d->r, 7)], rng_below(d->r, 33));
		text_add(&d->rules, " -p tcp --sport %u:%u --dport %u:%u -j %s\n", lo, 65535 - lo,
			 lo, lo + 32767, rng_chance(d->r, 50) ? "ACCEPT" : "DROP");
	}
}

static void draw_anything(struct drawing *d, unsigned int rules)
{
	const char *hook = draw_hook(d);
	unsigned int from = !strcmp(hook, "INPUT")     ? FROM_INPUT
			    : !strcmp(hook, "FORWARD") ? FROM_FORWARD
						       : FROM_OUTPUT;
	struct clauses c = {.marks = true, .sound = true};

	while (rules--) {
		/* Few values, so that rules overlap, but others all the time. */
		if (rules % 16 == 0 || c.marks)
			clauses_init(&c, d->r);
		c.marks = false;
		text_add(&d->rules, "-A %s", hook);
		clauses_add(&c, &d->rules, from);
		add_verdict(d);
	}
}

static const struct {
	const char *name;
	void (*draw)(struct drawing *d, unsigned int rules);
} shapes[NR_SHAPES] = {
	[SHAPE_ACCESS] = {"access list", draw_access},
	[SHAPE_BLOCK] = {"blocklist", draw_block},
	[SHAPE_SERVICES] = {"services", draw_services},
	[SHAPE_CHAINS] = {"chains", draw_chains},
	[SHAPE_COUNTING] = {"counting rules", draw_counting},
	[SHAPE_NESTED] = {"nested prefixes", draw_nested},
	[SHAPE_ANYTHING] = {"anything", draw_anything},
};

const char *shape_name(enum shape shape)
{
	return shapes[shape].name;
}

void shape_ruleset(struct ruleset *rs, struct rng *r, enum shape shape, unsigned int rules)
{
	static const char *const hooks[] = {"INPUT", "FORWARD", "OUTPUT"};
	struct drawing d = {.r = r, .rs = rs};
	char *line, *save;
	unsigned int i;

	for (i = 0; i < 3; i++)
		ruleset_add(rs, ":%s %s [0:0]", hooks[i], rng_chance(r, 30) ? "DROP" : "ACCEPT");
	draw_networks(&d);
	shapes[shape].draw(&d, rules);
	for (line = strtok_r(d.rules.s, "\n", &save); line; line = strtok_r(NULL, "\n", &save))
		ruleset_add(rs, "%s", line);
	text_free(&d.rules);
}
