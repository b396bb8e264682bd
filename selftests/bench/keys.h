/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The packets that a set of rules is measured with.
 *
 * Half of them are about a rule of the set, chosen at random, anywhere in what it matches; the others
 * have random addresses and ports, and half of those the interfaces of a rule. So a search ends at any rule or at
 * none.
 */
#ifndef BENCH_KEYS_H
#define BENCH_KEYS_H

#include "set.h"

#include "ir.h"

/* What the shortest Ethernet frame carries: a header of 20 bytes, and what follows it. */
#define KEY_LEN 46

/**
 * struct key - a packet in FORWARD
 * @in, @out: numbers of interfaces in the set
 */
struct key {
	uint32_t saddr, daddr;
	uint16_t sport, dport;
	uint16_t in, out;
	uint32_t mark;
	uint16_t len;
	uint16_t icmp;
	uint8_t proto;
	uint8_t tcp_flags;
	uint8_t ct_state;
	uint8_t pad[5];
};

_Static_assert(sizeof(struct key) == 32, "two of them share a cache line");

/* @n different packets, as many as there are (a set can have less in its rules). */
struct key *keys_make(const struct set *s, uint32_t n, uint64_t seed);

/*
 * The order of packets in which a few make up most of the traffic: @n numbers below @flows, by Zipf's law
 * with exponent 1.1, of flows in random order.
 */
uint32_t *zipf_make(uint32_t flows, uint32_t n, uint64_t seed);

/* The key as the compiler has it. */
void key_fields(const struct set *s, const struct key *k, uint32_t fields[BF_NR_FIELDS]);

#endif /* BENCH_KEYS_H */
