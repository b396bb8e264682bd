/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The state of connections as far as a capture shows it: NEW until a packet has come the other way, ESTABLISHED from
 * then on, RELATED for an ICMP error about one that is known, INVALID for what begins none.
 *
 * It knows no time-outs, no windows and no helpers of protocols, and sees fragments one by one: what conntrack would
 * have told of the same packets can be another. Who knows better gives the state (bf_context.ct).
 */
#ifndef BPFILTER_FLOWS_H
#define BPFILTER_FLOWS_H

#include "packet.h"

struct bf_flow;

/**
 * struct bf_flows - the connections that were met
 * @flows, @max: a hash table, @max a power of two; @nr are in use
 *
 * Zeroed to start with.
 */
struct bf_flows {
	struct bf_flow *flows;
	uint32_t nr, max;
};

void bf_flows_free(struct bf_flows *f);

/* Fill in what the packet's connection says of it. */
void bf_flows_describe(const struct bf_flows *f, struct bf_packet *p);

/* What became of it: a packet that is dropped begins no connection. 0 or -ENOMEM. */
int bf_flows_note(struct bf_flows *f, const struct bf_packet *p, bool accepted);

#endif /* BPFILTER_FLOWS_H */
