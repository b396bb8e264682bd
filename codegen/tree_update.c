// SPDX-License-Identifier: GPL-2.0
/*
 * The trees of a chain in which some rules have come or gone.
 *
 * Where none of these is possible, a leaf has the rules that it had, under new numbers. Those where
 * one is are found by walking down with them. In their lists the new rules are put, and the old
 * ones are left out. Behind a rule that has gone there may be others that it hid there: all that
 * could match together with it are put in as well, and what is hidden yet is removed as always
 * (list_prune()).
 *
 * The shape of the trees stays. If that no longer is what is right for the rules, so that lists
 * become longer or arrays larger, it is time to build them anew.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tree_grow.h"

/* More changes than that at once are a new chain, or more than this part of the rules; */
#define CHANGES_MAX  16
#define CHANGES_ONCE 6
/* and so are all changes since it was built that are more than this part, and some. */
#define CHANGES_PART 4
#define CHANGES_SOME 64
/* Rules that one that has gone may have hidden */
#define HIDDEN_MAX   2048
/* This part of what building costs */
#define WORK_PART    16
/* By so much more than when it was built: items, nodes, nanoseconds, the longest list */
#define WORSE(x)     ((x) + (x) / 4)

/* An item whose rule has gone: the number among those */
#define GONE BF_TREE_RULES

/**
 * struct updater - the work in progress
 * @set: the rules as they are
 * @gone: those that are no longer there
 * @first: the number of the first new rule, and of the first one gone
 * @nr_new, @nr_gone: how many; they are one behind the other
 * @tree: the one at hand
 * @hidden: rules of it that may have been hidden by one that has gone, ascending
 * @max_items, @max_nodes, @max_list: what the arrays of @out have room for, and @list
 * @list: the one at hand
 * @last: where the one that was stored last begins
 * @work: what is left
 */
struct updater {
	const struct rule_set *set;
	struct rule_set gone;
	struct bf_forest *out;
	uint32_t first, nr_new, nr_gone;
	uint8_t number[BF_TREE_FIELDS];
	uint32_t tree;
	uint32_t *hidden, nr_hidden;
	uint32_t max_items, max_nodes;
	uint32_t *list, max_list;
	uint32_t last;
	uint64_t work;
};

/* --- what has changed ---------------------------------------------------------------------- */

static bool same_rule(const struct bf_tree_input *a, uint32_t i, const struct bf_tree_input *b,
		      uint32_t j)
{
	const struct bf_tree_rule *x = &a->rules[i], *y = &b->rules[j];
	const struct bf_tree_test *s = a->tests + x->first, *t = b->tests + y->first;
	uint32_t n;

	if (x->nr != y->nr || x->prunes != y->prunes || x->asks != y->asks || x->ends != y->ends ||
	    x->changes != y->changes)
		return false;
	for (n = 0; n < x->nr; n++)
		if (s[n].field != t[n].field || s[n].range != t[n].range || s[n].a != t[n].a ||
		    s[n].b != t[n].b)
			return false;
	return true;
}

/* What is between the rules in front and the rules at the end that are still there. */
static bool changes_find(struct updater *u, const struct bf_tree_input *was,
			 const struct bf_tree_input *in)
{
	uint32_t most = was->nr_rules < in->nr_rules ? was->nr_rules : in->nr_rules;
	uint32_t front = 0, end = 0;

	if (was->nr_rules > in->nr_rules + CHANGES_MAX ||
	    in->nr_rules > was->nr_rules + CHANGES_MAX)
		return false;
	while (front < most - 1 && same_rule(was, front, in, front))
		front++;
	while (end < most - front &&
	       same_rule(was, was->nr_rules - 1 - end, in, in->nr_rules - 1 - end))
		end++;
	u->first = front;
	u->nr_gone = was->nr_rules - front - end;
	u->nr_new = in->nr_rules - front - end;
	/* The last rule is in all trees, and ends them. */
	return end && u->nr_gone + u->nr_new <= CHANGES_MAX &&
	       u->nr_gone + u->nr_new <= in->nr_rules / CHANGES_ONCE;
}

static bool same_bits(const uint32_t *a, const uint32_t *b)
{
	return a && b ? !memcmp(a, b, BF_TREE_FIELDS * sizeof(*a)) : a == b;
}

/* --- lists --------------------------------------------------------------------------------- */

static void renumber(const struct updater *u, uint32_t *items, uint32_t nr)
{
	uint32_t i;

	for (i = 0; i < nr; i++) {
		if (items[i] < u->first)
			continue;
		if (items[i] < u->first + u->nr_gone)
			items[i] = GONE + items[i] - u->first;
		else
			items[i] += u->nr_new - u->nr_gone;
	}
}

/* Is the item the last of a list? */
static bool is_end(const struct updater *u, const struct cell *region, uint32_t item)
{
	const struct rule_set *set = item < GONE ? u->set : &u->gone;
	uint32_t rule = item < GONE ? item : item - GONE;

	return set->prunes[rule] && rule_certain(set, region, rule);
}

/* Put a rule into the list, which is ascending and mostly ends before. */
static bool list_put(struct updater *u, uint32_t *nr, uint32_t rule)
{
	uint32_t i = *nr;

	while (i && u->list[i - 1] > rule)
		i--;
	if (i && u->list[i - 1] == rule)
		return true;
	if (!make_room(&u->list, &u->max_list, *nr, 1, sizeof(*u->list)))
		return false;
	memmove(&u->list[i + 1], &u->list[i], (*nr - i) * sizeof(*u->list));
	u->list[i] = rule;
	++*nr;
	return true;
}

/* Can a key in this region match the rule? True if in doubt. */
static bool is_possible(const struct rule_set *set, const struct cell *region, uint32_t rule)
{
	const struct cell *cells = cells_of(set, rule);
	const struct span *spans = spans_of(set, rule);
	unsigned int f, i;

	for (f = 0; f < set->nr_fields; f++)
		if ((cells[f].value ^ region[f].value) & cells[f].mask & region[f].mask)
			return false;
	/* As narrow as the way down that finds the rule when it goes, which knows the rule's own bits (slots_bound()). */
	for (i = 0; i < set->nr_spans; i++) {
		const struct cell *r = &region[set->span_field[i]];
		const struct cell *c = &cells[set->span_field[i]];
		uint32_t value = r->value | c->value, mask = r->mask | c->mask;

		if (spans[i].hi < value || spans[i].lo > (value | ~mask))
			return false;
	}
	return true;
}

/* Can a key match both? True if in doubt. */
static bool can_meet(const struct rule_set *a, uint32_t i, const struct rule_set *b, uint32_t j)
{
	unsigned int f;

	for (f = 0; f < a->nr_spans; f++)
		if (spans_of(a, i)[f].lo > spans_of(b, j)[f].hi ||
		    spans_of(b, j)[f].lo > spans_of(a, i)[f].hi)
			return false;
	return is_possible(a, cells_of(b, j), i);
}

/*
 * The rules of a leaf in which those in @touched are possible, to u->list. Returns how many, or 0 if
 * there is no memory.
 */
static uint32_t leaf_rules(struct updater *u, const uint32_t *old, const struct cell *region,
			   uint32_t touched)
{
	uint32_t nr = 0, i;

	for (i = 0;; i++) {
		if (old[i] < GONE && !list_put(u, &nr, old[i]))
			return 0;
		if (is_end(u, region, old[i]))
			break;
	}
	u->work -= u->work < i ? u->work : i;
	for (i = 0; i < u->nr_new; i++)
		if (touched >> i & 1 && !list_put(u, &nr, u->first + i))
			return 0;
	for (i = 0; i < u->nr_hidden && touched >> u->nr_new; i++)
		if (is_possible(u->set, region, u->hidden[i]) && !list_put(u, &nr, u->hidden[i]))
			return 0;
	return list_prune(u->set, region, u->list, nr, u->out->nr_roots == 1);
}

/* Is u->list what begins there? */
static bool is_stored(const struct updater *u, uint32_t start, uint32_t nr)
{
	return nr <= u->out->nr_items - start &&
	       !memcmp(u->out->lists + start, u->list, nr * sizeof(*u->list));
}

static int leaf_update(struct updater *u, uint32_t at, const struct cell *region, uint32_t touched)
{
	struct bf_forest *out = u->out;
	const uint32_t *old = out->lists + BF_NODE_BASE(out->nodes[at]);
	uint32_t nr = leaf_rules(u, old, region, touched);

	if (!nr)
		return -ENOMEM;
	if (nr > WORSE(out->built.longest) && nr >= 2 * SPLIT_MIN)
		return -EAGAIN;
	/* Lists have an end: one of another length is not the same so far. */
	if (is_stored(u, BF_NODE_BASE(out->nodes[at]), nr))
		return 0;
	if (is_stored(u, u->last, nr)) {
		out->nodes[at] = BF_NODE_LEAF | u->last;
		return 0;
	}
	if (out->nr_items + nr > 2 * (uint64_t)out->built.items)
		return -EAGAIN;
	if (!make_room(&out->lists, &u->max_items, out->nr_items, nr, sizeof(*out->lists)))
		return -ENOMEM;
	memcpy(out->lists + out->nr_items, u->list, nr * sizeof(*out->lists));
	u->last = out->nr_items;
	out->nodes[at] = BF_NODE_LEAF | u->last;
	out->nr_items += nr;
	if (nr > out->longest)
		out->longest = nr;
	return 0;
}

/* --- nodes --------------------------------------------------------------------------------- */

/*
 * A child in which rules are possible that have changed, and whether it is the same as all others that
 * are the same node with the same rules.
 */
struct child {
	uint32_t touched;
	bool alone;
};

/* Room for so many nodes more, unless that is too many. */
static int nodes_room(struct updater *u, uint32_t nr)
{
	struct bf_forest *out = u->out;

	if ((uint64_t)out->nr_nodes + nr > WORSE((uint64_t)out->built.nodes))
		return -EAGAIN;
	return make_room(&out->nodes, &u->max_nodes, out->nr_nodes, nr, sizeof(*out->nodes))
		       ? 0
		       : -ENOMEM;
}

static struct window window_of(const struct updater *u, uint64_t node)
{
	return (struct window){.field = u->number[BF_NODE_FIELD(node)],
			       .width = 32 - BF_NODE_SHR(node),
			       .pos = BF_NODE_SHR(node) - BF_NODE_SHL(node)};
}

static uint32_t children_of(uint64_t node)
{
	return 1U << (32 - BF_NODE_SHR(node));
}

/* Below node number @at, what others have too becomes its own. */
static int node_copy(struct updater *u, uint32_t at)
{
	uint64_t node = u->out->nodes[at];
	uint32_t n = children_of(node), to = u->out->nr_nodes, i;
	int err = nodes_room(u, n);

	if (err)
		return err;
	memcpy(u->out->nodes + to, u->out->nodes + BF_NODE_BASE(node), n * sizeof(*u->out->nodes));
	u->out->nr_nodes += n;
	u->out->nodes[at] = (node & ~(uint64_t)UINT32_MAX) | to;
	for (i = 0; i < n && !err; i++)
		if (!(u->out->nodes[to + i] & BF_NODE_LEAF))
			err = node_copy(u, to + i);
	return err;
}

/* Does another child lead to the same nodes, which shall not change as this one's do? */
static bool is_shared(struct updater *u, uint32_t base, uint32_t n, uint32_t v,
		      const struct child *children)
{
	const uint64_t *nodes = u->out->nodes + base;
	uint32_t i;

	u->work -= u->work < n / 4 ? u->work : n / 4;
	for (i = 0; i < n; i++)
		if (i != v && nodes[i] == nodes[v] &&
		    (children[v].alone || children[i].touched != children[v].touched))
			return true;
	return false;
}

/* Mark the children in which rule number @rule of @set is possible, with bit @bit. */
static void rule_touches(const struct rule_set *set, uint32_t rule, const struct cell *region,
			 const struct window *w, uint32_t bit, struct child *children)
{
	struct slots slots = slots_of(set, region, w, rule);
	uint32_t rest = 0, v;

	do {
		v = slots.value | rest;
		rest = (rest - slots.free) & slots.free;
		if (v < slots.lo || v > slots.hi)
			continue;
		children[v].touched |= bit;
		children[v].alone |= slots.open;
	} while (rest);
}

static int node_update(struct updater *u, uint32_t at, struct cell *region, uint32_t touched);

/* Child @v, and those that are the same, which follow. */
static int child_update(struct updater *u, uint32_t base, const struct window *w, uint32_t v,
			struct cell *region, struct child *children)
{
	uint32_t n = 1U << w->width, touched = children[v].touched, i;
	uint64_t was = u->out->nodes[base + v];
	struct cell above = region[w->field];
	int err = 0;

	/* What was hidden need not be the same in all children, only what is there. */
	children[v].alone |= u->nr_hidden && touched >> u->nr_new;
	if (!(was & BF_NODE_LEAF) && is_shared(u, base, n, v, children))
		err = node_copy(u, base + v);
	region[w->field].mask |= window_mask(w) << w->pos;
	region[w->field].value |= v << w->pos;
	err = err ?: node_update(u, base + v, region, touched);
	region[w->field] = above;
	children[v].touched = 0;
	/* Leaves may have the same list in regions that differ. */
	if (err || children[v].alone || was & BF_NODE_LEAF)
		return err;
	for (i = v + 1; i < n; i++) {
		if (children[i].touched != touched || u->out->nodes[base + i] != was)
			continue;
		u->out->nodes[base + i] = u->out->nodes[base + v];
		children[i].touched = 0;
	}
	return 0;
}

static int inner_update(struct updater *u, uint64_t node, struct cell *region, uint32_t touched)
{
	struct window w = window_of(u, node);
	uint32_t n = children_of(node), i;
	struct child *children;
	int err = 0;

	children = calloc(n, sizeof(*children));
	if (!children)
		return -ENOMEM;
	for (i = 0; i < u->nr_new + u->nr_gone; i++) {
		if (!(touched >> i & 1))
			continue;
		if (i < u->nr_new)
			rule_touches(u->set, u->first + i, region, &w, 1U << i, children);
		else
			rule_touches(&u->gone, i - u->nr_new, region, &w, 1U << i, children);
	}
	for (i = 0; i < n && !err; i++) {
		if (!children[i].touched)
			continue;
		u->work -= u->work < n / 8 ? u->work : n / 8;
		err = child_update(u, BF_NODE_BASE(node), &w, i, region, children);
	}
	free(children);
	return err;
}

/* Below node number @at, where @touched are possible: first the new rules, a bit each, then those gone. */
static int node_update(struct updater *u, uint32_t at, struct cell *region, uint32_t touched)
{
	uint64_t node = u->out->nodes[at];
	uint64_t cost = 16 + (touched >> u->nr_new ? u->nr_hidden : 0);

	if (u->work <= cost)
		return -EAGAIN;
	u->work -= cost;
	return node & BF_NODE_LEAF ? leaf_update(u, at, region, touched)
				   : inner_update(u, node, region, touched);
}

/* --- what came of it ------------------------------------------------------------------------- */

/*
 * Is a rule that is gone still in a list that a node leads to? Then the walk has not been to all that the rule was
 * put into. @seen: of each node, whether its children have been looked at.
 */
static bool has_gone(const struct updater *u, bool *seen, struct cell *region, uint32_t at)
{
	uint64_t node = u->out->nodes[at];
	uint32_t base = BF_NODE_BASE(node), n, v;
	bool found = false;
	struct window w;
	struct cell above;

	if (node & BF_NODE_LEAF) {
		do
			found = u->out->lists[base] >= GONE;
		while (!found && !is_end(u, region, u->out->lists[base++]));
		return found;
	}
	if (seen[base])
		return false;
	seen[base] = true;
	w = window_of(u, node);
	above = region[w.field];
	region[w.field].mask |= window_mask(&w) << w.pos;
	n = children_of(node);
	for (v = 0; v < n && !found; v++) {
		region[w.field].value = above.value | v << w.pos;
		found = has_gone(u, seen, region, base + v);
	}
	region[w.field] = above;
	return found;
}

static int lists_check(const struct updater *u)
{
	bool *seen = calloc(u->out->nr_nodes, sizeof(*seen));
	struct cell region[BF_TREE_FIELDS];
	bool found = false;
	uint32_t i;

	if (!seen)
		return -ENOMEM;
	memcpy(region, u->set->start, sizeof(region));
	for (i = 0; i < u->out->nr_roots && !found; i++)
		found = has_gone(u, seen, region, u->out->roots[i]);
	free(seen);
	return found ? -EAGAIN : 0;
}

/* --- trees --------------------------------------------------------------------------------- */

/* What those that have gone from this tree may have hidden. */
static int hidden_find(struct updater *u, uint32_t touched)
{
	const struct bf_division *d = &u->out->division;
	uint32_t r, k;

	u->nr_hidden = 0;
	for (k = 0; k < u->nr_gone; k++)
		if (!u->gone.prunes[k])
			touched &= ~(1U << (u->nr_new + k));
	if (!(touched >> u->nr_new))
		return 0;
	for (r = u->first; r < u->set->nr; r++) {
		bool last = r + 1 == u->set->nr;

		for (k = 0; k < u->nr_gone; k++)
			if (touched >> (u->nr_new + k) & 1 && can_meet(u->set, r, &u->gone, k))
				break;
		if (k == u->nr_gone || u->set->never[r] ||
		    (!last && division_tree(u->set, d, r) != u->tree))
			continue;
		if (u->nr_hidden == HIDDEN_MAX)
			return -EAGAIN;
		u->hidden[u->nr_hidden++] = r;
	}
	return 0;
}

static int tree_update(struct updater *u, uint32_t tree)
{
	const struct bf_division *d = &u->out->division;
	struct cell region[BF_TREE_FIELDS];
	uint32_t touched = 0, i;
	int err;

	for (i = 0; i < u->nr_new; i++)
		if (!u->set->never[u->first + i] && division_tree(u->set, d, u->first + i) == tree)
			touched |= 1U << i;
	for (i = 0; i < u->nr_gone; i++)
		if (!u->gone.never[i] && division_tree(&u->gone, d, i) == tree)
			touched |= 1U << (u->nr_new + i);
	if (!touched)
		return 0;
	u->tree = tree;
	err = hidden_find(u, touched);
	memcpy(region, u->set->start, sizeof(region));
	return err ?: node_update(u, u->out->roots[tree], region, touched);
}

static int trees_update(struct updater *u, const struct bf_tree_budget *budget)
{
	struct bf_forest *out = u->out;
	uint32_t had = out->nr_items, t, i;
	int err = 0;

	memset(u->number, BF_TREE_FIELDS, sizeof(u->number));
	for (i = 0; i < u->set->nr_fields; i++)
		u->number[u->set->field[i]] = i;
	/* A node of a field that no rule looks at any more, perhaps in a part that nothing here gets to. */
	for (i = 0; i < out->nr_nodes; i++)
		if (!(out->nodes[i] & BF_NODE_LEAF) &&
		    u->number[BF_NODE_FIELD(out->nodes[i])] == BF_TREE_FIELDS)
			return -EAGAIN;
	u->work = budget->work / WORK_PART;
	renumber(u, out->lists, out->nr_items);
	for (t = 0; t < out->nr_roots && !err; t++)
		err = tree_update(u, t);
	if (!err && u->nr_gone)
		err = lists_check(u);
	if (err)
		return err;
	/* No node leads to these. */
	for (i = 0; i < out->nr_items; i++)
		if (out->lists[i] >= GONE)
			out->lists[i] = u->set->nr - 1;
	if (out->nr_items > had)
		err = lists_compact(out);
	if (err || out->nr_items > WORSE(out->built.items))
		return err ?: -EAGAIN;
	out->changes += u->nr_new + u->nr_gone;
	out->cost = forest_cost(u->set, out, budget, 1);
	return out->cost > WORSE(out->built.cost) ? -EAGAIN : 0;
}

static int forest_copy(const struct bf_forest *from, struct bf_forest *to)
{
	*to = *from;
	to->nodes = malloc(ROOM(from->nr_nodes, *to->nodes));
	to->lists = malloc(ROOM(from->nr_items, *to->lists));
	if (!to->nodes || !to->lists) {
		bf_forest_free(to);
		return -ENOMEM;
	}
	memcpy(to->nodes, from->nodes, from->nr_nodes * sizeof(*to->nodes));
	memcpy(to->lists, from->lists, from->nr_items * sizeof(*to->lists));
	return 0;
}

static bool is_about_answers(const struct rule_set *set, uint32_t rule)
{
	return set->questions[rule].asks || set->questions[rule].changes;
}

/* With the rules in the form in which trees are grown from them */
static int update_with(struct updater *u, const struct bf_tree_input *was,
		       const struct bf_tree_budget *budget)
{
	uint32_t i;
	bool fits;
	int err = rule_set_others(&u->gone, u->set, was, u->first, u->nr_gone, &fits);

	if (err || !fits)
		return err ?: -EAGAIN;
	/* Behind a change of what is asked, rules may be that are not hidden any more. */
	for (i = 0; i < u->nr_new && fits; i++)
		fits = !is_about_answers(u->set, u->first + i);
	for (i = 0; i < u->nr_gone && fits; i++)
		fits = !is_about_answers(&u->gone, i);
	if (!fits && (u->set->asked || u->gone.asked)) {
		rule_set_free(&u->gone);
		return -EAGAIN;
	}
	u->hidden = malloc(ROOM(HIDDEN_MAX, *u->hidden));
	err = u->hidden ? trees_update(u, budget) : -ENOMEM;
	free(u->hidden);
	free(u->list);
	rule_set_free(&u->gone);
	return err;
}

int bf_forest_update(const struct bf_tree_input *was, const struct bf_forest *forest,
		     const struct bf_tree_input *in, const struct bf_tree_budget *budget,
		     struct bf_forest *out)
{
	struct updater u = {.out = out};
	struct rule_set set;
	int err;

	memset(out, 0, sizeof(*out));
	if (in->nr_rules < SPLIT_MIN || in->nr_rules > BF_TREE_RULES || !forest->built.nodes ||
	    forest->built.tree_ns != budget->tree_ns || !same_bits(was->bits, in->bits) ||
	    !changes_find(&u, was, in) ||
	    forest->changes > in->nr_rules / CHANGES_PART + CHANGES_SOME)
		return -EAGAIN;
	err = forest_copy(forest, out);
	if (err || !(u.nr_new + u.nr_gone))
		return err;
	u.max_items = out->nr_items;
	u.max_nodes = out->nr_nodes;
	err = rule_set_init(&set, in);
	if (!err) {
		u.set = &set;
		err = update_with(&u, was, budget);
		rule_set_free(&set);
	}
	if (err)
		bf_forest_free(out);
	return err;
}
