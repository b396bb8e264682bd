/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A table as the record form's three arrays: records, words, ops (record.h).
 */
#ifndef BPFILTER_LAYOUT_H
#define BPFILTER_LAYOUT_H

#include "lift.h"
#include "trees.h"

/* Records behind the last one, so that as many can be looked at without asking where they end. */
#define BF_RECORD_PADDING 32

/**
 * struct bf_layout - the arrays
 * @records: @nr_records, the padding included; owned, as the next two
 * @entry_words: where the words of the entries begin
 * @room_records, @room_words: how many there may be, besides those that come behind the trees
 * @forests: a chain has more than one tree
 * @pages: a list is in pages
 * @trees: those that were made, to make others of them; owned
 * @predicates: word of the frame with the packet's predicates: like a field of the key to the trees
 * @last_field: the last of the frame's words that trees and ops may look at, one less than a power
 *	of two
 */
struct bf_layout {
	struct bf_record *records;
	uint64_t *words;
	struct bf_op_record *ops;
	uint32_t nr_records, max_records;
	uint32_t nr_words, max_words;
	uint32_t nr_ops;
	uint32_t entry_words;
	uint32_t room_records, room_words;
	bool forests, pages;
	struct bf_trees *trees;
	uint8_t predicates, last_field;
};

/**
 * bf_layout_make - lay out a table
 * @limits: what trees may cost, if that is less than usual, and former ones; or NULL
 * @max_value: bytes that the records and the words may have, each; 0: any number. Trees that would
 *	have more are left out
 *
 * 0, -ENOMEM, -EFBIG if not even the table without trees is within @max_value, or -E2BIG if a rule
 * has more ops than one can pass over. Free with bf_layout_free(), also after an error.
 */
int bf_layout_make(struct bf_layout *layout, const struct bf_lift *lift,
		   const struct bf_limits *limits, uint32_t max_value);
void bf_layout_free(struct bf_layout *layout);

/* Make room for @need elements of @size bytes in an array with room for *@max. 0 or -ENOMEM. */
int bf_layout_grow(void **array, uint32_t *max, uint32_t need, size_t size);

/* Is there room for so many more? */
bool bf_layout_has_room(const struct bf_layout *out, uint32_t records, uint32_t words);

/**
 * bf_layout_forest - lay out the trees of a chain
 * @first: the chain's first entry
 * @pc: receives the program counter of the forest or tree; left as it is if there is no room
 *
 * 0 or -ENOMEM.
 */
int bf_layout_forest(struct bf_layout *out, uint32_t first, const struct bf_forest *forest,
		     uint32_t *pc);

#endif /* BPFILTER_LAYOUT_H */
