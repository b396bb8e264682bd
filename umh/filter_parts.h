/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the files of the filter share: filter.c (who has the table), filter_translate.c (programs for it) and
 * filter_replace.c (another table).
 */
#ifndef BPFILTER_FILTER_PARTS_H
#define BPFILTER_FILTER_PARTS_H

#include "filter.h"
#include "move.h"

/* Zeroed; one at least. NULL if there is no memory. The caller frees them. */
struct xt_counters *bf_filter_alloc_counters(uint32_t n);

/* Forget the program that was replaced last and kept for the next table. */
void bf_filter_drop_spare(struct bf_filter *f);

/* The effects of the table in force that are run behind links: none at the module's hooks. */
const struct bf_effects *bf_filter_staged(const struct bf_filter *f);

/*
 * What the table in force needs for its effects is there, and nothing else: after each change, and each attempt at
 * one.
 */
void bf_filter_tidy_stage(struct bf_filter *f);

/*
 * The table as a loaded program; at netfilter's hooks where it cannot be at the interfaces, if it was to be there.
 * @table is taken over on success. @started: bf_now_ns() when the call began.
 */
int bf_filter_translate(struct bf_filter *f, struct bf_table *table, uint64_t started,
			struct bf_loaded **loaded, struct bf_why *why);

/* The same, at netfilter's hooks whatever was asked for. */
int bf_filter_translate_hooks(struct bf_filter *f, struct bf_table *table, uint64_t started,
			      struct bf_loaded **loaded, struct bf_why *why);

/* A table as a program for links, from the value of an option; NULL if it cannot be. */
struct bf_loaded *bf_filter_load_for_links(struct bf_filter *f, const void *value, size_t len);

/* The same table at other hooks, with its counters. @loaded is taken over on success. */
int bf_filter_move_same(struct bf_filter *f, struct bf_loaded *loaded, struct bf_why *why);

/* The table was to be at the interfaces and cannot: for status, and once for the log. */
void bf_filter_note_place(struct bf_filter *f, int err, const struct bf_why *why);

/* Table @name has rules, which the interfaces cannot take into account. Returns -EOPNOTSUPP. */
int bf_filter_refuse_edge(const char *name, struct bf_why *why);

#endif /* BPFILTER_FILTER_PARTS_H */
