/* SPDX-License-Identifier: GPL-2.0 */
/*
 * From rules over the key to records: what of a rule fits into one, and what is left of it.
 *
 * A record holds a test of both addresses, a range of each port, and a set of predicates: tests
 * that many rules of the table share ("is it TCP", "does it belong to a connection") and that the
 * program therefore answers once for each packet, one bit each, in one word; the upper bits of
 * which may be codes of the interfaces' names (names.h). Tests that are left over, and whatever
 * must run in its place (a condition, a change of the mark), stay ops.
 *
 * That a test is made earlier than the kernel would make it must not show. It does not where a miss
 * only leads to the next rule, and what lies between has no effect of its own: so nothing behind a
 * condition is lifted, and behind a test that can drop the packet only if that is lifted as well.
 * Those are the matches on what is behind the IP header, which drop a packet that is too short for
 * it, and a fragment that could overwrite it. For the few packets that this can happen to ("odd"
 * ones) the program keeps the order: addresses and the predicates from before, then the header that
 * is needed, then the rest.
 */
#ifndef BPFILTER_LIFT_H
#define BPFILTER_LIFT_H

#include "compile.h"
#include "names.h"
#include "record.h"

#define BF_MAX_PREDICATES 32

/**
 * struct bf_predicate - one bit of the packet's word of predicates
 * @first, @nr: the ops that answer it, of any rule that has them: a group that leads to the next
 *	rule or to its own end. In bf_rules.ops, with the labels of that rule, whose first op is
 *	@origin
 * @late: in the rules that have it, it stands behind the header that is needed
 * @uses: in how many places of the table it stands
 */
struct bf_predicate {
	uint32_t first, nr, origin;
	bool late;
	uint32_t uses;
};

/**
 * struct bf_lifted - one entry
 * @record: all but its act
 * @need: bytes that must be behind the IP header of a packet that is no later fragment, or it is
 *	dropped; a multiple of 4, up to 60; 0: it may be any
 * @evil: a packet whose fragment offset is 8 bytes (BF_FRAGOFF is 1) is dropped
 * @first_rest, @nr_rest: op numbers within the entry, in bf_lift.rest, that are left
 */
struct bf_lifted {
	struct bf_record record;
	uint8_t need;
	bool evil;
	uint32_t first_rest, nr_rest;
};

/**
 * struct bf_lift - a table
 * @entries: one for each entry of the table
 * @rest, @nr_rest: see struct bf_lifted
 * @names: of the interfaces. If they have codes, these are the upper bits of the word of
 *	predicates: the incoming one's at the top, the outgoing one's below it, as far as @named
 * @named: whether there are any of the incoming one, and of the outgoing one
 * @differ: a rule asks for "in by this one and out by another", which then is a bit: the lowest
 *	that is not "no later fragment"
 * @predicates: number i is bit i of the word, for @first <= i < @nr_predicates. Below are "no later
 *	fragment", if a rule needs a header (@max_need), and @differ
 * @late: bits of those that are late
 * @ports: a record looks at a port
 * @evil: an entry is
 * @need: by protocol, the most that a rule for it needs; [0]: one for any
 * @max_need: the most of all
 */
struct bf_lift {
	const struct bf_rules *rules;
	struct bf_lifted *entries;
	uint32_t *rest;
	uint32_t nr_rest;
	struct bf_names names;
	bool named[2];
	bool differ;
	struct bf_predicate predicates[BF_MAX_PREDICATES];
	uint32_t first, nr_predicates;
	uint32_t late;
	bool ports;
	bool evil;
	uint8_t need[256];
	uint8_t max_need;
};

/*
 * Lift all entries of a table. 0 or -ENOMEM. @rules must outlive it. Free with bf_lift_free(), also
 * after an error.
 */
int bf_lift_make(struct bf_lift *lift, const struct bf_rules *rules);
void bf_lift_free(struct bf_lift *lift);

/* The bits of the word of predicates that are in use, those of codes included: a mask. */
uint32_t bf_lift_bits(const struct bf_lift *lift);

/*
 * From r6, the frame with the key, to r9: the packet's word of predicates. Clobbers r1 to r5.
 * Without a branch, or with numbers from memory, so that the verifier knows nothing of the result.
 * @word: where the table of names is in the map of words.
 */
void bf_emit_predicates(struct bf_asm *a, const struct bf_lift *lift, uint32_t word);

#endif /* BPFILTER_LIFT_H */
