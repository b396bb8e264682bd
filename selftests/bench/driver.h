/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Running a table's program over many packets within the kernel, by BPF test run.
 *
 * For a program for the module's hooks, a small program takes the next of the packets from a map, lays it
 * out as the module would and runs the table's program by a tail call. At a netfilter link a test run
 * has one packet.
 */
#ifndef BENCH_DRIVER_H
#define BENCH_DRIVER_H

#include "keys.h"
#include "load.h"

struct driver;

/**
 * driver_make - packets in the kernel's memory
 * @n: a power of two of them, in the order in which they come
 *
 * NULL having said why.
 */
struct driver *driver_make(const struct set *s, const struct key *keys, uint32_t n);
void driver_free(struct driver *d);

/**
 * driver_set - the packets by which the next runs begin
 * @order: numbers of keys, or NULL for all of them in turn
 */
void driver_set(struct driver *d, const uint32_t *order);

/* From now on it is this program that is run. 0 or -errno. */
int driver_choose(struct driver *d, const struct bf_loaded *loaded);

/* The verdict on the next packet, or -errno. */
int driver_one(struct driver *d);

/* Run over the next @n packets: nanoseconds a packet, of this thread's time; negative: -errno. */
double driver_run(struct driver *d, uint32_t n);

/* The same for a program at netfilter links, @n times with this packet; its verdict goes to @verdict. */
double link_run(int prog, const struct key *key, uint32_t n, int *verdict);

struct bf_asm;

/* dst = address of the value of a map that has one, given by its descriptor, + off */
void map_value(struct bf_asm *a, int dst, int map, int off);

#endif /* BENCH_DRIVER_H */
