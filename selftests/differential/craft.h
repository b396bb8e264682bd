/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Making packets.
 */
#ifndef DIFFERENTIAL_CRAFT_H
#define DIFFERENTIAL_CRAFT_H

#include "packet.h"
#include "pool.h"
#include "ruleset.h"

/**
 * struct craft - what packets are made with
 * @nat: the host translates addresses, and answers come from where they were translated to
 * @id: of the next packet; grows, so that fragments of different packets do not mix
 */
struct craft {
	struct packets *out;
	const struct pool *pool;
	struct rng *r;
	bool nat;
	uint16_t id;
};

/**
 * struct l3l4 - the headers of a packet to make
 * @options: bytes of IP options, a multiple of 4
 * @frag: the frag_off field, host byte order
 * @payload: bytes behind the transport header
 */
struct l3l4 {
	uint32_t saddr, daddr;
	uint16_t sport, dport;
	uint8_t proto, ttl, tos;
	uint8_t tcp_flags;
	uint8_t tcp_options[40];
	uint8_t tcp_optlen;
	uint8_t icmp_type, icmp_code;
	uint8_t options[40];
	uint8_t optlen;
	uint16_t frag;
	uint32_t seq, ack;
	uint16_t payload;
};

/* A header with random values that rules speak of, on the way in, through or out. */
void craft_draw(struct craft *c, struct l3l4 *h);

/* Make it, with right checksums. The packet can be changed until the next is made. */
struct packet *craft_make(struct craft *c, uint8_t way, const struct l3l4 *h);

/* Bytes of the transport header that @h gets. */
unsigned int craft_l4_header(const struct l3l4 *h);

/* Whole sets, @n packets or a few more. */
void craft_random(struct craft *c, unsigned int n);
void craft_nasties(struct craft *c, unsigned int n);
void craft_flows(struct craft *c, unsigned int n);

/* About @n packets that match rules drawn at random, or nearly do. */
void craft_aimed(struct craft *c, const struct ruleset *rules, unsigned int n);

/* An address that is the host's, and one that is not and can be reached. */
uint32_t craft_local(struct craft *c);
uint32_t craft_remote(struct craft *c);

#endif /* DIFFERENTIAL_CRAFT_H */
