// SPDX-License-Identifier: GPL-2.0
/*
 * The lists of a forest's leaves, one behind the other, in the order of the nodes that lead to
 * them. A list that is equal to one already there, or to the end of one, is that.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tree_build.h"

/* How many ends of a list are remembered */
#define ENDS 8

struct ends {
	uint32_t *table; /* where they begin in the lists, plus one */
	uint32_t mask;
};

static uint64_t hash_add(uint64_t hash, uint32_t rule)
{
	return (hash ^ rule) * 0x9e3779b97f4a7c15;
}

/* Where in the table a list is, or would be */
static uint32_t ends_find(const struct ends *e, const struct bf_forest *out, uint64_t hash,
			  const uint32_t *items, uint32_t nr)
{
	uint32_t at = hash >> 32 & e->mask, i;

	for (; e->table[at]; at = (at + 1) & e->mask) {
		uint32_t start = e->table[at] - 1;

		if (nr > out->nr_items - start)
			continue;
		for (i = 0; i < nr && out->lists[start + i] == ITEM_RULE(items[i]); i++)
			;
		if (i == nr)
			break;
	}
	return at;
}

static uint32_t list_store(struct ends *e, const struct list *list, struct bf_forest *out)
{
	uint64_t hashes[ENDS], hash = 1;
	uint32_t nr = list->nr, start, at, i;

	for (i = 0; i < nr; i++) {
		hash = hash_add(hash, ITEM_RULE(list->items[nr - 1 - i]));
		if (i < ENDS)
			hashes[i] = hash;
	}
	at = ends_find(e, out, hash, list->items, nr);
	if (e->table[at])
		return e->table[at] - 1;

	start = out->nr_items;
	for (i = 0; i < nr; i++)
		out->lists[start + i] = ITEM_RULE(list->items[i]);
	out->nr_items += nr;
	e->table[at] = start + 1;
	for (i = 0; i < ENDS && i + 1 < nr; i++) {
		at = ends_find(e, out, hashes[i], list->items + nr - 1 - i, i + 1);
		if (!e->table[at])
			e->table[at] = start + nr - i;
	}
	return start;
}

int lists_store(const struct list *lists, uint32_t nr_lists, struct bf_forest *out)
{
	uint64_t items = 0, ends = 1;
	struct ends e = {0};
	uint32_t i, *starts, *shrunk;

	for (i = 0; i < nr_lists; i++) {
		items += lists[i].nr;
		ends += 1 + (lists[i].nr < ENDS ? lists[i].nr : ENDS);
	}
	for (e.mask = 16; e.mask < 2 * ends; e.mask *= 2)
		;
	e.table = calloc(e.mask--, sizeof(*e.table));
	out->lists = malloc(ROOM(items, *out->lists));
	starts = malloc(ROOM(nr_lists, *starts));
	if (!e.table || !out->lists || !starts) {
		free(e.table);
		free(starts);
		return -ENOMEM;
	}
	for (i = 0; i < nr_lists; i++)
		starts[i] = list_store(&e, &lists[i], out);
	for (i = 0; i < out->nr_nodes; i++)
		if (out->nodes[i] & BF_NODE_LEAF)
			out->nodes[i] = BF_NODE_LEAF | starts[BF_NODE_BASE(out->nodes[i])];
	free(e.table);
	free(starts);
	shrunk = realloc(out->lists, ROOM(out->nr_items, *out->lists));
	if (shrunk)
		out->lists = shrunk;
	return 0;
}

/*
 * Where a list ends depends on the keys that get there. It is ascending, so that it does not go on behind an item that
 * is not greater than the one before.
 */
int lists_compact(struct bf_forest *f)
{
	uint32_t *to = calloc((size_t)f->nr_items + 1, sizeof(*to)), nr = 0, last = 0, i;
	bool live = false;

	if (!to)
		return -ENOMEM;
	for (i = 0; i < f->nr_nodes; i++)
		if (f->nodes[i] & BF_NODE_LEAF)
			to[BF_NODE_BASE(f->nodes[i])] = 1;
	for (i = 0; i < f->nr_items; i++) {
		uint32_t item = f->lists[i];

		live = to[i] || (live && item > last);
		last = item;
		to[i] = nr;
		if (live)
			f->lists[nr++] = item;
	}
	f->nr_items = nr;
	for (i = 0; i < f->nr_nodes; i++)
		if (f->nodes[i] & BF_NODE_LEAF)
			f->nodes[i] = BF_NODE_LEAF | to[BF_NODE_BASE(f->nodes[i])];
	free(to);
	return 0;
}
