/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Thousands of packets through a program for the module's hooks in one system call: a driver program
 * takes the next struct bpfilter_packet from an array and goes over into the program by a tail
 * call, again and again.
 *
 * What the program returns is known of the last packet alone; marks are known of all.
 */
#ifndef BATCH_H
#define BATCH_H

#include <stdint.h>

#include "uapi/bpfilter.h"

#define BATCH_MAX 6144

/**
 * struct batch_state - what the driver and we share
 * @next: the packet that is next
 * @end: the one behind the last
 * @packets: the kernel's address of the array of packets
 * @marks: [i + 1] is the mark that packet i had in the end
 */
struct batch_state {
	uint32_t next, end;
	uint64_t packets;
	uint32_t marks[BATCH_MAX + 1];
};

/**
 * struct batch - packets, and what runs them
 * @packets: the kernel's memory, mapped into ours
 * @data: the bytes of every packet, from a link header on: those that bpfilter_packet.thoff refers to
 */
struct batch {
	int driver, programs;
	struct bpfilter_packet *packets;
	struct batch_state *state;
	const void *data;
	uint32_t data_len;
};

/* 0 or -errno. @data stays the caller's. */
int batch_open(struct batch *b, const void *data, uint32_t data_len);
void batch_close(struct batch *b);

/* The program that packets go to from now on. 0 or -errno. */
int batch_aim(struct batch *b, int prog);

/**
 * batch_run - run packets, @nr of them from @first on
 *
 * What the program returned for the last, or -errno.
 */
int batch_run(struct batch *b, uint32_t first, uint32_t nr);

#endif /* BATCH_H */
