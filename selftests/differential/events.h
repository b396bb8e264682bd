/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What was seen of the packets: each one that got past the filter table, and each one that
 * came out of the host.
 */
#ifndef DIFFERENTIAL_EVENTS_H
#define DIFFERENTIAL_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

/* Where, besides the numbers of the netfilter hooks (enum nf_inet_hooks). */
#define EVENT_WIRE 16 /* received by the neighbour */

/**
 * struct event - one packet at one place
 * @where: NF_INET_LOCAL_IN, _FORWARD, _LOCAL_OUT behind the filter table, or EVENT_WIRE
 * @in, @out: interface indexes, 0 for none; on the wire @in is that of the neighbour
 * @mark: 0 on the wire
 * @len: bytes of the IP packet
 * @at: where they are, in the bytes of struct events
 */
struct event {
	uint8_t where;
	uint8_t in, out;
	uint32_t mark;
	uint32_t len;
	size_t at;
};

/* Those seen behind the table come first in time order; the wire has its own order. */
struct events {
	struct event *list;
	unsigned int nr, max;
	struct text bytes;
};

/*
 * Add one. The packet is changed to be comparable: where the host itself made up something that
 * differs from one machine to the next (the IP id wherever its own packets come by, the time of
 * day in timestamps) there are zeros.
 */
void events_add(struct events *evs, struct event ev, const void *packet);
void events_reset(struct events *evs);
void events_free(struct events *evs);

/* The two lists hold the same packets at the same places. */
bool events_equal(const struct events *a, const struct events *b);

/* Write them, one a line, behind "# ". */
void events_describe(const struct events *evs, struct text *out);

/* The same for the first few from where the two differ. */
void events_describe_from(const struct events *evs, const struct events *other, struct text *out);

#endif /* DIFFERENTIAL_EVENTS_H */
