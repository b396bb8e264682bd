/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A world: the host under test and its neighbour, each a network namespace, joined by veths;
 * an agent that loads tables into the host; and the means to send and to watch.
 */
#ifndef DIFFERENTIAL_WORLD_H
#define DIFFERENTIAL_WORLD_H

#include "agent.h"
#include "events.h"
#include "packet.h"
#include "topology.h"

#define WORLD_UDP_SOCKETS 4

struct world {
	const char *name;
	struct agent agent;
	int host_ns, neighbour_ns;
	int sender[TOPOLOGY_IFS];  /* packet sockets of the neighbour, one an interface */
	int wire;		   /* what the neighbour receives */
	int mark_there, mark_here; /* the two ends of the marker's way */
	int raw;		   /* the host's sockets */
	int icmp;
	int udp[WORLD_UDP_SOCKETS];
	int nflog;
	int ct;
};

/* The source ports of the UDP sockets. */
extern const uint16_t world_udp_ports[WORLD_UDP_SOCKETS];

/**
 * world_open - build a world
 * @prefix: how iptables is run in it, words of a shell command
 * @nat: with address translation
 * @clear: as topology_host_commands() has it
 *
 * 0, or -errno having said why; then world_close() takes down what there is.
 */
int world_open(struct world *w, const char *name, const char *prefix, bool nat, bool clear);
void world_close(struct world *w);

/* Forget all connections and whatever was seen and not yet read. 0 or -errno. */
int world_reset(struct world *w);

/**
 * world_send - send @n packets and collect what became of them
 * @results: one int for each packet: 0 or the -errno of the send call; may be NULL
 * @seen: events are added
 *
 * On return the host has finished with all of them. 0 or -errno (the host did not finish).
 */
int world_send(struct world *w, const struct packet *p, unsigned int n, int *results,
	       struct events *seen);

/* Frames that XDP has dropped in the host's drivers so far. */
uint64_t world_xdp_drops(const struct world *w);

/* What the kernel's own ip_tables has in the host, whoever answers the agent. */
int world_kernel_table(struct world *w, struct table_image *image);

#endif /* DIFFERENTIAL_WORLD_H */
