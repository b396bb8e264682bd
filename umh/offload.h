/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Our programs on the processors of network cards: the placement offload.
 *
 * They stand in front of the programs at the interfaces (edge.h) and take from them what INPUT is certain to drop
 * (bf_compile_offload()); those judge all the rest. So they may come and go at any time while the table that they
 * are of is in force, but must be gone when another one is. What is in the kernel of them when the helper
 * is gone is beside the pins of the edge:
 *
 *	hw_N	link at the interface with index N
 *	hwc_N	the counters of its program, which count for the table in force
 */
#ifndef BPFILTER_OFFLOAD_H
#define BPFILTER_OFFLOAD_H

#include "edge.h"
#include "netdev.h"

struct bf_loaded;

/**
 * struct bf_offload_port - an interface that is to have one
 * @dev: what the interface was when the program was made
 * @link, @counters: descriptors, -1: it has none, for the reason in @why
 * @nr: how many counters
 * @together: they are one element of the map
 * @seen: what they were when they were last read; a card that is gone cannot be asked
 * @wanted: it still is to have one
 * @able: the card takes counters at all, whatever the table
 * @tried_at, @again_at: bf_now_ms() when it was last tried without success, and of the next time; BF_OFFLOAD_NEVER: not
 *	before the table changes, or the interface becomes another
 * @wait_ms: between the two, when they were set
 */
struct bf_offload_port {
	struct bf_netdev dev;
	int link, counters;
	uint32_t nr;
	bool together;
	struct xt_counters *seen;
	struct bf_why why;
	bool wanted;
	bool able;
	uint64_t tried_at, again_at;
	uint64_t wait_ms;
};

#define BF_OFFLOAD_NEVER UINT64_MAX

/**
 * struct bf_offload - all of them in one namespace
 * @edge: its programs at the interfaces
 * @name: of the namespace, for messages
 * @starved_at: bf_now_ms() when there was no memory for a port; 0: there was
 */
struct bf_offload {
	struct bf_edge *edge;
	const char *name;
	struct bf_offload_port *ports;
	size_t nr_ports;
	uint64_t starved_at;
};

/* All functions must be called in the namespace. @name must stay. */
void bf_offload_init(struct bf_offload *o, struct bf_edge *edge, const char *name);

/*
 * Take out what a former helper has left; what that has counted is added to @loaded, the table in force, or lost if
 * that is NULL. 0 or -errno: something that is left cannot be looked at, and is as it was.
 */
int bf_offload_open(struct bf_offload *o, struct bf_loaded *loaded, struct bf_why *why);

/**
 * bf_offload_sync - have a program at each interface where one is asked for and can be
 * @loaded: the table in force, which is at the interfaces
 *
 * To be called whenever bf_edge_make(), bf_edge_put() or bf_edge_event() has been, and when bf_offload_again_at() says.
 *
 * A card that has refused is asked again at the first of these calls that finds another table in force, that comes a second or
 * more after the last attempt and finds that rtnetlink has told of the interface, or that comes when twice the time has
 * passed that it was waited before, which is a second at first and at most an hour. One that takes no counters at all
 * is not asked for another table's sake. What the table or the interface is in the way of is not tried again while it is.
 */
void bf_offload_sync(struct bf_offload *o, struct bf_loaded *loaded);

/* When bf_offload_sync() should be called if nothing happens: bf_now_ms(), or BF_OFFLOAD_NEVER. */
uint64_t bf_offload_again_at(const struct bf_offload *o);

/* Take all of them out: before another table is put in force. @loaded, the one that is, gets what they counted. */
void bf_offload_withdraw(struct bf_offload *o, struct bf_loaded *loaded);

/* Add what the cards have counted so far to @n counters of the table in force. */
void bf_offload_add_counters(struct bf_offload *o, struct xt_counters *counters, uint32_t n);

/* The interface, or NULL if none was asked for there. */
const struct bf_offload_port *bf_offload_find(const struct bf_offload *o, int ifindex);

/* Close the descriptors, and forget what was tried; what is in the kernel stays. */
void bf_offload_close(struct bf_offload *o);

#endif /* BPFILTER_OFFLOAD_H */
