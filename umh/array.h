/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Arrays of the kernel's that are mapped into our memory to be written or read.
 */
#ifndef BPFILTER_ARRAY_H
#define BPFILTER_ARRAY_H

#include "program.h"

/* What an array takes: the kernel pads each element to 8 bytes, and the whole to pages. */
size_t bf_array_bytes(uint32_t value_size, uint32_t max_entries);

/* An array of zeroes. The descriptor or -errno. */
int bf_array_create(const char *name, uint32_t value_size, uint32_t max_entries);

/* Its first @size bytes, to read and write; NULL if that fails. To be unmapped with the same size. */
void *bf_array_map(int fd, size_t size);
void bf_array_unmap(void *p, size_t size);

/**
 * bf_array_fill - give an array the content that it is to start with
 * @fresh: it holds nothing but zeroes yet
 *
 * No program may use it. 0 or -ENOMEM.
 */
int bf_array_fill(int fd, const struct bf_map_def *def, bool fresh);

#endif /* BPFILTER_ARRAY_H */
