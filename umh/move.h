/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between filter.c, which answers the options, and move.c, which moves a table between ip_tables and
 * us. Nobody else looks in here.
 */
#ifndef BPFILTER_MOVE_H
#define BPFILTER_MOVE_H

#include "filter.h"
#include "load.h"
#include "early_drop.h"
#include "offload.h"
#include "seat.h"
#include "stage.h"

struct bf_ct_pin;

/**
 * struct bf_filter - see filter.h
 * @loaded: NULL: ip_tables has the table
 * @offload: what stands in front of it on network cards
 * @effects: of the table in force, if that is ours
 * @next_effects: of the one that is about to be
 * @spare: the table before, which nothing runs any more, to make the next of it; or NULL
 * @spare_since: CLOCK_MONOTONIC nanoseconds
 * @ct_used: there is a pin of conntrack, or was one before
 * @asked: placement that the table is to have
 * @place: which of those at interfaces the table has, if it has one
 * @why_place: why the table is not where it was asked to be
 * @others_at: CLOCK_MONOTONIC when rules of another table were on their way; 0: never
 * @due_since: CLOCK_MONOTONIC of a replace after which the caller has not given its rules back what they
 *	had counted; 0: it has
 * @kernel_sk: for ip_tables, -1 until first needed: bf_filter_socket()
 */
struct bf_filter {
	struct bf_env *env;
	char name[64];
	struct bf_seat seat;
	struct bf_offload offload;
	struct bf_stage stage;
	struct bf_effects effects, next_effects;
	struct bf_loaded *loaded;
	struct bf_loaded *spare;
	uint64_t spare_since;
	struct bf_early_drop early;
	struct bf_ct_pin *ct_pin;
	bool ct_used;
	int kernel_sk;
	enum bf_placement asked, place;
	struct bf_why why_kernel, why_place;
	uint64_t others_at;
	uint64_t replaced_at, replace_us;
	uint64_t due_since;
};

/* The socket for ip_tables, opened when it is first needed. A descriptor or -errno. */
int bf_filter_socket(struct bf_filter *f);

/*
 * Move the table in force from the interfaces to links, from where it can go to ip_tables with each packet counted once.
 * 0 or -errno: it stays where it is.
 */
int bf_filter_to_links(struct bf_filter *f);

/*
 * The network cards have programs of the table in force, and drivers its early-drop stage, where they are asked for; before another is put in force, or
 * it is put elsewhere, they have none.
 */
void bf_filter_offload(struct bf_filter *f);
void bf_filter_withdraw(struct bf_filter *f);

/* Conntrack must be there as long as a table looks at it, and not be there for one that does not. */
int bf_filter_want_conntrack(struct bf_filter *f, bool wanted, struct bf_why *why);

/*
 * The final counters of a table of ours that is out of force: no packet is in it any more. Failing to wait
 * can only mean that the last few packets are not counted, and must not undo a switch that has happened. 0, or
 * -errno if packets may still be in it.
 */
int bf_filter_final_counters(struct bf_filter *f, const struct bf_loaded *loaded,
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

/*
 * The table is in force at tc: have it where it is to be at each interface. That it is not is no failure: the status
 * tells why.
 */
void bf_move_settle(struct bf_filter *f);

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
