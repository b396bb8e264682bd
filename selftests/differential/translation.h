/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the address translation of the topology does, as far as the test has to know.
 *
 * Where two connections compete for the same addresses and ports, the kernel picks a port at
 * random. The worlds would differ for that reason alone, so such packets are not sent.
 */
#ifndef DIFFERENTIAL_TRANSLATION_H
#define DIFFERENTIAL_TRANSLATION_H

#include "packet.h"

/**
 * struct tuple - the two ends of a connection; host byte order
 */
struct tuple {
	uint32_t saddr, daddr;
	uint16_t sport, dport;
	uint8_t proto;
};

/* What leaves the host for this; the same if nothing is translated. */
struct tuple translation_of(struct tuple t);

/* Remove the packets for which the kernel would have to pick a port. */
void translation_remove_clashes(struct packets *ps);

#endif /* DIFFERENTIAL_TRANSLATION_H */
