// SPDX-License-Identifier: GPL-2.0
#include "pages.h"

#include <errno.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "bpfilter.h"
#include "ir.h"

/* Lists of more rules than that are stored in pages: to look at one costs as much as some records. */
#define LIST_SHORT 32
/* So many rules at the end of a list may be another one as well (tree_lists.c). */
#define LIST_ENDS  8

/* Windows there are: nibbles of the addresses, the predicates and the ports */
#define WINDOWS 32
/* Rules by which they are chosen, */
#define JUDGED	32
/* keys of some of those, and windows that are tried with each other */
#define KEYS	16
#define TRIED	12

/* --- which lists ---------------------------------------------------------------------------- */

/* The longest list of an ascending run of items, which has one or some */
static uint32_t run_longest(const bool *starts, uint32_t first, uint32_t end)
{
	uint32_t begin = first, longest = 0, i;

	for (i = first + 1; i <= end; i++) {
		if (i < end && (!starts[i] || end - i <= LIST_ENDS))
			continue;
		longest = i - begin > longest ? i - begin : longest;
		begin = i;
	}
	return longest;
}

/*
 * A run goes to pages if one of its lists is long. A list begins with a page of its own if the one before is half full:
 * so they hardly take more than records would.
 */
static void place_run(struct bf_lists *lists, const bool *starts, uint32_t first, uint32_t end,
		      bool pages)
{
	uint32_t at = 0, i;

	if (!pages || run_longest(starts, first, end) <= LIST_SHORT) {
		for (i = first; i < end; i++)
			lists->to[i] = lists->nr_records++;
		return;
	}
	for (i = first; i < end; i++, at++) {
		if (starts[i] && at % BF_PAGE_RECORDS >= BF_PAGE_RECORDS / 2)
			at = (at + BF_PAGE_RECORDS - 1) & ~(BF_PAGE_RECORDS - 1);
		lists->to[i] = BF_PC_PAGE | (lists->nr_pages * BF_PAGE_RECORDS + at);
	}
	lists->nr_pages += (at + BF_PAGE_RECORDS - 1) / BF_PAGE_RECORDS;
}

int bf_lists_place(struct bf_lists *lists, const struct bf_forest *f, bool pages)
{
	bool *starts = calloc((size_t)f->nr_items + 1, sizeof(*starts));
	uint32_t first = 0, i;

	*lists = (struct bf_lists){.to = calloc((size_t)f->nr_items + 1, sizeof(*lists->to))};
	if (!starts || !lists->to) {
		free(starts);
		free(lists->to);
		lists->to = NULL;
		return -ENOMEM;
	}
	for (i = 0; i < f->nr_nodes; i++)
		if (f->nodes[i] & BF_NODE_LEAF)
			starts[BF_NODE_BASE(f->nodes[i])] = true;
	for (i = 1; i <= f->nr_items; i++) {
		if (i < f->nr_items && f->lists[i] > f->lists[i - 1])
			continue;
		place_run(lists, starts, first, i, pages);
		first = i;
	}
	free(starts);
	return 0;
}

/* --- what a record asks of a window ---------------------------------------------------------- */

/* The key's word of a window, and its lowest bit */
static enum bf_field window_field(unsigned int window, uint8_t predicates)
{
	static const enum bf_field ports[] = {BF_DPORT, BF_SPORT};

	if (window >= 24)
		return ports[window >> 2 & 1];
	return window >= 16 ? (enum bf_field)predicates : window >= 8 ? BF_DADDR : BF_SADDR;
}

static unsigned int window_bit(unsigned int window)
{
	return 4 * (window >= 24 ? window & 3 : window & 7);
}

/**
 * struct asked - which values of a window a record allows: those that are @value with the bits of @free set in any way,
 *	and from @lo to @hi
 */
struct asked {
	uint8_t value, free, lo, hi;
};

static struct asked ask_bits(uint32_t mask, uint32_t value, unsigned int bit)
{
	return (struct asked){value >> bit & mask >> bit & 15, ~(mask >> bit) & 15, 0, 15};
}

/* Bits below the first in which the bounds differ may have any value but in the window of that. */
static struct asked ask_ports(const struct bf_ports *ports, unsigned int bit)
{
	uint32_t lo = ports->first, hi = lo + ports->span;
	struct asked any = {0, 15, 0, 15};

	/* One that goes on from 0 again. */
	if (hi > UINT16_MAX || lo >> (bit + 4) != hi >> (bit + 4))
		return any;
	any.lo = lo >> bit & 15;
	any.hi = hi >> bit & 15;
	return any;
}

static struct asked asked_of(const struct bf_record *rec, unsigned int window)
{
	unsigned int bit = window_bit(window);

	if (window >= 28)
		return ask_ports(&rec->sport, bit);
	if (window >= 24)
		return ask_ports(&rec->dport, bit);
	if (window >= 16)
		return ask_bits(rec->predicates, rec->predicates, bit);
	if (window >= 8)
		return ask_bits(rec->mask >> 32, rec->addresses >> 32, bit);
	return ask_bits(rec->mask, rec->addresses, bit);
}

static bool is_any(const struct asked *a)
{
	return a->free == 15 && !a->lo && a->hi == 15;
}

static bool allows(const struct asked *a, unsigned int value)
{
	return !((value ^ a->value) & ~a->free & 15) && value >= a->lo && value <= a->hi;
}

/* The values that a record allows, a bit each */
static uint32_t values_of(const struct asked *a)
{
	uint32_t values = 0;
	unsigned int v;

	if (!a->free)
		return 1U << a->value;
	for (v = a->lo; v <= a->hi; v++)
		values |= (uint32_t)allows(a, v) << v;
	return values;
}

/* --- which windows --------------------------------------------------------------------------- */

/**
 * struct judged - a sample of a page's records
 * @rows: those that allow a value, a bit each
 * @keys: a value that each of some of them allows
 * @left: of each window: records that are left for a key of the sample, in all
 */
struct judged {
	uint32_t nr, nr_keys;
	uint32_t rows[WINDOWS][BF_PAGE_VALUES];
	uint8_t keys[WINDOWS][KEYS];
	uint32_t left[WINDOWS];
};

static void judge_window(struct judged *j, const struct bf_record *records, uint32_t first,
			 const uint32_t *items, uint32_t step, unsigned int window)
{
	uint32_t any = 0, i, v, values;

	memset(j->rows[window], 0, sizeof(j->rows[window]));
	for (i = 0; i < j->nr; i++) {
		struct asked a = asked_of(&records[first + items[i * step]], window);

		/* What is not asked for differs from packet to packet. */
		v = (items[i * step] * 7 + window) & 15;
		if (is_any(&a)) {
			any |= 1U << i;
		} else {
			values = values_of(&a);
			if (values && !(values >> v & 1))
				v = __builtin_ctz(values);
			for (; values; values &= values - 1)
				j->rows[window][__builtin_ctz(values)] |= 1U << i;
		}
		if (i < j->nr_keys)
			j->keys[window][i] = v;
	}
	for (v = 0; v < BF_PAGE_VALUES; v++)
		j->rows[window][v] |= any;
	j->left[window] = 0;
	for (i = 0; i < j->nr_keys; i++)
		j->left[window] += __builtin_popcount(j->rows[window][j->keys[window][i]]);
}

/* The windows that leave the least, each alone, best first */
static void windows_best(const struct judged *j, uint8_t *best)
{
	unsigned int w, nr = 0, i;

	for (w = 0; w < WINDOWS; w++) {
		if (nr == TRIED && j->left[w] >= j->left[best[nr - 1]])
			continue;
		i = nr < TRIED ? nr++ : nr - 1;
		for (; i && j->left[best[i - 1]] > j->left[w]; i--)
			best[i] = best[i - 1];
		best[i] = w;
	}
}

/* One after the other, the window that leaves the least together with those that were chosen before. */
static void windows_choose(const struct judged *j, uint8_t *windows)
{
	uint32_t left[KEYS], i, k;
	uint8_t best[TRIED];
	unsigned int n;

	windows_best(j, best);
	memset(left, 0xff, sizeof(left));
	for (n = 0; n < BF_PAGE_WINDOWS; n++) {
		uint32_t least = UINT32_MAX, chosen = 0;

		for (i = 0; i < TRIED; i++) {
			uint32_t sum = 0;

			for (k = 0; k < j->nr_keys; k++)
				sum += __builtin_popcount(left[k] &
							  j->rows[best[i]][j->keys[best[i]][k]]);
			if (sum < least) {
				least = sum;
				chosen = best[i];
			}
		}
		windows[n] = chosen;
		for (k = 0; k < j->nr_keys; k++)
			left[k] &= j->rows[chosen][j->keys[chosen][k]];
	}
}

static void choose(const struct bf_record *records, uint32_t first, const uint32_t *items,
		   uint32_t nr, uint8_t *windows)
{
	uint32_t step = (nr - 1) / JUDGED + 1;
	struct judged j = {.nr = (nr - 1) / step + 1};
	unsigned int w;

	j.nr_keys = j.nr < KEYS ? j.nr : KEYS;
	for (w = 0; w < WINDOWS; w++)
		judge_window(&j, records, first, items, step, w);
	windows_choose(&j, windows);
}

/* What the first records of a page ask, which mostly are the same when others come or go. */
static uint32_t page_hash(const struct bf_record *records, uint32_t first, const uint32_t *items,
			  uint32_t nr)
{
	uint64_t hash = 1;
	uint32_t i;

	for (i = 0; i < nr && i < 4; i++) {
		const struct bf_record *rec = &records[first + items[i]];

		hash = (hash ^ rec->addresses ^ rec->mask << 7) * 0x9e3779b97f4a7c15;
		hash = (hash ^ rec->dport.first ^ (uint64_t)rec->sport.first << 16 ^
			(uint64_t)rec->predicates << 32) *
		       0x9e3779b97f4a7c15;
	}
	return hash >> 32 ?: 1;
}

/* --- pages ----------------------------------------------------------------------------------- */

static void fill_rows(uint64_t *rows, const struct bf_record *records, uint32_t first,
		      const uint32_t *items, uint32_t nr, unsigned int window)
{
	uint64_t any = 0;
	uint32_t i, v;

	for (i = 0; i < nr; i++) {
		struct asked a = asked_of(&records[first + items[i]], window);
		uint64_t bit = 1ULL << i;

		if (is_any(&a)) {
			any |= bit;
			continue;
		}
		if (!a.free) {
			rows[a.value] |= bit;
			continue;
		}
		for (v = a.lo; v <= a.hi; v++)
			if (allows(&a, v))
				rows[v] |= bit;
	}
	for (v = 0; v < BF_PAGE_VALUES; v++)
		rows[v] |= any;
}

/* The byte of the key, whose words are in host byte order. */
static uint8_t key_byte(enum bf_field field, unsigned int bit)
{
	unsigned int byte = bit / 8;

	if (__BYTE_ORDER__ == __ORDER_BIG_ENDIAN__)
		byte = 3 - byte;
	return 4 * field + byte;
}

static void page_fill(struct bf_page *page, const struct bf_record *records, uint32_t first,
		      const uint32_t *items, uint32_t nr, uint8_t predicates,
		      struct bf_page_windows *choices)
{
	uint32_t hash = page_hash(records, first, items, nr), i;
	struct bf_page_windows mine = {}, *w = choices ? &choices[hash % BF_PAGE_CHOICES] : &mine;

	memset(page, 0, sizeof(*page));
	if (w->hash != hash) {
		choose(records, first, items, nr, w->windows);
		w->hash = hash;
	}
	for (i = 0; i < BF_PAGE_WINDOWS; i++) {
		page->byte[i] = key_byte(window_field(w->windows[i], predicates),
					 window_bit(w->windows[i]));
		page->shift[i] = window_bit(w->windows[i]) & 4;
		fill_rows(page->rows[i], records, first, items, nr, w->windows[i]);
	}
	for (i = 0; i < nr; i++)
		page->records[i] = first + items[i];
}

/* Items that follow this one in its page, and itself */
static uint32_t page_items(const struct bf_lists *lists, uint32_t i, uint32_t nr_items)
{
	uint32_t n = 1;

	while (i + n < nr_items && lists->to[i + n] == lists->to[i] + n &&
	       lists->to[i + n] % BF_PAGE_RECORDS)
		n++;
	return n;
}

void bf_pages_fill(struct bf_page *pages, const struct bf_lists *lists,
		   const struct bf_forest *forest, const struct bf_record *records, uint32_t first,
		   uint8_t predicates, struct bf_page_windows *choices)
{
	uint32_t i = 0, n;

	while (i < forest->nr_items) {
		if (!(lists->to[i] & BF_PC_PAGE)) {
			i++;
			continue;
		}
		n = page_items(lists, i, forest->nr_items);
		page_fill(pages++, records, first, forest->lists + i, n, predicates, choices);
		i += n;
	}
}
