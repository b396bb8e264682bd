/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Our programs at the interfaces of one namespace: the placements tc and xdp.
 *
 * At each interface that is there, and at each that comes, a root program (root.h) is attached: to its
 * egress, and to its ingress at tc or XDP unless it is a port of another interface, whose ingress it is
 * then. What stays of them in the kernel when the helper is gone is in PIN_DIR/INODE/ (pins.h has
 * the rest):
 *
 *	about		array of one: struct about (edge.c), which says of which namespace this is
 *	devs		BF_MAP_DEVS
 *	replies		BF_MAP_REPLIES
 *	tc_switch	prog array; slot 0 is the table in force, and all of the table is reachable from it
 *	xdp_switch	the same for XDP: slot 0 is a program with the same maps
 *	in_N, out_N, xdp_N	links at the interface with index N; where the kernel has no tcx, filters
 *			by name have the place of the first two
 *	qdisc_N		we made the qdisc there
 */
#ifndef BPFILTER_EDGE_H
#define BPFILTER_EDGE_H

#include <sys/types.h>

#include "bpfilter.h"
#include "filter.h"
#include "netdev.h"
#include "root.h"

struct bf_env;
struct bf_loaded;

/**
 * struct bf_edge_port - one interface
 * @asked: where what comes in by it was to be filtered
 * @how: where it is; BF_AUTO: nowhere, since it is a port, or for the reason in @why
 * @links: descriptors, -1 for none
 * @filters: filters have the place of links
 * @why: why @how is not @asked
 * @seen: it is in the list of interfaces at hand
 * @told: rtnetlink has told of it since bf_offload_sync() looked
 */
struct bf_edge_port {
	struct bf_netdev dev;
	enum bf_placement asked, how;
	int links[3];
	bool filters[2];
	struct bf_why why;
	bool seen, told;
};

/**
 * struct bf_edge - all of them
 * @place: BF_TC, BF_XDP, BF_XDP_GENERIC, BF_OFFLOAD; BF_AUTO: tc at all of them, whatever is configured
 * @switches: -1: nothing is pinned
 * @roots: loaded when they are first needed, by enum bf_root
 * @torn: a former helper was killed between the two stores of a replace: what is at XDP is not in force
 * @watch: of the interfaces, -1 while nothing is attached
 */
struct bf_edge {
	struct bf_env *env;
	char dir[200];
	enum bf_placement place;
	int about, devs, replies;
	int switches[2];
	int roots[BF_GUARD_XDP + 1];
	bool torn;
	int watch;
	struct bf_edge_port *ports;
	size_t nr_ports;
};

/* All functions must be called in the namespace; @inode is its. */
void bf_edge_init(struct bf_edge *edge, struct bf_env *env, ino_t inode);

/**
 * bf_edge_open - what a former helper has left
 * @prog_id: receives the id of the table's program for tc, 0 if there is none
 *
 * 0 or -errno. What belongs to a namespace that had the same inode is removed.
 */
int bf_edge_open(struct bf_edge *edge, uint32_t *prog_id);

/* The cookie of the namespace (SO_NETNS_COOKIE); 0 where the kernel has none. 0 or -errno. */
int bf_netns_cookie(uint64_t *cookie);

/* BF_MAP_DEVS, made if need be. A descriptor, which stays the edge's, or -errno. */
int bf_edge_devs(struct bf_edge *edge);

/* BF_MAP_REPLIES, likewise. */
int bf_edge_replies(struct bf_edge *edge);

/* How many replies of REJECT could not be sent. */
uint64_t bf_edge_lost(const struct bf_edge *edge);

/**
 * bf_edge_make - have the roots at all interfaces
 * @place: as in struct bf_edge
 *
 * Where the placement changes with a table in force, each packet is judged once meanwhile, but for those in
 * drivers without room for metadata. An interface that cannot do XDP gets tc; @why of its port says so. On
 * failure, if nothing was there before, nothing is.
 */
int bf_edge_make(struct bf_edge *edge, enum bf_placement place, struct bf_why *why);

/* Put a table in force: at XDP first, at tc then, which is the commit. */
int bf_edge_put(struct bf_edge *edge, const struct bf_loaded *loaded);
int bf_edge_take(struct bf_edge *edge);

/* Put the guards in place, or take them out. 0 or -errno: then there is none. */
int bf_edge_guard(struct bf_edge *edge, bool on);

/* To poll for reading, or -1; when it is readable, call bf_edge_event(). */
int bf_edge_fd(const struct bf_edge *edge);
void bf_edge_event(struct bf_edge *edge, const char *name);

/* Detach and remove everything. */
void bf_edge_remove(struct bf_edge *edge);

/* Remove the pins of a namespace, by name; what they keep goes. From anywhere. */
void bf_edge_sweep(ino_t inode);

/*
 * The same in the namespace, where filters and qdiscs go, too: those are kept by no pin. Nothing need be such
 * that it can be opened.
 */
void bf_edge_clear(struct bf_env *env, ino_t inode);

/* Close the descriptors; everything stays. */
void bf_edge_close(struct bf_edge *edge);

#endif /* BPFILTER_EDGE_H */
