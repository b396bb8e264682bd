/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Names of interfaces as a few bits of the word of predicates.
 *
 * A table with many interfaces tests many names, and one bit for each would be too many. So the
 * program looks the packet's name up, once, and gets a code, in which half of the bits are set.
 * None has all bits of another one: that a packet has the bits of a rule's code is to say that it
 * has the name. A name that the table does not have gets 0. Names with a "+" are predicates like
 * any other.
 */
#ifndef BPFILTER_NAMES_H
#define BPFILTER_NAMES_H

#include "asm.h"

/* Bits of a code at most: 1,716 names. */
#define BF_NAME_BITS 13

/*
 * An interface's whole name as it lies in memory (char name[16]), with NUL behind it up to its end.
 */
struct bf_name {
	uint64_t word[2];
};

/**
 * struct bf_names - the names in a table
 * @all, @nr, @max: each name once
 * @index, @nr_index: hash table of numbers in @all, plus one
 * @last: number of the name that was added last
 * @codes: of each name, if they have some
 * @bits: of the codes; 0: the names have none, since they are too few or too many
 * @slots: of the table in the program's words, a power of two; three words each: name and code
 * @seed: what makes its hash spread them
 *
 * Zeroed to start with.
 */
struct bf_names {
	struct bf_name *all;
	uint32_t nr, max;
	uint32_t *index;
	uint32_t nr_index;
	uint32_t last;
	uint32_t *codes;
	uint8_t bits;
	uint32_t slots;
	uint64_t seed;
};

/* Note a name, if it is not known yet. 0 or -ENOMEM. */
int bf_names_add(struct bf_names *names, const struct bf_name *name);

/* All names are known: give them codes, if @bits then is not 0. 0 or -ENOMEM. */
int bf_names_finish(struct bf_names *names);

void bf_names_free(struct bf_names *names);

/* The code of a name that was added; only if names have codes. */
uint32_t bf_names_code(const struct bf_names *names, const struct bf_name *name);

/* Words that the table takes: the seed, the slots, and as many more as a search may look at. */
static inline uint32_t bf_names_words(const struct bf_names *names)
{
	return names->bits ? 1 + 3 * (names->slots + 3) : 0;
}

/* Write the table, bf_names_words() of it; only if names have codes. */
void bf_names_fill(const struct bf_names *names, uint64_t *words);

/*
 * r2 = the code of the packet's interface, @field being BF_IIF or BF_OIF, or 0 if it has none.
 * @word: where the table is in the map of words. r6 is the frame. Clobbers r1 to r5.
 */
void bf_emit_name(struct bf_asm *a, const struct bf_names *names, enum bf_field field,
		  uint32_t word);

/*
 * How many of @ops, at most @n, are an interface's whole name, for one of the two directions: @name
 * receives it. 0 if they are not.
 */
uint32_t bf_name_of(const struct bf_op *ops, uint32_t n, struct bf_name *name);

/*
 * The same for ops that are anything but that name: from @first on, of an entry with @n ops, to
 * which labels refer.
 */
uint32_t bf_other_name_of(const struct bf_op *ops, uint32_t first, uint32_t n,
			  struct bf_name *name);

#endif /* BPFILTER_NAMES_H */
