/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A packet that did not come from a hook, described as one that did: what the bytes say, and what they do not.
 */
#ifndef BPFILTER_PACKET_H
#define BPFILTER_PACKET_H

#include <sys/types.h>

#include "bpfilter.h"
#include "uapi/bpfilter.h"

/* What is known of a packet's connection. */
enum bf_packet_ct {
	BF_CT_FLOWS, /* told from the packets before: flows.h */
	BF_CT_NEW,
	BF_CT_ESTABLISHED,
	BF_CT_RELATED,
	BF_CT_INVALID,
	BF_CT_UNTRACKED,
};

/**
 * struct bf_context - what the bytes of a packet do not say
 * @hook: NF_INET_LOCAL_IN, NF_INET_FORWARD or NF_INET_LOCAL_OUT
 * @in, @out: names of the interfaces, padded with zeroes; empty where the hook has none
 */
struct bf_context {
	unsigned int hook;
	char in[16], out[16];
	uint32_t mark;
	enum bf_packet_ct ct;
};

/**
 * struct bf_packet - a packet at a hook
 * @data: from its IP header on, @len bytes, which may be less than the packet has
 * @what: as the module would tell its program
 */
struct bf_packet {
	const uint8_t *data;
	uint32_t len;
	struct bpfilter_packet what;
};

/**
 * bf_packet_describe - fill in a packet
 * @data: @len bytes, from the IP header on; not copied
 *
 * Types of addresses are told from the address and the hook: what is to come in is for a local address, what goes out
 * is from one. So is that of the frame: what comes in for a group, or for all, came to them. There is no MAC address,
 * no socket, and the processor is the first one. 0; -EINVAL if it is none that IPv4 would let get as far as a hook;
 * -ENODATA if it is cut off within its headers.
 */
int bf_packet_describe(struct bf_packet *p, const void *data, uint32_t len,
		       const struct bf_context *context);

/* The connection's part, if the context does not leave it to flows.h. */
void bf_packet_set_ct(struct bf_packet *p, enum bf_packet_ct ct, bool reply);

/* "192.0.2.1:4711 > 198.51.100.2:80 tcp SYN, 60 bytes" */
struct bf_packet_text {
	char text[128];
};
struct bf_packet_text bf_packet_text(const struct bf_packet *p);

#endif /* BPFILTER_PACKET_H */
