/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between lift.c, which finds the groups of tests in rules, and predicates.c, which knows those of
 * the whole table.
 */
#ifndef BPFILTER_PREDICATES_H
#define BPFILTER_PREDICATES_H

#include "lift.h"

/* What the table's groups are, each once. */
struct bf_groups {
	const struct bf_rules *rules;
	struct bf_predicate *all;
	uint32_t nr, max;
	uint32_t *slots; /* hash table of numbers in all, plus one */
	uint32_t nr_slots;
	uint32_t last; /* the one found last */
};

/* 0 or -ENOMEM. Free with bf_groups_free(), also after an error. */
int bf_groups_init(struct bf_groups *g, const struct bf_rules *rules);
void bf_groups_free(struct bf_groups *g);

/* Note a group that a rule has. 0 or -ENOMEM. */
int bf_groups_count(struct bf_groups *g, const struct bf_predicate *p);

/* The number of a group, UINT32_MAX if it is none: after bf_groups_choose(), that of its bit. */
uint32_t bf_groups_find(struct bf_groups *g, const struct bf_predicate *p);

/*
 * All are counted: those of the most rules become predicates, and from now on no others are found.
 */
void bf_groups_choose(struct bf_lift *lift, struct bf_groups *g);

/* Where the code of the name in @field is in the word of predicates. */
unsigned int bf_name_shift(const struct bf_lift *lift, enum bf_field field);

/* The bit of bf_lift.differ. */
uint32_t bf_differ_bit(const struct bf_lift *lift);

#endif /* BPFILTER_PREDICATES_H */
