// SPDX-License-Identifier: GPL-2.0
#include "chain.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

const char *const chain_names[CHAIN_SHAPES] = {"acl",	   "fw",       "ipc",	 "k8s",	    "block",
					       "grid",	   "dispatch", "nested", "crossed", "same",
					       "stateful", "striped",  "wild"};

static const uint32_t key_bits[BF_TREE_FIELDS] = {
	[CHAIN_SADDR] = UINT32_MAX,	[CHAIN_DADDR] = UINT32_MAX,
	[CHAIN_PROTO] = 0xff,		[CHAIN_SPORT] = 0xffff,
	[CHAIN_DPORT] = 0xffff,		[CHAIN_IFACE] = UINT32_MAX,
	[CHAIN_IFACE + 1] = UINT32_MAX, [CHAIN_IFACE + 2] = UINT32_MAX,
	[CHAIN_IFACE + 3] = UINT32_MAX, [CHAIN_STATE] = 0x7f,
	[CHAIN_MARK] = UINT32_MAX,
};

static void add_test(struct chain *c, uint32_t rule, unsigned int field, bool range, uint32_t a,
		     uint32_t b)
{
	if (c->nr_tests == c->max_tests) {
		c->max_tests = 2 * c->max_tests + 64;
		c->tests = realloc(c->tests, c->max_tests * sizeof(*c->tests));
	}
	c->tests[c->nr_tests++] = (struct bf_tree_test){field, range, a, b};
	c->rules[rule].nr++;
}

static void exact(struct chain *c, uint32_t rule, unsigned int field, uint32_t value)
{
	add_test(c, rule, field, false, key_bits[field], value);
}

static void prefix(struct chain *c, uint32_t rule, unsigned int field, uint32_t value,
		   unsigned int len)
{
	uint32_t mask = len ? UINT32_MAX << (32 - len) : 0;

	if (len)
		add_test(c, rule, field, false, mask, value & mask);
}

static void range(struct chain *c, uint32_t rule, unsigned int field, uint32_t lo, uint32_t hi)
{
	if (lo || hi < key_bits[field])
		add_test(c, rule, field, true, lo, hi);
}

static uint32_t word(struct dice *d)
{
	return roll(d, 1U << 16) << 16 | roll(d, 1U << 16);
}

/* An address as there are many: few networks, more subnets, hosts at will */
static uint32_t address(struct dice *d, uint32_t seed, uint32_t nets)
{
	struct dice net = {.state = seed * 1000003ULL + roll(d, nets)};
	uint32_t a = word(&net);

	if (chance(d, 70)) {
		struct dice subnet = {.state = a + roll(d, 40)};

		return (a & 0xffff0000) | roll(&subnet, 256) << 8 | roll(d, 256);
	}
	return (a & 0xffff0000) | roll(d, 1 << 16);
}

static uint32_t nets_for(uint32_t nr)
{
	return 5 + nr / 50;
}

static const uint16_t usual_ports[] = {22,   25,   53,	 80,   110,  111,  123,	 135,  139,  143,
				       161,  389,  443,	 445,  514,  993,  1433, 1521, 1526, 1723,
				       2049, 3306, 3389, 5060, 5432, 5631, 6789, 8080, 8443, 9090};

static uint32_t usual_port(struct dice *d)
{
	return chance(d, 80) ? usual_ports[roll(d, sizeof(usual_ports) / 2)] : roll(d, 65536);
}

static void any_ports(struct chain *c, uint32_t r, unsigned int field, struct dice *d,
		      unsigned int open, unsigned int ranges)
{
	uint32_t dice = roll(d, 100), lo;

	if (dice < open)
		return;
	if (dice < open + ranges / 2) {
		range(c, r, field, 1024, 65535);
	} else if (dice < open + ranges) {
		lo = roll(d, 60000);
		range(c, r, field, lo, lo + roll(d, chance(d, 50) ? 20 : 5000));
	} else {
		exact(c, r, field, usual_port(d));
	}
}

static void acl(struct chain *c, uint32_t r, uint32_t nr, struct dice *d)
{
	static const uint8_t lens[] = {32, 32, 32, 32, 28, 27, 26, 25, 24, 24, 24, 23, 21, 16};
	uint32_t nets = nets_for(nr);

	if (!chance(d, 4))
		prefix(c, r, CHAIN_SADDR, address(d, 1, nets), lens[roll(d, sizeof(lens))]);
	prefix(c, r, CHAIN_DADDR, address(d, 2, nets), lens[roll(d, sizeof(lens))]);
	if (chance(d, 90))
		exact(c, r, CHAIN_PROTO, chance(d, 80) ? 6 : 17);
	any_ports(c, r, CHAIN_DPORT, d, 15, 10);
}

/*
 * Source and destination, the former open in @src and the latter in @dst of 100 rules, and both
 * in very few, however many rules there are: more would hide the others.
 */
static void any_addresses(struct chain *c, uint32_t r, uint32_t nr, struct dice *d,
			  const uint8_t *lens, unsigned int src, unsigned int dst)
{
	uint32_t nets = nets_for(nr), dice = roll(d, 100);

	if (roll(d, nr) < 20 && r > nr / 2)
		return;
	if (dice >= src)
		prefix(c, r, CHAIN_SADDR, address(d, 1, nets), lens[roll(d, 16)]);
	if (dice < 100 - dst)
		prefix(c, r, CHAIN_DADDR, address(d, 2, nets), lens[roll(d, 16)]);
}

static void fw(struct chain *c, uint32_t r, uint32_t nr, struct dice *d)
{
	static const uint8_t lens[16] = {32, 32, 32, 32, 32, 32, 32, 31,
					 30, 28, 26, 24, 24, 22, 16, 8};

	any_addresses(c, r, nr, d, lens, 35, 20);
	exact(c, r, CHAIN_PROTO, chance(d, 60) ? 6 : chance(d, 80) ? 17 : 1);
	any_ports(c, r, CHAIN_SPORT, d, 70, 15);
	any_ports(c, r, CHAIN_DPORT, d, 15, 30);
}

static void ipc(struct chain *c, uint32_t r, uint32_t nr, struct dice *d)
{
	static const uint8_t lens[16] = {32, 32, 32, 32, 32, 32, 31, 30,
					 28, 24, 24, 24, 22, 18, 14, 8};

	any_addresses(c, r, nr, d, lens, 12, 10);
	if (chance(d, 85))
		exact(c, r, CHAIN_PROTO, chance(d, 70) ? 6 : 17);
	any_ports(c, r, CHAIN_SPORT, d, 70, 8);
	any_ports(c, r, CHAIN_DPORT, d, 40, 15);
}

static void k8s(struct chain *c, uint32_t r, uint32_t nr, struct dice *d)
{
	exact(c, r, CHAIN_DADDR, 0x0a600000 + roll(d, nr));
	exact(c, r, CHAIN_PROTO, chance(d, 90) ? 6 : 17);
	exact(c, r, CHAIN_DPORT, usual_port(d));
}

static void block(struct chain *c, uint32_t r, uint32_t nr, struct dice *d)
{
	prefix(c, r, CHAIN_SADDR, word(d), chance(d, 75) ? 32 : 24);
}

static void grid(struct chain *c, uint32_t r, uint32_t nr, struct dice *d)
{
	uint32_t side = 1;

	while (500 * side * side < nr)
		side++;
	exact(c, r, CHAIN_SADDR, 0x0a000001 + r % (10 * side));
	exact(c, r, CHAIN_DADDR, 0xc0a80001 + r / (10 * side) % (5 * side));
	exact(c, r, CHAIN_PROTO, 6);
	exact(c, r, CHAIN_SPORT, 10000 + r / (50 * side * side) % 10);
	exact(c, r, CHAIN_DPORT, 1 + r / (500 * side * side) % 10);
}

static void dispatch(struct chain *c, uint32_t r, uint32_t nr, struct dice *d)
{
	struct dice name = {.state = r / 2 + 1};
	uint32_t words[4] = {0};

	snprintf((char *)words, sizeof(words), "cali%08x%03x", word(&name), roll(&name, 4096));
	for (nr = 0; nr < 4; nr++)
		exact(c, r, CHAIN_IFACE + nr, words[nr]);
	if (r % 2) /* return from what the one before does */
		c->rules[r].prunes = true;
	else if (chance(d, 5))
		c->rules[r].prunes = false;
}

static void nested(struct chain *c, uint32_t r, uint32_t nr, struct dice *d)
{
	unsigned int len = roll(d, 33);

	prefix(c, r, CHAIN_SADDR, chance(d, 90) ? 0x0a0a0a0a ^ roll(d, 4) : word(d), len);
	prefix(c, r, CHAIN_DADDR, 0x0b0b0b0b ^ roll(d, 256), roll(d, 33));
	c->rules[r].prunes = chance(d, 1);
}

static void crossed(struct chain *c, uint32_t r, uint32_t nr, struct dice *d)
{
	uint32_t lo = roll(d, 65536), hi = lo + roll(d, 65536 - lo);

	switch (roll(d, 3)) {
	case 0:
		range(c, r, CHAIN_SPORT, lo, hi);
		prefix(c, r, CHAIN_SADDR, word(d), 8 + roll(d, 25));
		break;
	case 1:
		range(c, r, CHAIN_DPORT, lo, hi);
		prefix(c, r, CHAIN_DADDR, word(d), 8 + roll(d, 25));
		break;
	default:
		range(c, r, CHAIN_SPORT, lo, hi);
		range(c, r, CHAIN_DPORT, hi - lo, hi);
	}
}

static void same(struct chain *c, uint32_t r, uint32_t nr, struct dice *d)
{
	exact(c, r, CHAIN_PROTO, 6);
	exact(c, r, CHAIN_DPORT, 80);
	c->rules[r].prunes = false;
}

static void stateful(struct chain *c, uint32_t r, uint32_t nr, struct dice *d)
{
	if (roll(d, nr) < 10) {
		add_test(c, r, CHAIN_STATE, false, 0x06, chance(d, 50) ? 2 : 4);
		c->rules[r].prunes = chance(d, 30);
		return;
	}
	acl(c, r, nr, d);
	if (chance(d, 10))
		add_test(c, r, CHAIN_MARK, false, 0xff00, roll(d, 4) << 8);
	c->rules[r].prunes = chance(d, 50);
}

static void striped(struct chain *c, uint32_t r, uint32_t nr, struct dice *d)
{
	uint32_t lo = roll(d, 64000);

	if (chance(d, 80)) {
		add_test(c, r, CHAIN_SPORT, false, 0xff, roll(d, 100));
		exact(c, r, CHAIN_DPORT, usual_port(d));
	} else {
		range(c, r, CHAIN_SPORT, lo, lo + roll(d, 1500));
	}
	c->rules[r].prunes = chance(d, 70);
}

static void wild(struct chain *c, uint32_t r, uint32_t nr, struct dice *d)
{
	uint32_t n = roll(d, 6), a, b;

	while (n--) {
		unsigned int field = roll(d, CHAIN_FIELDS);

		if (chance(d, 50)) {
			a = word(d) & word(d) & word(d);
			b = chance(d, 95) ? word(d) & a : word(d);
			add_test(c, r, field, false, a, b);
			continue;
		}
		a = word(d) & key_bits[field];
		b = chance(d, 50) ? a + roll(d, 100) : word(d);
		if (a > b && chance(d, 95)) {
			uint32_t t = a;

			a = b;
			b = t;
		}
		add_test(c, r, field, true, a, b);
	}
	c->rules[r].prunes = chance(d, 60);
}

void chain_make(struct chain *c, enum chain_shape shape, uint32_t nr, struct dice *d)
{
	static void (*const shapes[CHAIN_SHAPES])(struct chain *, uint32_t, uint32_t,
						  struct dice *) = {
		acl,	fw,	 ipc,  k8s,	 block,	  grid, dispatch,
		nested, crossed, same, stateful, striped, wild};
	uint32_t r;

	memset(c, 0, sizeof(*c));
	c->rules = calloc(nr, sizeof(*c->rules));
	for (r = 0; r < nr; r++) {
		c->rules[r] = (struct bf_tree_rule){.first = c->nr_tests, .prunes = true};
		if (r + 1 < nr)
			shapes[shape](c, r, nr, d);
		/* One without tests would end the chain. */
		if (r + 1 < nr && !c->rules[r].nr)
			c->rules[r].prunes = false;
	}
	c->in = (struct bf_tree_input){c->tests, c->rules, nr, key_bits};
}

void chain_free(struct chain *c)
{
	free(c->tests);
	free(c->rules);
}

/* Make it so, if that can be. */
static void satisfy(const struct bf_tree_test *t, struct dice *d, uint32_t *key)
{
	uint32_t *k = &key[t->field];

	if (!t->range)
		*k = (*k & ~t->a) | t->b;
	else if (*k < t->a || *k > t->b)
		*k = chance(d, 25)   ? t->a
		     : chance(d, 30) ? t->b
				     : t->a + word(d) % (t->b - t->a + 1ULL);
	*k &= key_bits[t->field];
}

void chain_key(const struct chain *c, struct dice *d, uint32_t *key)
{
	const struct bf_tree_rule *rule = &c->rules[roll(d, c->in.nr_rules)];
	unsigned int f, how = roll(d, 10);
	uint32_t i;

	for (f = 0; f < CHAIN_FIELDS; f++)
		key[f] = word(d) & key_bits[f];
	if (!how)
		return;
	for (i = 0; i < rule->nr; i++)
		satisfy(&c->tests[rule->first + i], d, key);
	/* Leave the rule, but not by far, and perhaps into another. */
	if (how == 1) {
		f = roll(d, CHAIN_FIELDS);
		key[f] = (key[f] ^ 1U << roll(d, 32)) & key_bits[f];
	} else if (how == 2) {
		rule = &c->rules[roll(d, c->in.nr_rules)];
		for (i = 0; i < rule->nr; i++)
			if (chance(d, 50))
				satisfy(&c->tests[rule->first + i], d, key);
	} else if (how == 3) {
		f = roll(d, CHAIN_FIELDS);
		key[f] = (key[f] + (chance(d, 50) ? 1 : -1)) & key_bits[f];
	}
}

bool chain_matches(const struct chain *c, uint32_t rule, const uint32_t *key)
{
	const struct bf_tree_rule *r = &c->rules[rule];
	uint32_t i;

	for (i = 0; i < r->nr; i++) {
		const struct bf_tree_test *t = &c->tests[r->first + i];
		uint32_t k = key[t->field];

		if (t->range ? k < t->a || k > t->b : (k & t->a) != t->b)
			return false;
	}
	return true;
}

uint32_t chain_walk(const struct chain *c, const uint32_t *key, uint32_t *rules, uint32_t max)
{
	uint32_t r, nr = 0;

	for (r = 0; r < c->in.nr_rules; r++) {
		if (!chain_matches(c, r, key))
			continue;
		if (nr < max)
			rules[nr] = r;
		nr++;
		if (c->rules[r].prunes)
			break;
	}
	return nr;
}

uint32_t chain_walk_forest(const struct chain *c, const struct bf_forest *f, const uint32_t *key,
			   uint32_t *rules, uint32_t max, uint64_t *nodes, uint64_t *items)
{
	uint32_t at[BF_FOREST_TREES], nr = 0, t, best, r;

	for (t = 0; t < f->nr_roots; t++) {
		uint64_t node = f->nodes[f->roots[t]];
		uint32_t depth = 0;

		for (; !(node & BF_NODE_LEAF); (*nodes)++) {
			uint32_t k = key[BF_NODE_FIELD(node)];
			uint32_t i = BF_NODE_BASE(node) +
				     ((uint32_t)(k << BF_NODE_SHL(node)) >> BF_NODE_SHR(node));

			if (i >= f->nr_nodes || ++depth > f->depth)
				return UINT32_MAX;
			node = f->nodes[i];
		}
		at[t] = BF_NODE_BASE(node);
	}
	for (;;) {
		/* The least rule of all lists; each is in one, but for the last. */
		for (best = t = 0; t < f->nr_roots; t++) {
			if (at[t] >= f->nr_items)
				return UINT32_MAX;
			if (f->lists[at[t]] < f->lists[at[best]])
				best = t;
		}
		(*items)++;
		r = f->lists[at[best]];
		if (chain_matches(c, r, key)) {
			if (nr < max)
				rules[nr] = r;
			nr++;
			if (c->rules[r].prunes)
				return nr;
		}
		at[best]++;
	}
}
