// SPDX-License-Identifier: GPL-2.0
#include "keys.h"

#include <linux/netfilter.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#define EXPONENT 1.1

static const struct region anywhere = REGION_ANY;

/* An address that can be sent from and to, if the prefix has any but few others. */
static uint32_t inside(struct rng *r, uint32_t addr, unsigned int len)
{
	unsigned int tries = 64;
	uint32_t a;

	do
		a = addr | (rng_next(r) & ~prefix_mask(len));
	while (!is_ordinary(a) && --tries);
	return a;
}

static void fill(struct rng *r, const struct region *at, struct key *k)
{
	k->saddr = inside(r, at->saddr, at->slen);
	k->daddr = inside(r, at->daddr, at->dlen);
	k->proto = at->proto ?: (rng_chance(r, 60) ? 6 : 17);
	if (k->proto == 1) {
		k->sport = k->icmp = rng_chance(r, 50) ? 8 << 8 : 0;
	} else {
		k->sport = rng_between(r, at->sport[0] ?: 1, at->sport[1]);
		k->dport = rng_between(r, at->dport[0] ?: 1, at->dport[1]);
		k->icmp = k->sport;
	}
	k->tcp_flags = k->proto == 6 ? 0x02 : 0;
	k->len = KEY_LEN;
	k->in = at->not_in ? 0 : at->in;
	k->out = at->out ?: 1;
	k->ct_state = rng_chance(r, 88) ? CT_NEW : CT_ESTABLISHED;
}

/* Random but for the interfaces, which are now and then those of a rule. */
static struct region somewhere(struct rng *r, const struct set *s)
{
	struct region at = anywhere;

	if (s->nr_regions && rng_chance(r, 50)) {
		const struct region *like = &s->regions[rng_below(r, s->nr_regions)];

		at.in = like->in;
		at.out = like->out;
		at.not_in = like->not_in;
	}
	return at;
}

struct key *keys_make(const struct set *s, uint32_t n, uint64_t seed)
{
	struct key *keys = calloc(n, sizeof(*keys));
	struct rng r = rng_make(seed, 1);
	uint32_t i;

	if (!keys)
		abort();
	for (i = 0; i < n; i++) {
		struct region at = somewhere(&r, s);

		if (s->nr_regions && rng_chance(&r, 50))
			at = s->regions[rng_below(&r, s->nr_regions)];
		fill(&r, &at, &keys[i]);
	}
	return keys;
}

uint32_t *zipf_make(uint32_t flows, uint32_t n, uint64_t seed)
{
	double *sums = malloc(flows * sizeof(*sums)), sum = 0;
	uint32_t *order = malloc(n * sizeof(*order)), i;
	struct rng r = rng_make(seed, 2);

	if (!sums || !order)
		abort();
	for (i = 0; i < flows; i++)
		sums[i] = sum += pow(i + 1, -EXPONENT);
	for (i = 0; i < n; i++) {
		double x = (rng_next(&r) >> 11) * 0x1p-53 * sum;
		uint32_t lo = 0, hi = flows - 1;

		while (lo < hi) {
			uint32_t mid = (lo + hi) / 2;

			if (sums[mid] > x)
				hi = mid;
			else
				lo = mid + 1;
		}
		order[i] = lo;
	}
	free(sums);
	return order;
}

void key_fields(const struct set *s, const struct key *k, uint32_t fields[BF_NR_FIELDS])
{
	memset(fields, 0, BF_NR_FIELDS * sizeof(*fields));
	fields[BF_SADDR] = k->saddr;
	fields[BF_DADDR] = k->daddr;
	fields[BF_PROTO] = k->proto;
	fields[BF_LEN] = k->len;
	fields[BF_L4LEN] = k->len - 20;
	fields[BF_MARK] = k->mark;
	fields[BF_HOOK] = NF_INET_FORWARD;
	fields[BF_SPORT] = k->sport;
	fields[BF_DPORT] = k->dport;
	fields[BF_ICMP] = k->icmp;
	fields[BF_TCP_FLAGS] = k->tcp_flags;
	memcpy(&fields[BF_IIF], s->devices[k->in], sizeof(*s->devices));
	memcpy(&fields[BF_OIF], s->devices[k->out], sizeof(*s->devices));
	fields[BF_CT_STATE] = k->ct_state;
}
