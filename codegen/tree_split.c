// SPDX-License-Identifier: GPL-2.0
/*
 * Splitting a leaf: which rules are possible behind each value of a window.
 *
 * Rules that do not care about the window are kept apart, as all children have them; the others
 * are sorted by child, in one array. Children with the same rules become one.
 */
#include <errno.h>
#include <string.h>

#include "tree_grow.h"

/* A rule is never in a list by a smaller share, as a power of two. */
#define SHARE_MAX  100
/* So many keys are as good as the rules to tell how the traffic is distributed. */
#define KEYS_DOUBT 16

/* The item where its rule is in so many lists instead of one */
static uint32_t item_divide(uint32_t item, uint32_t by)
{
	uint32_t share = ITEM_SHARE(item) + (by > 1 ? 32 - __builtin_clz(by - 1) : 0);

	return ITEM_RULE(item) | (share < SHARE_MAX ? share : SHARE_MAX) << 24;
}

/**
 * struct split - a leaf on its way to become an inner node
 * @copies: items in grower.narrow, those of child v at grower.start[v]
 * @nr_wide: items that all children have, in grower.wide
 * @wide_share: how much of the rules that is
 * @all_share: and of all rules in the leaf
 * @keys: those of the leaf, child by child
 */
struct split {
	struct leaf leaf; /* as it was */
	const struct window *w;
	uint32_t children;
	uint64_t copies;
	uint32_t nr_wide;
	float wide_share, all_share;
	uint16_t *keys;
};

/* How long each child's list will be */
static int split_count(struct grower *g, struct split *sp)
{
	const struct list *list = &sp->leaf.list;
	struct scratch *s = g->scratch;
	uint64_t most = 4 * (g->limits->bytes / g->limits->item_bytes) + 16 * list->nr;
	uint32_t i, v, rest;

	memset(s->count, 0, sp->children * sizeof(*s->count));
	memset(s->share, 0, sp->children * sizeof(*s->share));
	if (!make_room(&g->wide, &g->max_wide, 0, list->nr, sizeof(*g->wide)))
		return -ENOMEM;
	for (i = 0; i < list->nr; i++) {
		uint32_t item = list->items[i];
		struct slots slots = slots_of(g->set, sp->leaf.region, sp->w, ITEM_RULE(item));
		uint32_t count = slots_count(&slots);
		float power = s->power[ITEM_SHARE(item)];

		sp->all_share += power;
		if (count == sp->children) {
			sp->wide_share += power;
			g->wide[sp->nr_wide++] = item_divide(item, count);
			continue;
		}
		if (sp->copies + count > most)
			return -E2BIG;
		rest = 0;
		do {
			v = slots.value | rest;
			rest = (rest - slots.free) & slots.free;
			if (v < slots.lo || v > slots.hi)
				continue;
			sp->copies++;
			s->count[v]++;
			s->share[v] += power / count;
		} while (rest);
	}
	return 0;
}

/* Of a rule with bounds in the window's field: they are not answered by the child's region either. */
static bool stays_open(const struct grower *g, const struct split *sp, uint32_t rule, uint32_t v)
{
	const struct window *w = sp->w;
	struct cell region = sp->leaf.region[w->field];

	region.mask |= window_mask(w) << w->pos;
	region.value |= v << w->pos;
	return !span_holds(&spans_of(g->set, rule)[g->set->span_of[w->field]], &region);
}

/* The items of each child, and which children are like no other: grower.alone */
static int split_fill(struct grower *g, const struct split *sp)
{
	const struct list *list = &sp->leaf.list;
	const struct cell *region = sp->leaf.region;
	const struct window *w = sp->w;
	uint32_t i, v, rest, at = 0;

	if (!make_room(&g->narrow, &g->max_narrow, 0, sp->copies + 1, sizeof(*g->narrow)))
		return -ENOMEM;
	for (v = 0; v < sp->children; v++) {
		g->start[v] = at;
		at += g->scratch->count[v];
		g->alone[v] = false;
	}
	g->start[v] = at;
	for (i = 0; i < list->nr; i++) {
		uint32_t item = list->items[i], rule = ITEM_RULE(item);
		struct slots slots = slots_of(g->set, region, w, rule);
		uint32_t count = slots_count(&slots);
		bool wide = count == sp->children;

		if (wide && !slots.open)
			continue;
		item = item_divide(item, count);
		rest = 0;
		do {
			v = slots.value | rest;
			rest = (rest - slots.free) & slots.free;
			if (v < slots.lo || v > slots.hi)
				continue;
			if (!wide)
				g->narrow[g->start[v]++] = item;
			if (slots.open)
				g->alone[v] |= stays_open(g, sp, rule, v);
		} while (rest);
	}
	for (v = sp->children; v; v--)
		g->start[v] = g->start[v - 1];
	g->start[0] = 0;
	return 0;
}

/*
 * Children with the same rules are the same: what a rule asks beyond the window does not depend
 * on which of the values in the window it was, unless it is open. grower.same says for each child
 * which is the first such.
 */
static void split_compare(struct grower *g, const struct split *sp)
{
	uint32_t mask = 2 * sp->children - 1, v, i, at;

	memset(g->table, 0, (mask + 1) * sizeof(*g->table));
	for (v = 0; v < sp->children; v++) {
		const uint32_t *items = g->narrow + g->start[v];
		uint32_t nr = g->start[v + 1] - g->start[v];
		uint64_t hash = nr;

		g->same[v] = v;
		if (g->alone[v])
			continue;
		for (i = 0; i < nr; i++)
			hash = (hash ^ items[i]) * 0x9e3779b97f4a7c15;
		for (at = hash >> 32 & mask; g->table[at]; at = (at + 1) & mask) {
			uint32_t other = g->table[at] - 1;
			uint32_t start = g->start[other];

			if (g->start[other + 1] - start == nr &&
			    !memcmp(g->narrow + start, items, nr * sizeof(*items)))
				break;
		}
		if (g->table[at]) {
			g->same[v] = g->table[at] - 1;
			g->scratch->share[g->same[v]] += g->scratch->share[v];
			g->scratch->count[g->same[v]]++;
		} else {
			g->table[at] = v + 1;
			g->scratch->count[v] = 1;
		}
	}
	/* From here on, scratch.count says how many children each of these stands for. */
	for (v = 0; v < sp->children; v++)
		if (g->alone[v])
			g->scratch->count[v] = 1;
}

/* The child's list, ascending */
static struct list split_list(struct grower *g, const struct split *sp, uint32_t v)
{
	const uint32_t *n = g->narrow + g->start[v], *n_end = g->narrow + g->start[v + 1];
	const uint32_t *w = g->wide, *w_end = g->wide + sp->nr_wide;
	struct list list = {0};
	uint32_t *to;

	list.nr = (n_end - n) + sp->nr_wide;
	to = list.items = chunk_alloc(g, list.nr * sizeof(*to));
	if (!to)
		return list;
	while (n < n_end && w < w_end)
		*to++ = ITEM_RULE(*n) < ITEM_RULE(*w) ? *n++ : *w++;
	while (n < n_end)
		*to++ = *n++;
	while (w < w_end)
		*to++ = *w++;
	return list;
}

/*
 * Which keys go to which child, as those of child v from grower.key_start[v] on in one array, which
 * the children's lists share.
 */
static int split_keys(struct grower *g, struct split *sp)
{
	const struct list *list = &sp->leaf.list;
	const struct window *w = sp->w;
	uint16_t values[KEYS];
	uint32_t i, v, at = 0;

	memset(g->nr_keys, 0, sp->children * sizeof(*g->nr_keys));
	sp->keys = chunk_alloc(g, ROOM(list->nr_keys, *sp->keys));
	if (!sp->keys)
		return -ENOMEM;
	for (i = 0; i < list->nr_keys; i++) {
		uint32_t key = g->set->keys[list->keys[i] * g->set->nr_fields + w->field];

		values[i] = g->same[key >> w->pos & window_mask(w)];
		g->nr_keys[values[i]]++;
	}
	for (v = 0; v < sp->children; v++) {
		g->key_start[v] = at;
		at += g->nr_keys[v];
	}
	for (i = 0; i < list->nr_keys; i++)
		sp->keys[g->key_start[values[i]]++] = list->keys[i];
	return 0;
}

/*
 * The part of the leaf's traffic that a child gets: by the keys, as far as they go, and by the rules
 * to tell those apart that got none.
 */
static float split_weight(const struct grower *g, const struct split *sp, uint32_t v)
{
	const struct scratch *s = g->scratch;
	float even = (float)s->count[v] / sp->children;
	float share = (s->share[v] + sp->wide_share * even) / sp->all_share;
	uint32_t keys = sp->leaf.list.nr_keys;

	return (g->nr_keys[v] + share * KEYS_DOUBT) / (keys + KEYS_DOUBT);
}

static int split_children(struct grower *g, const struct split *sp)
{
	const struct window *w = sp->w;
	const struct leaf *leaf = &sp->leaf;
	struct cell region[BF_TREE_FIELDS];
	uint32_t v;
	int err;

	memcpy(region, leaf->region, g->set->nr_fields * sizeof(*region));
	region[w->field].mask |= window_mask(w) << w->pos;
	for (v = 0; v < sp->children; v++) {
		uint32_t id = g->nr_leaves;

		if (g->same[v] == v) {
			struct list list = split_list(g, sp, v);

			if (!list.items)
				return -ENOMEM;
			list.nr_keys = g->nr_keys[v];
			list.keys = sp->keys + g->key_start[v] - list.nr_keys;
			region[w->field].value = leaf->region[w->field].value | v << w->pos;
			err = leaf_add(g, list, region, leaf->weight * split_weight(g, sp, v),
				       leaf->depth + 1);
			if (err)
				return err;
			if (g->bytes > g->limits->bytes || !g->limits->work)
				return -E2BIG;
		} else {
			id = (uint32_t)g->nodes[g->nr_nodes + g->same[v]];
		}
		g->nodes[g->nr_nodes + v] = BF_NODE_LEAF | id;
	}
	return 0;
}

int leaf_split(struct grower *g, uint32_t id)
{
	const struct window w = g->leaves[id].window;
	struct split sp = {.leaf = g->leaves[id], .w = &w, .children = 1U << w.width};
	uint32_t first = g->nr_leaves;
	uint64_t bytes = g->bytes;
	int err;

	g->bytes += (uint64_t)sp.children * sizeof(*g->nodes) -
		    (uint64_t)sp.leaf.list.nr * g->limits->item_bytes;
	if (!make_room(&g->nodes, &g->max_nodes, g->nr_nodes, sp.children, sizeof(*g->nodes)))
		return -ENOMEM;
	err = split_count(g, &sp);
	work_done(g, sp.leaf.list.nr + 2 * sp.copies + sp.children / 4);
	if (!err)
		err = split_fill(g, &sp);
	if (!err) {
		split_compare(g, &sp);
		err = split_keys(g, &sp);
	}
	if (!err)
		err = split_children(g, &sp);
	if (err) {
		g->bytes = bytes;
		g->nr_leaves = first;
		return err;
	}
	g->leaves[id].inner = (uint64_t)(32 - w.width) << 48 |
			      (uint64_t)(32 - w.width - w.pos) << 40 |
			      (uint64_t)g->set->field[w.field] << 32 | g->nr_nodes;
	g->nr_nodes += sp.children;
	return 0;
}
