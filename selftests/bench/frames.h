/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Packets as they are on the wire, to be sent.
 */
#ifndef BENCH_FRAMES_H
#define BENCH_FRAMES_H

#include "keys.h"

/* The shortest that Ethernet has, without checksum. */
#define FRAME_LEN (14 + KEY_LEN)

/**
 * struct frame - from the Ethernet header on
 *
 * To FRAME_DEST, which the interfaces of the benchmark have.
 */
struct frame {
	uint8_t data[64];
};

#define FRAME_DEST                                                                                 \
	{                                                                                          \
		2, 0, 0, 0, 0, 1                                                                   \
	}

/* All of @k but what is not in a packet. */
void frame_make(struct frame *f, const struct key *k);

#endif /* BENCH_FRAMES_H */
