// SPDX-License-Identifier: GPL-2.0
/*
 * Dividing the rules of a chain among trees.
 *
 * A rule that leaves a field open is copied to all children of a node that looks at it. So rules
 * that are narrow in a field are put into one tree and those that are wide there into another.
 * How that is best done depends on the rules, and not at all is often best: several divisions are
 * tried, on a sample if there are many rules, and the one is kept that searches fastest.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bpfilter.h"
#include "tree_build.h"

/*
 * What a byte more costs, in nanoseconds: a tenth of what it is where all of the memory is read at
 * random, as most traffic is not like that
 */
#define BYTE_NS	     0.25e-6F
/* More rules than twice that many are represented by about that many. */
#define SAMPLE	     1024
/* Items that judging a forest may cost to go through */
#define ITEMS_MAX    100000
/* So few rules are not worth a tree. */
#define TREE_MIN     12
/* So many times slower than another way promised to be: that is tried too. */
#define DISAPPOINTED 1.5F
/* Lists that long are the same in a sample as in the whole. */
#define LIST_USUAL   8

/* A random read in so many bytes, in nanoseconds: measured, and between that in proportion */
static float read_ns(float bytes)
{
	static const struct {
		float bytes, ns;
	} points[] = {
		{32 << 10, 3}, {1 << 20, 8}, {4 << 20, 26}, {16 << 20, 67}, {64 << 20, 100},
	};
	unsigned int i;

	if (bytes <= points[0].bytes)
		return points[0].ns;
	for (i = 1; i < ARRAY_SIZE(points); i++)
		if (bytes <= points[i].bytes)
			return points[i - 1].ns + (points[i].ns - points[i - 1].ns) *
							  (bytes - points[i - 1].bytes) /
							  (points[i].bytes - points[i - 1].bytes);
	return points[i - 1].ns;
}

/* What a search found on its way */
struct steps {
	uint64_t nodes, items;
};

static void tree_search(const struct rule_set *set, const struct bf_forest *forest, uint32_t root,
			const uint32_t *key, const uint8_t *number, struct steps *steps)
{
	uint64_t node = forest->nodes[root];
	const uint32_t *list;

	for (; !(node & BF_NODE_LEAF); steps->nodes++)
		node = forest->nodes[BF_NODE_BASE(node) +
				     (key[number[BF_NODE_FIELD(node)]] << BF_NODE_SHL(node) >>
				      BF_NODE_SHR(node))];
	list = forest->lists + BF_NODE_BASE(node);
	for (;; list++) {
		steps->items++;
		if (set->prunes[*list] && rule_matches(set, *list, key))
			break;
	}
}

float forest_cost(const struct rule_set *set, const struct bf_forest *forest,
		  const struct bf_tree_budget *budget, uint32_t scale)
{
	uint8_t number[BF_TREE_FIELDS] = {0};
	float of_nodes = read_ns(8.0F * forest->nr_nodes * scale), cost = 0, items, nodes;
	float of_items = read_ns((float)forest->nr_items * budget->item_bytes * scale);
	unsigned int t, i, f;

	for (f = 0; f < set->nr_fields; f++)
		number[set->field[f]] = f;
	for (t = 0; t < forest->nr_roots; t++) {
		struct steps steps = {0};

		for (i = 0; i < set->nr_keys && steps.items < ITEMS_MAX; i++) {
			const uint32_t *key = set->keys + (size_t)i * set->nr_fields;

			tree_search(set, forest, forest->roots[t], key, number, &steps);
		}
		items = (float)steps.items / i;
		nodes = (float)steps.nodes / i;
		if (items > LIST_USUAL)
			items = LIST_USUAL + (items - LIST_USUAL) * scale;
		cost += of_items + nodes * of_nodes + items * budget->item_ns;
	}
	return cost + (forest->nr_roots - 1) * budget->tree_ns;
}

/* How many bits a rule must ask of a field to be narrow there */
static uint32_t bits_narrow(const struct rule_set *set, unsigned int f)
{
	uint32_t asked = 0, r, bits;

	for (r = 0; r < set->nr; r++)
		asked |= cells_of(set, r)[f].mask;
	bits = __builtin_popcount(asked) / 3;
	return bits ? bits : 1;
}

static bool is_narrow(const struct rule_set *set, uint32_t rule, unsigned int f, uint32_t bits)
{
	return (unsigned int)__builtin_popcount(cells_of(set, rule)[f].mask) >= bits;
}

/*
 * How well a field tells rules apart that are narrow in it: the part of them, times the bits that
 * it takes to say how rarely two of those are the same.
 */
static float field_worth(const struct rule_set *set, unsigned int f, uint32_t bits)
{
	uint32_t counts[256] = {0}, narrow = 0, n = 0, r, step = (set->nr - 1) / SAMPLE + 1, i;
	uint64_t same = 0;

	for (r = 0; r < set->nr; r += step, n++) {
		if (!is_narrow(set, r, f, bits))
			continue;
		narrow++;
		counts[cells_of(set, r)[f].value * 0x9e3779b9 >> 24]++;
	}
	for (i = 0; i < 256; i++)
		same += (uint64_t)counts[i] * counts[i];
	if (!narrow || same == (uint64_t)narrow * narrow)
		return 0;
	return (float)narrow / n * (32 - __builtin_clz((uint64_t)narrow * narrow / same));
}

/* The fields by which to divide, in which bits of enough of the rules differ */
#define AXES BF_TREE_AXES

struct axes {
	unsigned int field[AXES];
	uint32_t bits[AXES];
	float worth[AXES];
};

static void axes_find(const struct rule_set *set, struct axes *axes)
{
	unsigned int f, i;

	memset(axes, 0, sizeof(*axes));
	for (f = 0; f < set->nr_fields; f++) {
		uint32_t bits = bits_narrow(set, f);
		float worth = field_worth(set, f, bits);

		for (i = AXES; i && worth > axes->worth[i - 1]; i--) {
			if (i < AXES) {
				axes->field[i] = axes->field[i - 1];
				axes->bits[i] = axes->bits[i - 1];
				axes->worth[i] = axes->worth[i - 1];
			}
			axes->field[i - 1] = f;
			axes->bits[i - 1] = bits;
			axes->worth[i - 1] = worth;
		}
	}
}

/*
 * Ways to divide. For rules that are wide in both axes, narrow in the first, in the second, in
 * both: which tree.
 */
static const uint8_t ways[][1 << AXES] = {
	{0, 0, 0, 0}, {1, 0, 1, 0}, {1, 1, 0, 0}, {2, 0, 1, 0}, {3, 1, 2, 0},
};

#define WAYS ARRAY_SIZE(ways)

static uint32_t way_trees(unsigned int way)
{
	return 1 + ways[way][0];
}

/* The group of each rule: a bit for each axis in which it is narrow. How many there are in each */
static void rules_group(const struct rule_set *set, const struct axes *axes, uint8_t *group,
			uint32_t *count)
{
	unsigned int i;
	uint32_t r;

	for (r = 0; r < set->nr; r++) {
		group[r] = 0;
		for (i = 0; i < AXES; i++)
			if (axes->worth[i] > 0 && is_narrow(set, r, axes->field[i], axes->bits[i]))
				group[r] |= 1 << i;
		count[group[r]]++;
	}
}

/*
 * The way for these rules: trees that would have too few rules are merged with the one before or
 * behind, and trees without rules left out. Returns the number of trees.
 */
static uint32_t way_settle(const uint8_t *way, const uint32_t *count, uint8_t *settled)
{
	uint32_t rules[BF_FOREST_TREES] = {0}, nr = 0;
	int8_t tree[BF_FOREST_TREES];
	unsigned int i, t;

	for (i = 0; i < 1 << AXES; i++)
		rules[way[i]] += count[i];
	for (t = 0; t < BF_FOREST_TREES; t++) {
		if (nr && rules[t] < TREE_MIN)
			tree[t] = nr - 1;
		else if (rules[t] < TREE_MIN)
			tree[t] = 0;
		else
			tree[t] = nr++;
	}
	for (i = 0; i < 1 << AXES; i++)
		settled[i] = tree[way[i]];
	return nr ? nr : 1;
}

/**
 * struct attempt - rules, of which forests are built in one way or another
 * @scale: how many rules each of these stands for
 * @cost: of each way that was tried; less than nothing if it was not
 */
struct attempt {
	const struct rule_set *set;
	const struct bf_tree_budget *budget;
	struct scratch *scratch;
	uint64_t work, deadline;
	uint32_t scale;
	struct axes axes;
	uint8_t *group, *tree;
	uint32_t count[1 << AXES];
	float cost[WAYS];
};

static int attempt_init(struct attempt *a, const struct rule_set *set)
{
	unsigned int i;

	a->set = set;
	a->group = malloc(ROOM(set->nr, *a->group));
	a->tree = malloc(ROOM(set->nr, *a->tree));
	if (!a->group || !a->tree)
		return -ENOMEM;
	memset(a->count, 0, sizeof(a->count));
	rules_group(set, &a->axes, a->group, a->count);
	for (i = 0; i < WAYS; i++)
		a->cost[i] = -1;
	return 0;
}

static void attempt_free(struct attempt *a)
{
	free(a->group);
	free(a->tree);
}

/* An earlier way is the same for these rules. */
static bool way_known(const struct attempt *a, unsigned int way)
{
	uint8_t settled[1 << AXES], other[1 << AXES];
	unsigned int i;

	way_settle(ways[way], a->count, settled);
	for (i = 0; i < way; i++) {
		way_settle(ways[i], a->count, other);
		if (!memcmp(settled, other, sizeof(other)))
			return true;
	}
	return false;
}

/* The same, for rules that are not here yet. */
static struct bf_division division_of(const struct attempt *a, const uint8_t *settled)
{
	struct bf_division d = {0};
	unsigned int i;

	for (i = 0; i < AXES; i++) {
		if (a->axes.worth[i] <= 0)
			continue;
		d.field[i] = a->set->field[a->axes.field[i]];
		d.bits[i] = a->axes.bits[i];
	}
	memcpy(d.tree, settled, sizeof(d.tree));
	return d;
}

uint8_t division_tree(const struct rule_set *set, const struct bf_division *division, uint32_t rule)
{
	unsigned int group = 0, i, f;

	for (i = 0; i < AXES; i++)
		for (f = 0; f < set->nr_fields && division->bits[i]; f++)
			if (set->field[f] == division->field[i] &&
			    is_narrow(set, rule, f, division->bits[i]))
				group |= 1 << i;
	return division->tree[group];
}

/* Build in one way. @out is replaced if this one is better. */
static int attempt_way(struct attempt *a, unsigned int way, uint64_t work, struct bf_forest *out)
{
	struct division division = {.tree = a->tree};
	struct limits limits = {
		.bytes = (a->budget->bytes +
			  (uint64_t)a->set->nr * a->scale * a->budget->item_bytes) /
			 a->scale,
		.item_bytes = a->budget->item_bytes,
		.price = a->budget->item_bytes * BYTE_NS / a->budget->item_ns * a->scale,
		.work = work,
		.deadline = a->deadline,
	};
	uint8_t settled[1 << AXES];
	struct bf_forest forest;
	uint32_t r;
	int err;

	division.nr_trees = way_settle(ways[way], a->count, settled);
	for (r = 0; r < a->set->nr; r++)
		a->tree[r] = settled[a->group[r]];
	err = trees_grow(a->set, &division, &limits, a->scratch, &forest);
	if (err)
		return err;
	a->work -= work - limits.work < a->work ? work - limits.work : a->work;
	forest.cost = forest_cost(a->set, &forest, a->budget, a->scale);
	forest.division = division_of(a, settled);
	forest.built.cost = forest.cost;
	forest.built.tree_ns = a->budget->tree_ns;
	forest.built.items = forest.nr_items;
	forest.built.nodes = forest.nr_nodes;
	forest.built.longest = forest.longest;
	a->cost[way] = forest.cost;
	if (!out->nodes || forest.cost < out->cost) {
		bf_forest_free(out);
		*out = forest;
	} else {
		bf_forest_free(&forest);
	}
	return 0;
}

/* One tree that searches so fast that another would cost more than it could save */
static bool good_enough(const struct attempt *a, const struct bf_forest *forest)
{
	return forest->cost < a->budget->tree_ns + 4 * read_ns(0) +
				      read_ns((float)a->set->nr * a->scale * a->budget->item_bytes);
}

/* Try all ways; the work for each is the same part of what is left. */
static int attempt_all(struct attempt *a, struct bf_forest *out)
{
	unsigned int way;
	int err = 0;

	for (way = 0; way < WAYS && !err; way++) {
		if (way_known(a, way))
			continue;
		err = attempt_way(a, way, a->work / (WAYS - way), out);
		if (!err && good_enough(a, out))
			break;
	}
	return err;
}

/* Try all ways on a sample. @cost receives what is expected of each, see struct attempt. */
static int attempt_sample(struct attempt *whole, uint32_t step, float *cost)
{
	struct attempt a = *whole;
	struct bf_forest best = {0};
	struct rule_set sample;
	int err;

	err = rule_set_sample(&sample, whole->set, step);
	if (err)
		return err;
	a.scale = step;
	a.work = whole->work / 4;
	err = attempt_init(&a, &sample);
	if (!err)
		err = attempt_all(&a, &best);
	memcpy(cost, a.cost, sizeof(a.cost));
	whole->work -= whole->work / 4 - a.work;
	bf_forest_free(&best);
	attempt_free(&a);
	rule_set_free(&sample);
	return err;
}

/* The cheapest way of more than that many trees, or WAYS */
static unsigned int way_cheapest(const float *cost, uint32_t trees)
{
	unsigned int best = WAYS, i;

	for (i = 0; i < WAYS; i++)
		if (cost[i] >= 0 && way_trees(i) > trees && (best == WAYS || cost[i] < cost[best]))
			best = i;
	return best;
}

/*
 * The way that is the best for a sample. What a sample shows least is how much longer the lists
 * become where memory runs out. So if this turns out much slower than the best way of more trees,
 * which needs less memory, promised to be, then that is tried too.
 */
static int attempt_large(struct attempt *a, struct bf_forest *out)
{
	float cost[WAYS];
	unsigned int way;
	int err;

	err = attempt_sample(a, a->set->nr / SAMPLE, cost);
	if (err)
		return err;
	way = way_cheapest(cost, 0);
	err = attempt_way(a, way, a->work, out);
	way = way_cheapest(cost, way_trees(way));
	if (!err && way < WAYS && out->cost > DISAPPOINTED * cost[way])
		err = attempt_way(a, way, a->work, out);
	return err;
}

static uint64_t deadline_of(const struct bf_tree_budget *budget)
{
	struct timespec now;

	if (!budget->ns)
		return 0;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ULL + now.tv_nsec + budget->ns;
}

static int forest_grow(const struct rule_set *set, const struct bf_tree_budget *budget,
		       struct bf_forest *out)
{
	struct attempt a = {
		.budget = budget,
		.work = budget->work,
		.deadline = deadline_of(budget),
		.scale = 1,
	};
	unsigned int i;
	int err;

	a.scratch = malloc(sizeof(*a.scratch));
	if (!a.scratch)
		return -ENOMEM;
	a.scratch->power[0] = 1;
	for (i = 1; i < ARRAY_SIZE(a.scratch->power); i++)
		a.scratch->power[i] = a.scratch->power[i - 1] / 2;
	axes_find(set, &a.axes);
	err = attempt_init(&a, set);
	if (!err)
		err = set->nr < 2 * SAMPLE ? attempt_all(&a, out) : attempt_large(&a, out);
	attempt_free(&a);
	free(a.scratch);
	if (err)
		bf_forest_free(out);
	return err;
}

/* All rules in one list */
static int forest_flat(const struct bf_tree_input *in, float item_ns, struct bf_forest *out)
{
	uint32_t r = 0;

	out->nodes = malloc(sizeof(*out->nodes));
	out->lists = malloc(in->nr_rules * sizeof(*out->lists));
	if (!out->nodes || !out->lists) {
		bf_forest_free(out);
		return -ENOMEM;
	}
	do {
		out->lists[r] = r;
		r++;
	} while (in->rules[r - 1].nr || !in->rules[r - 1].prunes);
	out->nodes[0] = BF_NODE_LEAF;
	out->nr_nodes = out->nr_roots = 1;
	out->nr_items = out->longest = r;
	out->cost = read_ns(0) + r * item_ns;
	return 0;
}

struct bf_tree_budget bf_tree_budget_of(uint32_t nr_rules, uint32_t item_bytes)
{
	return (struct bf_tree_budget){
		.bytes = 64ULL * nr_rules + (64 << 10),
		.item_bytes = item_bytes,
		.work = 1000000 + 200ULL * nr_rules,
		.ns = 0,
		.item_ns = 2,
		.tree_ns = 20,
	};
}

int bf_forest_build(const struct bf_tree_input *in, const struct bf_tree_budget *budget,
		    struct bf_forest *out)
{
	struct rule_set set;
	int err;

	memset(out, 0, sizeof(*out));
	/* There are chains by the thousand with hardly any rules. */
	if (in->nr_rules < SPLIT_MIN || in->nr_rules > BF_TREE_RULES)
		return forest_flat(in, budget->item_ns, out);
	err = rule_set_init(&set, in);
	if (err)
		return err;
	err = forest_grow(&set, budget, out);
	rule_set_free(&set);
	return err;
}

void bf_forest_free(struct bf_forest *forest)
{
	free(forest->nodes);
	free(forest->lists);
	memset(forest, 0, sizeof(*forest));
}
