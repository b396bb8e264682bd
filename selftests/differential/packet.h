/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One packet to send: its bytes and the way it enters the host under test.
 */
#ifndef DIFFERENTIAL_PACKET_H
#define DIFFERENTIAL_PACKET_H

#include <stdbool.h>
#include <stdint.h>

#include "text.h"

/* Larger than any link of the topology, and what a GSO packet may hold. */
#define PACKET_MAX 16000

enum packet_way {
	WAY_FRAME, /* a frame from the neighbour on interface @ifno: INPUT or FORWARD */
	WAY_RAW,   /* from a raw socket with IP_HDRINCL: OUTPUT, perhaps INPUT over lo */
	WAY_UDP,   /* from a UDP socket: as above, with a header made by the kernel */
	WAY_ICMP,  /* from a raw ICMP socket without IP_HDRINCL */
};

enum packet_mac { MAC_HOST, MAC_BROADCAST, MAC_MULTICAST, MAC_OTHER };

/**
 * struct packet - one packet
 * @way: how it enters
 * @ifno: index into the topology's interfaces, for WAY_FRAME
 * @mac: whom the frame is addressed to
 * @gso: segment size if it is to be a GSO packet (TCP frames and UDP sockets), else 0
 * @linear: bytes of the IP packet that lie in the linear part of the buffer where the kernel
 *	lets us choose (frames of a page and more); 0: all
 * @mark: of the socket
 * @len, @data: the IP packet; for sockets without IP_HDRINCL addresses, ports and payload
 *	are taken from it
 */
struct packet {
	uint8_t way;
	uint8_t ifno;
	uint8_t mac;
	uint16_t gso;
	uint16_t linear;
	uint32_t mark;
	uint16_t len;
	uint8_t *data;
};

struct packets {
	struct packet *list;
	unsigned int nr, max;
};

/* Add a packet with room for @len bytes of zeros; valid until the next is added. */
struct packet *packets_new(struct packets *ps, uint8_t way, unsigned int len);
/* Add a copy. */
void packets_add(struct packets *ps, const struct packet *p);
void packets_free(struct packets *ps);

/* One IP packet in words. */
void packet_describe_ip(struct text *out, const uint8_t *ip, unsigned int len);
/* The packet and how it is sent, in words and as hex, behind "# ". */
void packet_describe(struct text *out, const struct packet *p);

/* The internet checksum of @len bytes, added to @sum, not yet inverted nor swapped. */
uint32_t packet_sum(const void *data, unsigned int len, uint32_t sum);
uint16_t packet_fold(uint32_t sum);

/* Put the right checksum into the IP header, if there is a whole one. */
void packet_fix_ip(uint8_t *ip, unsigned int len);
/* Likewise for TCP, UDP and ICMP behind it; the header's length counts, not tot_len. */
void packet_fix_l4(uint8_t *ip, unsigned int len);

#endif /* DIFFERENTIAL_PACKET_H */
