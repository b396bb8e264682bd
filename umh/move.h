/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between filter.c, which answers the options, and move.c, which moves a table between ip_tables and
 * us. Nobody else looks in here.
 */
#ifndef BPFILTER_MOVE_H
#define BPFILTER_MOVE_H

#include "filter.h"
#include "load.h"
#include "seat.h"

struct bf_ct_pin;

/**
 * struct bf_filter - see filter.h
 * @loaded: NULL: ip_tables has the table
 * @ct_used: there is a pin of conntrack, or was one before
 * @kernel_sk: for ip_tables, -1 until first needed: bf_filter_socket()
 */
struct bf_filter {
	struct bf_env *env;
	char name[64];
	struct bf_seat seat;
	struct bf_loaded *loaded;
	struct bf_ct_pin *ct_pin;
	bool ct_used;
	int kernel_sk;
	struct bf_why why_kernel;
	uint64_t replaced_at, replace_us;
};

/* The socket for ip_tables, opened when it is first needed. A descriptor or -errno. */
int bf_filter_socket(struct bf_filter *f);

/* Conntrack must be there as long as a table looks at it, and not be there for one that does not. */
int bf_filter_want_conntrack(struct bf_filter *f, bool wanted, struct bf_why *why);

/*
 * The final counters of a table of ours that is out of force: no packet is in it any more. Failing to wait
 * can only mean that the last few packets are not counted, and must not undo a switch that has happened.
 */
void bf_filter_final_counters(struct bf_filter *f, const struct bf_loaded *loaded,
			      struct xt_counters *counters);

/**
 * bf_move_here - put a loaded table in force where ip_tables had one
 * @num_counters, @old: receives the kernel's final counters, if they are that many
 *
 * Takes @loaded over on success. On error the kernel's table stays in force.
 */
int bf_move_here(struct bf_filter *f, struct bf_loaded *loaded, uint32_t num_counters,
		 struct xt_counters *old, struct bf_why *why);

/**
 * bf_move_hooks - a new table for the one in force, at other hooks
 * @old: receives the final counters of the table that was in force
 *
 * Takes @loaded over on success. On error the old one stays in force, where it is.
 */
int bf_move_hooks(struct bf_filter *f, struct bf_loaded *loaded, struct xt_counters *old,
		  struct bf_why *why);

/* Has ip_tables more than three policies ACCEPT? bf_filter_socket() must have succeeded. */
bool bf_move_kernel_has_rules(struct bf_filter *f);

/**
 * bf_move_to_kernel - give a table to ip_tables where ours was in force
 * @replace, @len: an IPT_SO_SET_REPLACE option value
 * @old: receives the final counters of our table
 * @keep: it is the same table, and its counters go along
 *
 * On error our table stays in force. -EBUSY: ip_tables has rules of its own, which would be lost;
 * -ENOPROTOOPT: the kernel has no ip_tables.
 */
int bf_move_to_kernel(struct bf_filter *f, const void *replace, size_t len, struct xt_counters *old,
		      bool keep, struct bf_why *why);

/*
 * Finish the move in which the last helper was interrupted, when our table is in force: see seat.h. As long
 * as ip_tables has rules too, what they drop is dropped.
 */
int bf_move_finish(struct bf_filter *f, struct bf_why *why);

#endif /* BPFILTER_MOVE_H */
