// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <stdlib.h>
#include <string.h>

#include "poke.h"
#include "rng.h"
#include "text.h"

#define INV_FLAGS 0x7f

/* Where each entry starts. Freed by the caller. */
static uint32_t *entry_offsets(const struct table_image *image, unsigned int *nr)
{
	uint32_t *offsets = must_alloc(image->info.num_entries * sizeof(*offsets));
	uint32_t at = 0;

	for (*nr = 0; at < image->info.size && *nr < image->info.num_entries; (*nr)++) {
		offsets[*nr] = at;
		at += ((struct ipt_entry *)(image->entries + at))->next_offset;
	}
	return offsets;
}

static void poke_header(struct ipt_entry *e, struct rng *r)
{
	/* Policies have to stay as they are, or the kernel refuses the table. */
	if (e->target_offset == sizeof(*e) && !memcmp(&e->ip, &(struct ipt_ip){0}, sizeof(e->ip)))
		return;
	switch (rng_below(r, 7)) {
	case 0: /* inverted, but not asked for */
		e->ip.flags &= ~IPT_F_FRAG;
		e->ip.invflags |= IPT_INV_FRAG;
		break;
	case 1:
		e->ip.proto = 0;
		e->ip.invflags |= XT_INV_PROTO;
		break;
	case 2: /* bits beyond the mask */
		e->ip.src.s_addr |= (uint32_t)rng_next(r);
		break;
	case 3:
		e->ip.dmsk.s_addr = rng_next(r);
		break;
	case 4: /* a mask in the middle of a character */
		e->ip.iniface_mask[rng_below(r, IFNAMSIZ)] = rng_next(r);
		break;
	case 5:
		e->ip.outiface[rng_below(r, IFNAMSIZ)] ^= 1 << rng_below(r, 8);
		break;
	default:
		e->ip.invflags ^= 1 << rng_below(r, 7);
	}
}

/* Data of a match, except where the clock would come into it. */
static void poke_match(struct ipt_entry *e, struct rng *r)
{
	static const uint8_t values[] = {0, 1, 2, 15, 16, 127, 128, 254, 255};
	struct xt_entry_match *m;
	unsigned int at = sizeof(*e), size;

	while (at < e->target_offset) {
		m = (void *)((uint8_t *)e + at);
		size = m->u.match_size - sizeof(*m);
		if (size && strcmp(m->u.user.name, "limit") && strcmp(m->u.user.name, "comment") &&
		    rng_chance(r, 70)) {
			m->data[rng_below(r, size)] = RNG_PICK(r, values);
			return;
		}
		at += m->u.match_size;
	}
}

static void poke_target(struct ipt_entry *e, const uint32_t *offsets, unsigned int nr,
			struct rng *r)
{
	static const int verdicts[] = {-NF_DROP - 1, -NF_ACCEPT - 1, XT_RETURN};
	struct xt_standard_target *t = (void *)((uint8_t *)e + e->target_offset);

	if (t->target.u.user.name[0])
		return;
	switch (rng_below(r, 4)) {
	case 0: /* into the middle of a chain */
		t->verdict = offsets[rng_below(r, nr)];
		break;
	case 1:
		e->ip.flags ^= IPT_F_GOTO;
		break;
	case 2:
		t->verdict = RNG_PICK(r, verdicts);
		break;
	default:
		if (t->verdict >= 0)
			t->verdict = offsets[rng_below(r, nr)];
	}
}

void poke_table(struct table_image *image, uint64_t seed)
{
	struct rng r = rng_make(seed, 0);
	unsigned int nr, n = rng_between(&r, 1, 8);
	uint32_t *offsets = entry_offsets(image, &nr);

	while (n--) {
		struct ipt_entry *e = (void *)(image->entries + offsets[rng_below(&r, nr)]);

		switch (rng_below(&r, 10)) {
		case 0: /* rarely: much of it is refused, and the rest of the table with it */
			poke_target(e, offsets, nr, &r);
			break;
		case 1:
		case 2:
			poke_match(e, &r);
			break;
		default:
			poke_header(e, &r);
		}
	}
	free(offsets);
}
