// SPDX-License-Identifier: GPL-2.0
/*
 * Shapes of one chain. The first three have the proportions of the seeds that ClassBench (Taylor and Turner,
 * 2007) took from filter sets in use, acl1, fw1 and ipc1: how long the prefixes are and how often ports are
 * exact, a range or not looked at. The generator is our own.
 */
#include "set.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* One of several, with its share of 1000. */
struct share {
	uint16_t permille;
	uint16_t value;
};

enum ports { ANY, HIGH, LOW, RANGE, EXACT };

/**
 * struct profile - proportions of a rule set
 * @src, @dst: lengths of prefixes
 * @nested: percent of prefixes that lie in one that was used before
 */
struct profile {
	struct share src[8], dst[8];
	struct share sport[5], dport[5];
	struct share proto[4];
	unsigned int nested;
};

static const struct profile acl = {
	.src = {{80, 0}, {30, 8}, {90, 16}, {60, 20}, {190, 24}, {100, 28}, {450, 32}},
	.dst = {{10, 0}, {20, 16}, {50, 20}, {180, 24}, {120, 28}, {620, 32}},
	.sport = {{1000, ANY}},
	.dport = {{300, ANY}, {40, HIGH}, {80, RANGE}, {580, EXACT}},
	.proto = {{850, 6}, {80, 17}, {40, 0}, {30, 1}},
	.nested = 60,
};

static const struct profile fw = {
	.src = {{400, 0}, {20, 8}, {60, 16}, {30, 20}, {140, 24}, {40, 28}, {310, 32}},
	.dst = {{450, 0}, {10, 8}, {40, 16}, {20, 20}, {80, 24}, {50, 28}, {350, 32}},
	.sport = {{820, ANY}, {80, HIGH}, {20, RANGE}, {80, EXACT}},
	.dport = {{200, ANY}, {60, HIGH}, {10, LOW}, {160, RANGE}, {570, EXACT}},
	.proto = {{640, 6}, {260, 17}, {60, 0}, {40, 1}},
	.nested = 50,
};

static const struct profile ipc = {
	.src = {{60, 0}, {40, 8}, {140, 16}, {90, 20}, {260, 24}, {110, 27}, {300, 32}},
	.dst = {{90, 0}, {40, 8}, {130, 16}, {110, 20}, {230, 24}, {100, 27}, {300, 32}},
	.sport = {{600, ANY}, {60, HIGH}, {60, RANGE}, {280, EXACT}},
	.dport = {{360, ANY}, {80, HIGH}, {20, LOW}, {120, RANGE}, {420, EXACT}},
	.proto = {{560, 6}, {290, 17}, {100, 0}, {50, 1}},
	.nested = 70,
};

static uint16_t pick(struct rng *r, const struct share *shares)
{
	int at = rng_below(r, 1000);

	while ((at -= shares->permille) >= 0)
		shares++;
	return shares->value;
}

static void make_ports(struct rng *r, enum ports kind, uint16_t *ports)
{
	static const uint16_t known[] = {80,  443,  53,	  22,	25,   123,  110,  143, 161, 389,
					 993, 3306, 5432, 8080, 8443, 6379, 1521, 21,  23,  179};

	ports[0] = 0;
	ports[1] = 65535;
	switch (kind) {
	case ANY:
		break;
	case HIGH:
		ports[0] = 1024;
		break;
	case LOW:
		ports[1] = 1023;
		break;
	case RANGE:
		ports[0] = rng_between(r, 1, 60000);
		ports[1] = ports[0] + rng_between(r, 1, rng_chance(r, 70) ? 64 : 5000);
		break;
	case EXACT:
		ports[0] = rng_chance(r, 60) ? RNG_PICK(r, known) : rng_between(r, 1, 49151);
		ports[1] = ports[0];
		break;
	}
}

/**
 * struct places - addresses that rules were about
 * @first: those in front were used more
 */
struct places {
	uint32_t *addrs;
	uint32_t n;
};

/* In a network that was used before, the earlier ones more often, or somewhere new. */
static uint32_t make_address(struct rng *r, struct places *p, unsigned int nested)
{
	uint32_t a = some_address(r), mask, i;

	if (p->n && rng_chance(r, nested)) {
		i = (uint64_t)rng_below(r, p->n) * rng_below(r, p->n) / p->n;
		mask = prefix_mask(8 * rng_between(r, 1, 3));
		a = (p->addrs[i] & mask) | (a & ~mask);
	}
	p->addrs[p->n++] = a;
	return a;
}

/* How much of a packet a rule looks at, in bits: those that look at more come earlier, by and large. */
static unsigned int bits(const struct region *r)
{
	return r->slen + r->dlen + (r->proto ? 8 : 0) + (r->sport[0] == r->sport[1] ? 16 : 0) +
	       (r->dport[0] == r->dport[1] ? 16 : 0);
}

struct ranked {
	struct region region;
	uint32_t rank, i;
};

static int by_rank(const void *a, const void *b)
{
	const struct ranked *x = a, *y = b;

	if (x->rank != y->rank)
		return x->rank > y->rank ? -1 : 1;
	return x->i < y->i ? -1 : 1;
}

/* Nothing that would take most packets away from all others. */
static bool too_wide(const struct region *r)
{
	return r->slen + r->dlen < 8 && (!r->proto || r->dport[0] != r->dport[1]) && r->proto != 1;
}

static void one_region(struct rng *r, const struct profile *p, struct places *src,
		       struct places *dst, struct region *to)
{
	do {
		memset(to, 0, sizeof(*to));
		to->sport[1] = to->dport[1] = 65535;
		to->slen = pick(r, p->src);
		to->dlen = pick(r, p->dst);
		to->proto = pick(r, p->proto);
		if (to->proto == 6 || to->proto == 17) {
			make_ports(r, pick(r, p->sport), to->sport);
			make_ports(r, pick(r, p->dport), to->dport);
		}
	} while (too_wide(to));
	to->saddr = make_address(r, src, p->nested) & prefix_mask(to->slen);
	to->daddr = make_address(r, dst, p->nested) & prefix_mask(to->dlen);
}

/**
 * struct known - the regions that there are already, by hash
 * @slots: a number in @all, plus one; 0: free
 */
struct known {
	const struct ranked *all;
	uint32_t *slots;
	uint32_t mask;
};

static uint32_t hash(const struct region *r)
{
	const uint32_t words[] = {r->saddr, r->daddr, r->slen << 16 | r->dlen << 8 | r->proto,
				  r->sport[0] << 16 | r->sport[1], r->dport[0] << 16 | r->dport[1]};
	uint32_t h = 0, i;

	for (i = 0; i < sizeof(words) / sizeof(words[0]); i++)
		h = (h ^ words[i]) * 0x9e3779b1 ^ h >> 15;
	return h;
}

/* Has another rule the same region? If not, it is this one's. Both are zeroed where they have nothing. */
static bool is_known(struct known *k, uint32_t i)
{
	uint32_t at = hash(&k->all[i].region) & k->mask;

	for (; k->slots[at]; at = (at + 1) & k->mask)
		if (!memcmp(&k->all[k->slots[at] - 1].region, &k->all[i].region,
			    sizeof(struct region)))
			return true;
	k->slots[at] = i + 1;
	return false;
}

static void make_profile(struct set *s, const struct profile *p)
{
	struct ranked *all = calloc(s->limit, sizeof(*all));
	struct places src = {.addrs = calloc(s->limit, sizeof(uint32_t))};
	struct places dst = {.addrs = calloc(s->limit, sizeof(uint32_t))};
	struct known known = {.all = all, .mask = 1};
	uint32_t i;

	while (known.mask < 2 * s->limit)
		known.mask = known.mask * 2 + 1;
	known.slots = calloc(known.mask + 1, sizeof(*known.slots));
	if (!all || !src.addrs || !dst.addrs || !known.slots)
		abort();
	for (i = 0; i < s->limit; i++) {
		do {
			src.n = dst.n = i;
			one_region(&s->rng, p, &src, &dst, &all[i].region);
		} while (is_known(&known, i));
		all[i].rank = bits(&all[i].region) + rng_below(&s->rng, 32);
		all[i].i = i;
	}
	qsort(all, s->limit, sizeof(*all), by_rank);
	for (i = 0; i < s->limit; i++)
		set_about(s, "FORWARD", &all[i].region,
			  rng_chance(&s->rng, 70) ? "-j ACCEPT" : "-j DROP");
	free(all);
	free(src.addrs);
	free(dst.addrs);
	free(known.slots);
}

void make_acl(struct set *s)
{
	make_profile(s, &acl);
}

void make_fw(struct set *s)
{
	make_profile(s, &fw);
}

void make_ipc(struct set *s)
{
	make_profile(s, &ipc);
}

/* 172.16.0.0/12 for services, 100.64.0.0/10 for pods. */
void make_k8s(struct set *s)
{
	static const uint16_t ports[] = {80, 443, 53, 8080, 8443, 9090, 9100, 5432, 6379, 3306};
	char more[160];
	uint32_t i;

	set_rule(s, "FORWARD -m conntrack --ctstate RELATED,ESTABLISHED -j ACCEPT");
	for (i = 0; !set_full(s); i++) {
		struct region r = REGION_ANY;

		r.daddr = 0xac100000 | rng_below(&s->rng, 1 << 20);
		r.dlen = 32;
		if (rng_chance(&s->rng, 40)) {
			r.saddr = 0x64400000 | rng_below(&s->rng, 1 << 22);
			r.slen = 32;
		}
		r.proto = rng_chance(&s->rng, 85) ? 6 : 17;
		r.dport[0] = r.dport[1] = rng_chance(&s->rng, 70)
						  ? RNG_PICK(&s->rng, ports)
						  : rng_between(&s->rng, 30000, 32767);
		snprintf(more, sizeof(more), "-m comment --comment \"ns-%u/svc-%u:port-%u\" -j %s",
			 i % 97, i, r.dport[0], rng_chance(&s->rng, 90) ? "ACCEPT" : "DROP");
		set_about(s, "FORWARD", &r, more);
	}
}

void make_block(struct set *s)
{
	s->policy = "ACCEPT";
	while (!set_full(s)) {
		struct region r = REGION_ANY;

		r.saddr = some_address(&s->rng);
		r.slen = rng_chance(&s->rng, 70) ? 32 : 24;
		set_about(s, "FORWARD", &r, "-j DROP");
	}
}

/* The set with which pcn-iptables was measured (Miano et al., 2019), and smaller and larger ones alike. */
void make_grid(struct set *s)
{
	uint32_t dim[4] = {10, 5, 10, 10}, product = 5000, i, j, grow = 0;

	while (product < s->limit) {
		product = product / dim[grow] * (dim[grow] * 2);
		dim[grow] *= 2;
		grow = (grow + 1) % 4;
	}
	for (i = 0; i < 4 && s->limit < 5000; i++)
		while (dim[i] > 1 && product / dim[i] * (dim[i] - 1) >= s->limit) {
			product = product / dim[i] * (dim[i] - 1);
			dim[i]--;
		}
	for (i = 0; i < product && !set_full(s); i++) {
		uint32_t at[4], rest = i;
		struct region r = REGION_ANY;

		for (j = 4; j--; rest /= dim[j])
			at[j] = rest % dim[j];
		r.saddr = 0xc0a80001 + at[0];
		r.daddr = 0xac100001 + at[1];
		r.slen = r.dlen = 32;
		r.proto = 17;
		r.sport[0] = r.sport[1] = 10000 + at[2];
		r.dport[0] = r.dport[1] = 20000 + at[3];
		set_about(s, "FORWARD", &r, "-j ACCEPT");
	}
}
