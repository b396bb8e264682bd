/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tests over the key, and what is in a key, in words.
 */
#ifndef BPFILTER_WORDS_H
#define BPFILTER_WORDS_H

#include "ir.h"

struct bf_words {
	char text[160];
};

/* What a key has in a field: "192.0.2.1", "tcp", "SYN,ACK". Of a name all four words. */
struct bf_words bf_words_value(const uint32_t *key, enum bf_field field);

/* The name of a field, of all words of an interface's name together. */
const char *bf_words_field(enum bf_field field);

/* "saddr 192.0.2.0/24", "not dport 80-90"; @negate: the opposite. A condition is one of @conds. */
struct bf_words bf_words_test(const struct bf_op *op, bool negate, const struct bf_cond *conds);

/**
 * bf_words_ops - a group of tests that leads to the next rule or to its own end
 * @ops: of which labels are numbers of ops, the first of these being number @base
 *
 * Malloc'd; NULL if there is no memory.
 */
char *bf_words_ops(const struct bf_op *ops, uint32_t n, uint32_t base, const struct bf_cond *conds);

#endif /* BPFILTER_WORDS_H */
