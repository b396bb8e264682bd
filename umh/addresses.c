// SPDX-License-Identifier: GPL-2.0
/* See addresses.h. */
#include <stdbool.h>
#include <stdint.h>

#include "addresses.h"
#include "kernel.h"
#include "reader.h"

#define LISTS_BITS 8

/* More are not looked at. */
#define MAX_ADDRESSES 4096

static uint32_t rol32(uint32_t x, int n)
{
	return x << n | x >> (32 - n);
}

/* include/linux/jhash.h */
static uint32_t jhash_1word(uint32_t a, uint32_t initval)
{
	uint32_t b = initval + 0xdeadbeef + (1 << 2), c = b;

	a += b;
	c = (c ^ b) - rol32(b, 14);
	a = (a ^ c) - rol32(c, 11);
	b = (b ^ a) - rol32(a, 25);
	c = (c ^ b) - rol32(b, 16);
	a = (a ^ c) - rol32(c, 4);
	b = (b ^ a) - rol32(a, 14);
	return (c ^ b) - rol32(b, 24);
}

/* inet_addr_hash() of net/ipv4/devinet.c, since Linux 6.14 and before. */
static uint32_t list_of(const struct bf_kernel *k, uint32_t address, uint32_t mix)
{
	uint32_t x = k->net_addresses ? jhash_1word(address, mix) : address ^ mix;

	return x * 0x61c88647 >> (32 - LISTS_BITS);
}

/* The namespace of the address whose node that is. */
static uint64_t net_of(const struct bf_kernel *k, const struct bf_reader *r, uint64_t node)
{
	uint64_t in_dev = bf_reader_at(r, node + k->ifa_dev - k->ifa_node);
	uint64_t dev = in_dev ? bf_reader_at(r, in_dev + k->in_device_dev) : 0;

	return dev ? bf_reader_at(r, dev + k->dev_net) : 0;
}

void bf_addresses_check(struct bf_kernel *k, const struct bf_reader *r)
{
	uint64_t net = bf_reader_net(r), lists, node;
	uint32_t i, n = 0;

	lists = !net		   ? 0
		: k->net_addresses ? bf_reader_at(r, net + k->net_addresses)
				   : k->all_addresses;
	for (i = 0; lists && i < 1 << LISTS_BITS && n < MAX_ADDRESSES; i++) {
		/* The first one, and the next one, is the first thing in a list's head, and in a node. */
		for (node = bf_reader_at(r, lists + 8 * i); node && n < MAX_ADDRESSES;
		     node = bf_reader_at(r, node)) {
			uint64_t its = k->net_addresses ? net : net_of(k, r, node);
			uint32_t address = bf_reader_at(r, node + k->ifa_local - k->ifa_node);

			if (!its ||
			    list_of(k, address, bf_reader_at(r, its + k->net_hash_mix)) != i)
				return;
			n++;
		}
	}
	k->addresses_known = n > 1;
}
