/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The IPv4 packets of a capture: pcap or pcapng.
 */
#ifndef BPFILTER_CAPTURE_H
#define BPFILTER_CAPTURE_H

#include <sys/time.h>
#include <sys/types.h>

#include "bpfilter.h"

struct bf_capture;

/**
 * struct bf_captured - a packet
 * @number: of the packet in the file, from 1 on
 * @data: from the IP header on, @len bytes; NULL if it is no IPv4 packet. Valid until the next one is read
 */
struct bf_captured {
	uint64_t number;
	struct timeval time;
	const uint8_t *data;
	uint32_t len;
};

/* @file: its name, "-" for stdin. 0 or -errno with a reason. */
int bf_capture_open(struct bf_capture **c, const char *file, struct bf_why *why);
void bf_capture_close(struct bf_capture *c);

/* 1 with the next packet, 0 at the end, or -errno: the reason names the packet. */
int bf_capture_next(struct bf_capture *c, struct bf_captured *packet, struct bf_why *why);

/* How much of the file has been read, 0 to 1; negative if that cannot be told. */
double bf_capture_done(const struct bf_capture *c);

#endif /* BPFILTER_CAPTURE_H */
