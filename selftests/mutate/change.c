// SPDX-License-Identifier: GPL-2.0
/*
 * Changes to an option value: to fields that the structure names, and to the structure.
 */
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ext.h"
#include "mutate.h"
#include "table.h"

#define HEAD	    sizeof(struct ipt_replace)
#define MAX_ENTRIES 4096

void story_add(struct story *s, const char *fmt, ...)
{
	size_t room = sizeof(s->text) - s->len;
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(s->text + s->len, room, fmt, ap);
	va_end(ap);
	s->len = n < (int)room ? s->len + n : sizeof(s->text) - 1;
}

/*
 * Where entries start, in bytes from the start of the value, as far as they can be followed: a
 * change may have broken the chain of offsets before.
 */
struct layout {
	uint32_t at[MAX_ENTRIES];
	uint32_t n;
};

static struct ipt_entry *entry(struct value *v, uint32_t at)
{
	return (struct ipt_entry *)(v->data + at);
}

static void layout_of(struct value *v, struct layout *l)
{
	uint32_t at = HEAD;

	for (l->n = 0; l->n < MAX_ENTRIES; at += entry(v, at)->next_offset) {
		if (at % 8 || at + sizeof(struct ipt_entry) > v->len)
			break;
		l->at[l->n++] = at;
		if (!entry(v, at)->next_offset)
			break;
	}
}

struct spot_list {
	struct spot *spots;
	size_t n, max;
	const struct value *v;
};

static void spot_add(struct spot_list *l, uint32_t at, unsigned int width, const char *name)
{
	if (at + width > l->v->len)
		return;
	if (l->n == l->max) {
		l->max = l->max ? 2 * l->max : 1024;
		l->spots = realloc(l->spots, l->max * sizeof(*l->spots));
		if (!l->spots)
			abort();
	}
	l->spots[l->n++] = (struct spot){at, width, name};
}

static void spots_add_bytes(struct spot_list *l, uint32_t at, uint32_t len, const char *name)
{
	uint32_t i;

	for (i = 0; i < len; i++)
		spot_add(l, at + i, 1, name);
}

/* A name's letters, what follows its end, and the last byte of its field. */
static void spots_add_name(struct spot_list *l, uint32_t at, uint32_t field, const char *name)
{
	uint32_t len = strnlen((const char *)l->v->data + at, field);

	spots_add_bytes(l, at, len + 2 < field ? len + 2 : field, name);
	if (len + 2 < field)
		spot_add(l, at + field - 1, 1, name);
}

static void spots_add_data(struct spot_list *l, uint32_t at, uint32_t len, const char *name)
{
	uint32_t i;

	spots_add_bytes(l, at, len, name);
	for (i = 0; i + 4 <= len; i += 4)
		spot_add(l, at + i, 4, name);
}

static void spots_add_head(struct spot_list *l)
{
	unsigned int h;

	spots_add_name(l, offsetof(struct ipt_replace, name), XT_TABLE_MAXNAMELEN, "name");
	spot_add(l, offsetof(struct ipt_replace, valid_hooks), 4, "valid_hooks");
	spot_add(l, offsetof(struct ipt_replace, num_entries), 4, "num_entries");
	spot_add(l, offsetof(struct ipt_replace, size), 4, "size");
	spot_add(l, offsetof(struct ipt_replace, num_counters), 4, "num_counters");
	for (h = 0; h < NF_INET_NUMHOOKS; h++) {
		spot_add(l, offsetof(struct ipt_replace, hook_entry[h]), 4, "hook_entry");
		spot_add(l, offsetof(struct ipt_replace, underflow[h]), 4, "underflow");
	}
}

static void spots_add_entry(struct spot_list *l, uint32_t at)
{
	struct ipt_entry *e = entry((struct value *)l->v, at);
	uint32_t target = at + e->target_offset, pos;
	const struct xt_entry_match *m;

	spots_add_bytes(l, at + offsetof(struct ipt_entry, ip.proto), 4, "proto and flags");
	spot_add(l, at + offsetof(struct ipt_entry, ip.src), 4, "src");
	spot_add(l, at + offsetof(struct ipt_entry, ip.dmsk), 4, "dmsk");
	spot_add(l, at + offsetof(struct ipt_entry, ip.iniface), 1, "iniface");
	spot_add(l, at + offsetof(struct ipt_entry, ip.outiface_mask[15]), 1, "outiface_mask");
	spot_add(l, at + offsetof(struct ipt_entry, nfcache), 4, "nfcache");
	spot_add(l, at + offsetof(struct ipt_entry, target_offset), 2, "target_offset");
	spot_add(l, at + offsetof(struct ipt_entry, next_offset), 2, "next_offset");
	spot_add(l, at + offsetof(struct ipt_entry, comefrom), 4, "comefrom");
	spot_add(l, at + offsetof(struct ipt_entry, counters.pcnt), 8, "pcnt");
	for (pos = at + sizeof(*e); pos + sizeof(*m) <= target; pos += m->u.match_size) {
		m = (const void *)(l->v->data + pos);
		spot_add(l, pos, 2, "match_size");
		spots_add_name(l, pos + offsetof(struct xt_entry_match, u.user.name),
			       XT_EXTENSION_MAXNAMELEN, "match name");
		spot_add(l, pos + offsetof(struct xt_entry_match, u.user.revision), 1,
			 "match revision");
		if (m->u.match_size <= sizeof(*m) || m->u.match_size % 8 ||
		    pos + m->u.match_size > target)
			break;
		spots_add_data(l, pos + sizeof(*m), m->u.match_size - sizeof(*m), "match data");
	}
	if (target + sizeof(struct xt_entry_target) > l->v->len)
		return;
	spot_add(l, target, 2, "target_size");
	spots_add_name(l, target + offsetof(struct xt_entry_target, u.user.name),
		       XT_EXTENSION_MAXNAMELEN, "target name");
	spot_add(l, target + offsetof(struct xt_entry_target, u.user.revision), 1,
		 "target revision");
	if (at + e->next_offset <= target + sizeof(struct xt_entry_target))
		return;
	spot_add(l, target + sizeof(struct xt_entry_target), 4, "verdict");
	spots_add_bytes(l, target + sizeof(struct xt_entry_target),
			at + e->next_offset - target - sizeof(struct xt_entry_target),
			"target data");
}

size_t spots_of(const struct value *v, struct spot **spots)
{
	struct spot_list l = {.v = v};
	struct layout layout;
	uint32_t i;

	layout_of((struct value *)v, &layout);
	spots_add_head(&l);
	for (i = 0; i < layout.n; i++)
		spots_add_entry(&l, layout.at[i]);
	*spots = l.spots;
	return l.n;
}

static uint64_t spot_read(const struct value *v, const struct spot *s)
{
	uint64_t x = 0;

	memcpy(&x, v->data + s->at, s->width);
	return x;
}

static void spot_write(struct value *v, const struct spot *s, uint64_t x, struct story *story)
{
	story_add(story, "[%u] %s: 0x%llx -> 0x%llx; ", s->at, s->name,
		  (unsigned long long)spot_read(v, s),
		  (unsigned long long)(s->width < 8 ? x & ((1ULL << 8 * s->width) - 1) : x));
	memcpy(v->data + s->at, &x, s->width);
}

bool spot_change(struct value *v, const struct spot *s, unsigned int i, struct rng *rng,
		 struct story *story)
{
	static const int32_t plain[] = {
		0,   1,	  2,   3,  4,  5,  6,  7,  8,  16,	31,	 32,	 64,
		127, 128, 255, -1, -2, -3, -4, -5, -6, INT_MAX, INT_MIN, 0x7fff, 0x8000,
	};
	static const int32_t steps[] = {1, -1, 4, -4, 8, -8, 16, -16, 144, -144, 152, -152};
	uint64_t old = spot_read(v, s);
	unsigned int n = ARRAY_SIZE(plain), bits = 8 * s->width;

	if (i < n) {
		spot_write(v, s, (int64_t)plain[i], story);
		return true;
	}
	i -= n;
	if (i < ARRAY_SIZE(steps)) {
		spot_write(v, s, old + (int64_t)steps[i], story);
		return true;
	}
	i -= ARRAY_SIZE(steps);
	if (i < bits) {
		spot_write(v, s, old ^ 1ULL << i, story);
		return true;
	}
	i -= bits;
	if (i < 2) {
		spot_write(v, s, rng_next(rng), story);
		return true;
	}
	return false;
}

/* How many contents spot_change() has for it. */
static unsigned int spot_contents(const struct spot *s)
{
	return 26 + 12 + 8 * s->width + 2;
}

/* --- changes of the structure ---------------------------------------------------------- */

static bool layout_pick(struct value *v, struct rng *rng, struct layout *l, uint32_t *at)
{
	layout_of(v, l);
	if (!l->n)
		return false;
	*at = l->at[rng_below(rng, l->n)];
	return true;
}

static struct xt_standard_target *standard_target(struct value *v, uint32_t at)
{
	struct xt_standard_target *t;

	if (at + entry(v, at)->target_offset + sizeof(*t) > v->len)
		return NULL;
	t = (void *)(v->data + at + entry(v, at)->target_offset);
	if ((uintptr_t)t % 8 || t->target.u.user.name[0])
		return NULL;
	return t;
}

static void change_field(struct value *v, struct rng *rng, struct story *story)
{
	struct spot *spots;
	size_t n = spots_of(v, &spots);
	const struct spot *s = &spots[rng_below(rng, n)];

	spot_change(v, s, rng_below(rng, spot_contents(s)), rng, story);
	free(spots);
}

static void change_verdict(struct value *v, struct rng *rng, struct story *story)
{
	static const int32_t odd[] = {-1, -2, -3, -4, -5, -6, 0, 1, 4, 8, INT_MAX, INT_MIN};
	struct xt_standard_target *t;
	struct layout l;
	uint32_t at;

	if (!layout_pick(v, rng, &l, &at))
		return;
	t = standard_target(v, at);
	if (!t)
		return;
	switch (rng_below(rng, 6)) {
	case 0:
		t->verdict = odd[rng_below(rng, ARRAY_SIZE(odd))];
		break;
	case 1:
		t->verdict = rng_below(rng, v->len);
		break;
	case 2:
		t->verdict = v->len - HEAD - 8 * rng_below(rng, 20);
		break;
	default:
		t->verdict = l.at[rng_below(rng, l.n)] - HEAD;
		break;
	}
	story_add(story, "[%u] verdict %d; ", at, t->verdict);
}

static void change_goto(struct value *v, struct rng *rng, struct story *story)
{
	struct layout l;
	uint32_t at;

	if (!layout_pick(v, rng, &l, &at))
		return;
	entry(v, at)->ip.flags ^= IPT_F_GOTO;
	story_add(story, "[%u] goto flag; ", at);
}

/* Make an unconditional rule conditional, or the other way around. */
static void change_condition(struct value *v, struct rng *rng, struct story *story)
{
	struct layout l;
	uint32_t at;

	if (!layout_pick(v, rng, &l, &at))
		return;
	if (rng_below(rng, 2))
		memset(&entry(v, at)->ip, 0, sizeof(struct ipt_ip));
	else
		entry(v, at)->ip.proto = rng_below(rng, 256);
	story_add(story, "[%u] condition; ", at);
}

static void change_length(struct value *v, struct rng *rng, struct story *story)
{
	static const int32_t steps[] = {1, -1, 4, -4, 8, -8, 112, -112, 152, -152, 176, -176};
	int32_t by = steps[rng_below(rng, ARRAY_SIZE(steps))];
	unsigned int what = rng_below(rng, 4);

	if (what == 3) {
		v->len = rng_below(rng, v->len + 1);
		story_add(story, "cut to %zu; ", v->len);
		return;
	}
	if (what != 1 && (int64_t)v->len + by > 0 && v->len + by < MAX_VALUE)
		v->len += by;
	if (what != 0)
		value_head(v)->size += by;
	story_add(story, "%s%s by %d; ", what != 1 ? "length " : "", what != 0 ? "size " : "", by);
}

static void shift(uint32_t *offset, uint32_t from, int32_t by)
{
	if (*offset != UINT32_MAX && *offset >= from)
		*offset += (uint32_t)by;
}

/*
 * Make room for @by bytes at @at, or take them away, and put right every offset that leads behind
 * it, so that what comes out may well be sound. @from: the first byte that moves, for offsets that
 * lead exactly to @at.
 */
static bool splice(struct value *v, uint32_t at, int32_t by)
{
	struct ipt_replace *head = value_head(v);
	uint32_t from = at - HEAD, i;
	struct layout l;

	if (v->len + by > MAX_VALUE || v->len < HEAD || at > v->len || (by < 0 && at - by > v->len))
		return false;
	layout_of(v, &l);
	for (i = 0; i < l.n; i++) {
		struct xt_standard_target *t = standard_target(v, l.at[i]);

		if (t && t->verdict > 0 && (uint32_t)t->verdict >= from &&
		    (uint32_t)t->verdict <= v->len)
			t->verdict += by;
	}
	for (i = 0; i < NF_INET_NUMHOOKS; i++) {
		shift(&head->hook_entry[i], from, by);
		shift(&head->underflow[i], from, by);
	}
	if (by > 0) {
		memmove(v->data + at + by, v->data + at, v->len - at);
		memset(v->data + at, 0, by);
	} else {
		memmove(v->data + at, v->data + at - by, v->len - (at - by));
	}
	head->size += by;
	v->len += by;
	return true;
}

/* Room, or less of it, at the end of an entry, with the entry's own offsets put right. */
static void change_gap(struct value *v, struct rng *rng, struct story *story)
{
	int32_t by = 8 * (1 + rng_below(rng, 3));
	struct layout l;
	uint32_t at, end;

	if (rng_below(rng, 8) == 0)
		by = 1 + rng_below(rng, 7);
	if (!layout_pick(v, rng, &l, &at))
		return;
	if (rng_below(rng, 2))
		at = l.at[l.n - 1];
	end = at + entry(v, at)->next_offset;
	if (entry(v, at)->next_offset + by > UINT16_MAX || !splice(v, end, by))
		return;
	entry(v, at)->next_offset += by;
	if (rng_below(rng, 2))
		memset(v->data + end, rng_next(rng), by);
	story_add(story, "[%u] gap of %d; ", at, by);
}

static void change_order(struct value *v, struct rng *rng, struct story *story)
{
	static uint8_t keep[UINT16_MAX];
	uint32_t i, a, b, size_a, size_b;
	struct layout l;

	layout_of(v, &l);
	if (l.n < 2)
		return;
	i = rng_below(rng, l.n - 1);
	a = l.at[i];
	b = l.at[i + 1];
	size_a = b - a;
	size_b = entry(v, b)->next_offset;
	if (b + size_b > v->len)
		return;
	memcpy(keep, v->data + a, size_a);
	memmove(v->data + a, v->data + b, size_b);
	memcpy(v->data + a + size_b, keep, size_a);
	story_add(story, "[%u] and [%u] exchanged; ", a, b);
}

static void change_remove(struct value *v, struct rng *rng, struct story *story)
{
	struct layout l;
	uint32_t at;

	if (!layout_pick(v, rng, &l, &at) || !splice(v, at, -(int32_t)entry(v, at)->next_offset))
		return;
	if (rng_below(rng, 8))
		value_head(v)->num_entries--;
	story_add(story, "[%u] removed; ", at);
}

/* Copy an entry of another rule set, or of this one, to the start of an entry. */
static void change_insert(struct value *v, struct rng *rng, const struct ruleset *sets, int nr_sets,
			  struct story *story)
{
	struct value *other = sets[rng_below(rng, nr_sets)].value;
	struct layout l, from;
	uint32_t at, source, size;

	if (!layout_pick(v, rng, &l, &at) || !layout_pick(other, rng, &from, &source))
		return;
	size = entry(other, source)->next_offset;
	if (!splice(v, at, size))
		return;
	memcpy(v->data + at, other->data + source, size);
	if (rng_below(rng, 8))
		value_head(v)->num_entries++;
	story_add(story, "[%u] inserted %u bytes; ", at, size);
}

/* Put a match of some other rule into a rule, or take its first one out. */
static void change_matches(struct value *v, struct rng *rng, const struct ruleset *sets,
			   int nr_sets, struct story *story)
{
	struct value *other = sets[rng_below(rng, nr_sets)].value;
	struct xt_entry_match *m;
	struct layout l, from;
	uint32_t at, source;
	int32_t by;

	if (!layout_pick(v, rng, &l, &at) || !layout_pick(other, rng, &from, &source))
		return;
	if (rng_below(rng, 3)) {
		if (entry(other, source)->target_offset == sizeof(struct ipt_entry))
			return;
		m = (void *)(other->data + source + sizeof(struct ipt_entry));
		by = m->u.match_size;
	} else {
		m = (void *)(v->data + at + sizeof(struct ipt_entry));
		if (at + sizeof(struct ipt_entry) + sizeof(*m) > v->len ||
		    entry(v, at)->target_offset < sizeof(struct ipt_entry) + m->u.match_size)
			return;
		by = -(int32_t)m->u.match_size;
	}
	if (entry(v, at)->next_offset + by > UINT16_MAX || entry(v, at)->next_offset + by < 0 ||
	    !splice(v, at + sizeof(struct ipt_entry), by))
		return;
	if (by > 0)
		memcpy(v->data + at + sizeof(struct ipt_entry), m, by);
	entry(v, at)->target_offset += by;
	entry(v, at)->next_offset += by;
	story_add(story, "[%u] match %+d bytes; ", at, by);
}

/* Another revision of the same match that we know, with its size; iptables sends the latest. */
static void change_revision(struct value *v, struct rng *rng, struct story *story)
{
	const struct bf_match *other, *chosen = NULL;
	struct xt_entry_match *m;
	struct layout l;
	uint32_t at, first, i;
	int32_t by;

	if (!layout_pick(v, rng, &l, &at))
		return;
	first = at + sizeof(struct ipt_entry);
	m = (void *)(v->data + first);
	if (first + sizeof(*m) > v->len ||
	    entry(v, at)->target_offset < sizeof(struct ipt_entry) + sizeof(*m))
		return;
	for (i = 0; (other = bf_match_at(i)); i++)
		if (!strncmp(other->name, m->u.user.name, XT_EXTENSION_MAXNAMELEN) &&
		    (!chosen || rng_below(rng, 2)))
			chosen = other;
	if (!chosen)
		return;
	by = sizeof(*m) + XT_ALIGN(chosen->size) - m->u.match_size;
	if (m->u.match_size + by > UINT16_MAX ||
	    !splice(v, first + (by < 0 ? sizeof(*m) : m->u.match_size), by))
		return;
	m->u.match_size += by;
	m->u.user.revision = chosen->revision;
	entry(v, at)->target_offset += by;
	entry(v, at)->next_offset += by;
	story_add(story, "[%u] revision %u; ", at, chosen->revision);
}

static void change_bytes(struct value *v, struct rng *rng, struct story *story)
{
	uint32_t at = rng_below(rng, v->len);

	v->data[at] = rng_next(rng);
	story_add(story, "[%u] byte 0x%x; ", at, v->data[at]);
}

static void change_once(struct value *v, struct rng *rng, const struct ruleset *sets, int nr_sets,
			struct story *story)
{
	switch (rng_below(rng, 18)) {
	case 0:
	case 1:
	case 2:
	case 3:
		return change_field(v, rng, story);
	case 4:
	case 5:
		return change_verdict(v, rng, story);
	case 6:
		return change_goto(v, rng, story);
	case 7:
		return change_condition(v, rng, story);
	case 8:
		return change_length(v, rng, story);
	case 9:
		return change_gap(v, rng, story);
	case 10:
		return change_order(v, rng, story);
	case 11:
		return change_remove(v, rng, story);
	case 12:
	case 13:
		return change_insert(v, rng, sets, nr_sets, story);
	case 14:
		return change_matches(v, rng, sets, nr_sets, story);
	case 15:
	case 16:
		return change_revision(v, rng, story);
	default:
		return change_bytes(v, rng, story);
	}
}

void change_at_random(struct value *v, struct rng *rng, const struct ruleset *sets, int nr_sets,
		      struct story *story)
{
	unsigned int n = 1 + rng_below(rng, rng_below(rng, 2) ? 2 : 6);

	while (n-- && v->len >= HEAD)
		change_once(v, rng, sets, nr_sets, story);
}

bool value_is_greedy(struct value *v)
{
	const struct ipt_replace *head = value_head(v);
	const uint32_t much = 1 << 20;

	if (v->len < sizeof(*head))
		return false;
	return (head->num_entries > much && head->num_entries <= 512U * 1024 * 1024 / 4) ||
	       (head->num_counters > much && head->num_counters <= INT_MAX / 16);
}
