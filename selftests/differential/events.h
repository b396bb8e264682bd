/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What was seen of the packets: each one that got past the filter table, and each one that
 * came out of the host.
 */
#ifndef DIFFERENTIAL_EVENTS_H
#define DIFFERENTIAL_EVENTS_H

#include <stdbool.h>
#include <stdint.h>

#include "packet.h"
#include "text.h"

/* Where, besides the numbers of the netfilter hooks (enum nf_inet_hooks). */
#define EVENT_WIRE 16 /* received by the neighbour */
#define EVENT_LOG  17 /* a line in the kernel's log */

/**
 * struct event - one packet at one place
 * @where: NF_INET_LOCAL_IN, _FORWARD, _LOCAL_OUT: behind the filter table, or as target NFLOG in it
 *	has sent it; EVENT_WIRE; EVENT_LOG
 * @in, @out: interface indexes, 0 for none; on the wire @in is that of the neighbour
 * @mark: 0 on the wire
 * @note: what the chains of record.h say of it; 0: it is not theirs
 * @prefix: a hash of what NFLOG was told to say
 * @len: bytes of the IP packet; of the line, with its NUL
 * @at: where they are, in the bytes of struct events
 */
struct event {
	uint8_t where;
	uint8_t in, out;
	uint8_t note;
	uint32_t mark;
	uint32_t prefix;
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

/*
 * Is all that @few has in @many as well, as often? Not what passed OUTPUT: a filter behind that drops what is
 * seen there; nor the copies of multicasts and broadcasts that this host receives of its own. The first that is not is
 * said in @why, unless that is NULL.
 * @lost: what is between hosts of which @few has lost other packets does not count: conntrack has not seen those, and
 *	says something else of what follows; nor does an error about such a packet, which a rule has rejected
 * @sent: nor does what is answered by frames among these that @few has nowhere; may be NULL
 */
bool events_within(const struct events *few, const struct events *many, bool lost,
		   const struct packets *sent, struct text *why);

/* Write one, as a line behind "# ". */
void event_describe(const struct events *evs, const struct event *ev, struct text *out);

/* Write them, one a line, behind "# ". */
void events_describe(const struct events *evs, struct text *out);

/* The same for the first few from where the two differ. */
void events_describe_from(const struct events *evs, const struct events *other, struct text *out);

#endif /* DIFFERENTIAL_EVENTS_H */
