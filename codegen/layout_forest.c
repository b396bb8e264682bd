// SPDX-License-Identifier: GPL-2.0
/*
 * Decision trees in the record form's arrays: leaves as runs of records and as pages, nodes as words.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "layout.h"
#include "pages.h"

int bf_layout_grow(void **array, uint32_t *max, uint32_t need, size_t size)
{
	uint32_t more = need + need / 4 + 64;
	void *bigger;

	if (need <= *max)
		return 0;
	bigger = reallocarray(*array, more, size);
	if (!bigger)
		return -ENOMEM;
	*array = bigger;
	*max = more;
	return 0;
}

bool bf_layout_has_room(const struct bf_layout *out, uint32_t records, uint32_t words)
{
	return records <= out->room_records - out->nr_records &&
	       words <= out->room_words - out->nr_words;
}

/* Words that a forest takes: its nodes, the list of its roots if there are several, */
static uint32_t node_words(const struct bf_forest *f)
{
	return f->nr_nodes + (f->nr_roots > 1 ? 1 + f->nr_roots : 0);
}

/* and its pages, which begin at a multiple of their size. The number of the first one that may begin behind @words */
static uint32_t first_page(uint32_t words)
{
	return (words + BF_PAGE_WORDS - 1) / BF_PAGE_WORDS;
}

static uint32_t forest_words(const struct bf_layout *out, const struct bf_forest *f,
			     const struct bf_lists *lists)
{
	uint32_t end = out->nr_words + node_words(f);

	if (lists->nr_pages)
		end = (first_page(end) + lists->nr_pages) * BF_PAGE_WORDS;
	return end - out->nr_words;
}

/* The nodes, and what comes with several trees. @records, @page: the first ones of the lists. Returns the program counter. */
static uint32_t add_nodes(struct bf_layout *out, const struct bf_forest *f,
			  const struct bf_lists *lists, uint32_t records, uint32_t page)
{
	uint32_t nodes = out->nr_words, pc = BF_PC_NODE | (nodes + f->roots[0]), i;

	for (i = 0; i < f->nr_nodes; i++) {
		uint64_t node = f->nodes[i];
		uint32_t to = node & BF_NODE_LEAF ? lists->to[BF_NODE_BASE(node)] : 0;

		if (!(node & BF_NODE_LEAF))
			node += nodes;
		else if (to & BF_PC_PAGE)
			node = BF_NODE_LEAF | (to + page * BF_PAGE_RECORDS);
		else
			node = BF_NODE_LEAF | (to + records);
		out->words[nodes + i] = node;
	}
	out->nr_words += f->nr_nodes;
	if (f->nr_roots == 1)
		return pc;
	pc = BF_PC_FOREST | out->nr_words;
	out->words[out->nr_words++] = f->nr_roots;
	for (i = 0; i < f->nr_roots; i++)
		out->words[out->nr_words++] = BF_PC_NODE | (nodes + f->roots[i]);
	out->forests = true;
	return pc;
}

/* Lists of the forest become pages, from number @page on. */
static void add_pages(struct bf_layout *out, uint32_t first, const struct bf_forest *f,
		      const struct bf_lists *lists, uint32_t page)
{
	uint64_t *pages = out->words + page * BF_PAGE_WORDS;

	memset(out->words + out->nr_words, 0, (char *)pages - (char *)(out->words + out->nr_words));
	out->nr_words = (page + lists->nr_pages) * BF_PAGE_WORDS;
	out->pages = true;
	if (!out->trees->choices)
		out->trees->choices = calloc(BF_PAGE_CHOICES, sizeof(*out->trees->choices));
	bf_pages_fill((struct bf_page *)pages, lists, f, out->records, first, out->predicates,
		      out->trees->choices);
}

static int add_forest(struct bf_layout *out, uint32_t first, const struct bf_forest *f,
		      const struct bf_lists *lists, uint32_t *pc)
{
	uint32_t records = out->nr_records, page = first_page(out->nr_words + node_words(f)), i;
	int err;

	err = bf_layout_grow((void **)&out->records, &out->max_records,
			     records + lists->nr_records + BF_RECORD_PADDING, sizeof(*out->records))
		      ?: bf_layout_grow((void **)&out->words, &out->max_words,
					out->nr_words + forest_words(out, f, lists),
					sizeof(*out->words));
	if (err)
		return err;
	for (i = 0; i < f->nr_items; i++)
		if (!(lists->to[i] & BF_PC_PAGE))
			out->records[out->nr_records++] = out->records[first + f->lists[i]];
	*pc = add_nodes(out, f, lists, records, page);
	if (lists->nr_pages)
		add_pages(out, first, f, lists, page);
	return 0;
}

/* Where a forest's lists go: to pages, if there is room. -E2BIG if there is not even room without these. */
static int place_lists(const struct bf_layout *out, const struct bf_forest *f,
		       struct bf_lists *lists)
{
	int err = bf_lists_place(lists, f, f->nr_roots > 1);

	if (err || bf_layout_has_room(out, lists->nr_records, forest_words(out, f, lists)))
		return err;
	free(lists->to);
	err = bf_lists_place(lists, f, false);
	if (err)
		return err;
	return bf_layout_has_room(out, lists->nr_records, forest_words(out, f, lists)) ? 0 : -E2BIG;
}

int bf_layout_forest(struct bf_layout *out, uint32_t first, const struct bf_forest *f, uint32_t *pc)
{
	struct bf_lists lists;
	int err = place_lists(out, f, &lists);

	if (!err)
		err = add_forest(out, first, f, &lists, pc);
	free(lists.to);
	return err == -E2BIG ? 0 : err;
}
