/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Pages: how the lists of decision trees are stored that are long, so that not all of their rules are
 * compared (record.h, struct bf_page).
 */
#ifndef BPFILTER_PAGES_H
#define BPFILTER_PAGES_H

#include "record.h"
#include "tree.h"

/**
 * struct bf_lists - where the lists of a forest go
 * @to: of each of bf_forest.lists, the program counter with the number that it would have if these
 *	were the first records and pages; owned
 * @nr_records: how many go to runs of records
 * @nr_pages: how many pages the others take
 */
struct bf_lists {
	uint32_t *to;
	uint32_t nr_records, nr_pages;
};

/* @pages: long ones go to pages. 0 or -ENOMEM. Free @to with free(3). */
int bf_lists_place(struct bf_lists *lists, const struct bf_forest *forest, bool pages);

/**
 * struct bf_page_windows - which windows a page looks at, by their numbers; remembered, since to choose them takes
 *	longer than to fill the page
 */
struct bf_page_windows {
	uint32_t hash;
	uint8_t windows[BF_PAGE_WINDOWS];
};

/* How many are remembered. The choice is as good as any other if it was made for another page. */
#define BF_PAGE_CHOICES 8192

/**
 * bf_pages_fill - make the pages of a forest
 * @pages: room for bf_lists.nr_pages
 * @records: the table's, which bf_page.records gives numbers of
 * @first: the record of the chain's first rule
 * @predicates: the word of the frame with the packet's predicates
 * @choices: BF_PAGE_CHOICES windows that were chosen, to look up and to add to; NULL: none
 */
void bf_pages_fill(struct bf_page *pages, const struct bf_lists *lists,
		   const struct bf_forest *forest, const struct bf_record *records, uint32_t first,
		   uint8_t predicates, struct bf_page_windows *choices);

#endif /* BPFILTER_PAGES_H */
