/* SPDX-License-Identifier: GPL-2.0 */
/* A packet out of what a person says of it: its fields, or its bytes in hex. */
#ifndef BPFILTER_CRAFT_H
#define BPFILTER_CRAFT_H

#include "bpfilter.h"

/* More than any header needs; what is behind it no rule looks at. */
#define BF_CRAFT_MAX 2048

/**
 * struct bf_craft - the packet
 * @src, @dst, @proto, @sport, @dport, @flags, @icmp_type: as they were given; NULL: not
 * @hex: all of it, from the IP header on, or from that of Ethernet; instead of those
 * @length: total length, of which what is not in @data is zeroes; 0: as long as the headers
 */
struct bf_craft {
	const char *src, *dst, *proto, *sport, *dport, *flags, *icmp_type, *hex, *length;
};

/* Are there any fields? */
bool bf_craft_any(const struct bf_craft *c);

/**
 * bf_craft_make - its bytes, from the IP header on
 * @data: BF_CRAFT_MAX bytes; *@len of them are written
 *
 * 0, or -EINVAL with a reason.
 */
int bf_craft_make(const struct bf_craft *c, uint8_t *data, uint32_t *len, struct bf_why *why);

#endif /* BPFILTER_CRAFT_H */
