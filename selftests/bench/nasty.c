// SPDX-License-Identifier: GPL-2.0
/* Shapes against which the known methods of classification fail. */
#include "set.h"

#include <stdlib.h>

struct entry {
	struct region r;
	uint32_t i;
};

/* The longer prefixes first, so that no rule hides another. */
static int longer(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;
	int d = y->r.slen + y->r.dlen - x->r.slen - x->r.dlen;

	return d ? d : x->i < y->i ? -1 : 1;
}

/* Every length of source with every length of destination, of a few addresses. */
void make_nested(struct set *s)
{
	struct entry *all = calloc(s->limit, sizeof(*all));
	uint32_t bases = 1, src[32], dst[32], i;

	if (!all)
		abort();
	while (bases < 32 && bases * bases * 1024 < s->limit)
		bases++;
	for (i = 0; i < bases; i++) {
		src[i] = some_address(&s->rng);
		dst[i] = some_address(&s->rng);
	}
	for (i = 0; i < s->limit; i++) {
		struct region *r = &all[i].r;

		*r = (struct region)REGION_ANY;
		r->slen = 32 - i % 32;
		r->dlen = 32 - i / 32 % 32;
		r->saddr = src[i / 1024 % bases] & prefix_mask(r->slen);
		r->daddr = dst[i / 1024 / bases % bases] & prefix_mask(r->dlen);
		all[i].i = i;
	}
	qsort(all, s->limit, sizeof(*all), longer);
	for (i = 0; i < s->limit; i++)
		set_about(s, "FORWARD", &all[i].r,
			  rng_chance(&s->rng, 50) ? "-j ACCEPT" : "-j DROP");
	free(all);
}

/* Narrow in one port and wide in the other: any two of different kinds have packets in common. */
void make_crossing(struct set *s)
{
	uint32_t i;

	for (i = 0; !set_full(s); i++) {
		struct region r = REGION_ANY;
		uint16_t *narrow = i % 2 ? r.sport : r.dport, *wide = i % 2 ? r.dport : r.sport;

		r.proto = 17;
		r.saddr = some_address(&s->rng);
		r.slen = rng_below(&s->rng, 3);
		r.saddr &= prefix_mask(r.slen);
		narrow[0] = rng_between(&s->rng, 1, 65500);
		narrow[1] = narrow[0] + rng_below(&s->rng, 32);
		wide[0] = rng_between(&s->rng, 1, 20000);
		wide[1] = rng_between(&s->rng, 40000, 65535);
		set_about(s, "FORWARD", &r, rng_chance(&s->rng, 50) ? "-j ACCEPT" : "-j DROP");
	}
}

/* Nine of ten only count. */
void make_nonterminal(struct set *s)
{
	uint32_t i;

	for (i = 0; !set_full(s); i++) {
		struct region r = REGION_ANY;
		bool ends = i % 10 == 9;

		r.saddr = some_address(&s->rng);
		r.slen = ends ? 32 : rng_between(&s->rng, 4, 12);
		r.daddr = some_address(&s->rng);
		r.dlen = ends ? 24 : 0;
		r.saddr &= prefix_mask(r.slen);
		r.daddr &= prefix_mask(r.dlen);
		set_about(s, "FORWARD", &r, ends ? "-j ACCEPT" : "");
	}
}

/* Each gives the first packet its credit and none to the others; every packet has to ask all of them. */
void make_stateful(struct set *s)
{
	static const struct region any = REGION_ANY;

	s->policy = "ACCEPT";
	while (set_rule(s, "FORWARD -m limit --limit 1/day --limit-burst 1"))
		;
	set_region(s, &any);
}
