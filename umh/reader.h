/* SPDX-License-Identifier: GPL-2.0 */
/* The kernel's memory, read by an XDP program in test runs. */
#ifndef BPFILTER_READER_H
#define BPFILTER_READER_H

#include <stdint.h>

struct bf_kernel;

struct bf_reader {
	int prog;
};

/* @kernel: what has_dev is about. 0 or -errno; to be closed in any case. */
int bf_reader_open(struct bf_reader *reader, const struct bf_kernel *kernel);
void bf_reader_close(struct bf_reader *reader);

/* The eight bytes at that address; 0 as well if they cannot be read. */
uint64_t bf_reader_at(const struct bf_reader *reader, uint64_t address);

/* The address of the struct net of this thread's network namespace, or 0. */
uint64_t bf_reader_net(const struct bf_reader *reader);

#endif /* BPFILTER_READER_H */
