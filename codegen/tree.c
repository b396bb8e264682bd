// SPDX-License-Identifier: GPL-2.0
/*
 * Growing trees: the leaf where most is to be gained is split, again and again, until it is not
 * worth it anywhere or the budget is used up. So a tree can be cut short at any time.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "tree_grow.h"

/* If it needs so many times the room that is left, no other window will do. */
#define SLACK 4
/* The part of the room that a leaf may take, relative to its weight */
#define FAIR  8
/* How many windows are tried for a leaf */
#define TRIES 4

#define CHUNK_WORDS (1U << 16)

void *chunk_alloc(struct grower *g, size_t bytes)
{
	size_t words = (bytes + 7) / 8;

	if (words > g->left || !g->chunks) {
		size_t size = words > CHUNK_WORDS ? words : CHUNK_WORDS;
		struct chunk *c = malloc(sizeof(*c) + size * sizeof(*c->words));

		if (!c)
			return NULL;
		c->next = g->chunks;
		g->chunks = c;
		g->left = size;
	}
	g->left -= words;
	return g->chunks->words + g->left;
}

static void grower_free(struct grower *g)
{
	struct chunk *c;

	if (!g)
		return;
	while ((c = g->chunks)) {
		g->chunks = c->next;
		free(c);
	}
	free(g->nodes);
	free(g->leaves);
	free(g->heap);
	free(g->narrow);
	free(g->wide);
	free(g);
}

bool make_room(void *array, uint32_t *max, uint64_t nr, uint64_t more, size_t size)
{
	uint64_t want = nr + more;
	void *moved;

	if (want <= *max)
		return true;
	if (want < 2ULL * *max)
		want = 2ULL * *max;
	if (want > UINT32_MAX)
		return false;
	moved = realloc(*(void **)array, want * size);
	if (!moved)
		return false;
	*(void **)array = moved;
	*max = want;
	return true;
}

static bool gain_before(const struct gain *a, const struct gain *b)
{
	return a->gain > b->gain || (a->gain == b->gain && a->leaf < b->leaf);
}

static int heap_push(struct grower *g, struct gain gain)
{
	uint32_t i = g->nr_heap;

	if (!make_room(&g->heap, &g->max_heap, g->nr_heap, 1, sizeof(*g->heap)))
		return -ENOMEM;
	for (g->nr_heap++; i && gain_before(&gain, &g->heap[(i - 1) / 2]); i = (i - 1) / 2)
		g->heap[i] = g->heap[(i - 1) / 2];
	g->heap[i] = gain;
	return 0;
}

static uint32_t heap_pop(struct grower *g)
{
	struct gain last = g->heap[--g->nr_heap];
	uint32_t top = g->heap[0].leaf, i = 0, child;

	while ((child = 2 * i + 1) < g->nr_heap) {
		if (child + 1 < g->nr_heap && gain_before(&g->heap[child + 1], &g->heap[child]))
			child++;
		if (!gain_before(&g->heap[child], &last))
			break;
		g->heap[i] = g->heap[child];
		i = child;
	}
	g->heap[i] = last;
	return top;
}

void work_done(struct grower *g, uint64_t work)
{
	g->limits->work -= work < g->limits->work ? work : g->limits->work;
}

int leaf_add(struct grower *g, struct list list, const struct cell *region, float weight,
	     uint32_t depth)
{
	size_t size = g->set->nr_fields * sizeof(*region);
	struct leaf *leaf;

	if (!make_room(&g->leaves, &g->max_leaves, g->nr_leaves, 1, sizeof(*g->leaves)))
		return -ENOMEM;
	work_done(g, list.nr);
	list.nr = list_prune(g->set, region, list.items, list.nr, g->one);
	leaf = &g->leaves[g->nr_leaves];
	*leaf = (struct leaf){.list = list, .weight = weight, .depth = depth};
	if (list.nr >= SPLIT_MIN && depth < BF_TREE_DEPTH && size) {
		leaf->region = chunk_alloc(g, size);
		if (!leaf->region)
			return -ENOMEM;
		memcpy(leaf->region, region, size);
	}
	g->nr_leaves++;
	g->bytes += (uint64_t)list.nr * g->limits->item_bytes;
	return 0;
}

/*
 * How many items more there may be when a leaf is split, by what is expected: twice as many as
 * there is room for, as equal children are not expected; less after that was wrong.
 */
static float room_for(const struct grower *g, const struct leaf *leaf)
{
	if (g->bytes >= g->limits->bytes)
		return 0;
	return 2.0F * (g->limits->bytes - g->bytes) / g->limits->item_bytes /
	       (1 << 2 * leaf->tries);
}

/* Find by what to split a leaf. It is put where its turn comes. */
static int leaf_plan(struct grower *g, uint32_t id)
{
	struct leaf *leaf = &g->leaves[id];
	struct gain gain = {.leaf = id};
	struct split_job job;
	uint64_t work = 0;
	bool found;

	if (!leaf->region || !g->limits->work)
		return 0;
	job = (struct split_job){
		.set = g->set,
		.region = leaf->region,
		.list = &leaf->list,
		.room = room_for(g, leaf),
		.fair = leaf->weight * room_for(g, leaf) / FAIR,
		.scratch = g->scratch,
	};
	found = window_find(&job, &leaf->window, &work);
	work_done(g, work);
	if (!found)
		return 0;
	gain.gain = leaf->weight * (leaf->list.nr - leaf->window.list - STEP);
	if (leaf->window.more > 1)
		gain.gain /= leaf->window.more;
	return gain.gain < g->limits->price ? 0 : heap_push(g, gain);
}

/* Split the leaf, and see what is to be done about its children. */
static int leaf_grow(struct grower *g, uint32_t id)
{
	uint32_t child = g->nr_leaves;
	float more = g->leaves[id].window.more, room = room_for(g, &g->leaves[id]);
	int err = -E2BIG;

	if (more > SLACK * room)
		return 0;
	if (more <= room)
		err = leaf_split(g, id);
	if (err == -E2BIG)
		return ++g->leaves[id].tries < TRIES ? leaf_plan(g, id) : 0;
	for (; child < g->nr_leaves && !err; child++)
		err = leaf_plan(g, child);
	return err;
}

static bool too_late(const struct limits *limits)
{
	struct timespec now;

	if (!limits->deadline)
		return false;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec > limits->deadline;
}

/* The root of a tree as a leaf, with all its rules */
static int root_add(struct grower *g, const struct division *division, uint32_t tree)
{
	const struct rule_set *set = g->set;
	struct list list = {0};
	uint32_t r;

	list.items = chunk_alloc(g, set->nr * sizeof(*list.items));
	if (!list.items || !make_room(&g->nodes, &g->max_nodes, g->nr_nodes, 1, sizeof(*g->nodes)))
		return -ENOMEM;
	for (r = 0; r + 1 < set->nr; r++)
		if (division->tree[r] == tree && !set->never[r])
			list.items[list.nr++] = r;
	list.items[list.nr++] = r;
	list.keys = chunk_alloc(g, set->nr_keys * sizeof(*list.keys));
	if (!list.keys)
		return -ENOMEM;
	for (; list.nr_keys < set->nr_keys; list.nr_keys++)
		list.keys[list.nr_keys] = list.nr_keys;
	g->nodes[g->nr_nodes++] = BF_NODE_LEAF | g->nr_leaves;
	g->bytes += sizeof(*g->nodes);
	return leaf_add(g, list, set->start, 1, 0);
}

/* Turn what has grown into the arrays that were asked for. */
static int trees_finish(struct grower *g, struct bf_forest *out)
{
	struct list *lists = malloc(ROOM(g->nr_nodes, *lists));
	uint32_t nr = 0, i;
	int err;

	if (!lists)
		return -ENOMEM;
	for (i = 0; i < g->nr_nodes; i++) {
		struct leaf *leaf = &g->leaves[(uint32_t)g->nodes[i]];

		if (!leaf->inner) {
			if (leaf->depth > out->depth)
				out->depth = leaf->depth;
			if (leaf->list.nr > out->longest)
				out->longest = leaf->list.nr;
			lists[nr] = leaf->list;
			leaf->inner = BF_NODE_LEAF | nr++;
		}
		g->nodes[i] = leaf->inner;
	}
	out->nodes = g->nodes;
	out->nr_nodes = g->nr_nodes;
	g->nodes = NULL;
	err = lists_store(lists, nr, out);
	free(lists);
	return err;
}

int trees_grow(const struct rule_set *set, const struct division *division, struct limits *limits,
	       struct scratch *scratch, struct bf_forest *out)
{
	struct grower *g = calloc(1, sizeof(*g));
	uint32_t t;
	int err = 0;

	memset(out, 0, sizeof(*out));
	if (!g)
		return -ENOMEM;
	g->set = set;
	g->limits = limits;
	g->scratch = scratch;
	g->one = division->nr_trees == 1;
	for (t = 0; t < division->nr_trees && !err; t++) {
		out->roots[out->nr_roots++] = t;
		err = root_add(g, division, t);
	}
	for (t = 0; t < g->nr_leaves && !err; t++)
		err = leaf_plan(g, t);
	while (!err && g->nr_heap && limits->work && !too_late(limits))
		err = leaf_grow(g, heap_pop(g));
	if (!err)
		err = trees_finish(g, out);
	grower_free(g);
	if (err)
		bf_forest_free(out);
	return err;
}
