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
 */
struct bf_offload_port {
	struct bf_netdev dev;
	int link, counters;
	uint32_t nr;
	bool together;
	struct xt_counters *seen;
	struct bf_why why;
	bool wanted;
};

/**
 * struct bf_offload - all of them in one namespace
 * @edge: its programs at the interfaces
 */
struct bf_offload {
	struct bf_edge *edge;
	struct bf_offload_port *ports;
	size_t nr_ports;
};

/* All functions must be called in the namespace. */
void bf_offload_init(struct bf_offload *o, struct bf_edge *edge);

/*
 * Take out what a former helper has left; what that has counted is added to @loaded, the table in force, or lost if
 * that is NULL.
 */
void bf_offload_open(struct bf_offload *o, struct bf_loaded *loaded);

/**
 * bf_offload_sync - have a program at each interface where one is asked for and can be
 * @loaded: the table in force, which is at the interfaces
 * @name: of the namespace, for messages
 *
 * To be called whenever bf_edge_make(), bf_edge_put() or bf_edge_event() has been.
 */
void bf_offload_sync(struct bf_offload *o, struct bf_loaded *loaded, const char *name);

/* Take all of them out: before another table is put in force. @loaded, the one that is, gets what they counted. */
void bf_offload_withdraw(struct bf_offload *o, struct bf_loaded *loaded);

/* Add what the cards have counted so far to @n counters of the table in force. */
void bf_offload_add_counters(struct bf_offload *o, struct xt_counters *counters, uint32_t n);

/* The interface, or NULL if none was asked for there. */
const struct bf_offload_port *bf_offload_find(const struct bf_offload *o, int ifindex);

/* Close the descriptors; everything stays. */
void bf_offload_close(struct bf_offload *o);

#endif /* BPFILTER_OFFLOAD_H */
