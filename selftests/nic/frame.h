/* SPDX-License-Identifier: GPL-2.0 */
/* Frames as they are on the wire, sent by a packet socket, so that all of them is as one likes. */
#ifndef NIC_FRAME_H
#define NIC_FRAME_H

#include <net/ethernet.h>
#include <netinet/ip.h>
#include <netinet/ip_icmp.h>
#include <netinet/tcp.h>
#include <netinet/udp.h>
#include <stddef.h>
#include <stdint.h>

#define DATA 1000

struct frame {
	struct ether_header eth;
	struct iphdr ip;
	union {
		struct {
			struct tcphdr tcp;
			char data[DATA];
		};
		struct udphdr udp;
		struct icmphdr icmp;
		uint8_t l4[1480];
	};
} __attribute__((packed));

#define FRAME_HEADERS offsetof(struct frame, l4)

/* From 192.0.2.2 to 192.0.2.1 at that MAC address; all else is 0. A packet socket at the interface, or -errno. */
int frame_open(struct frame *f, const char *interface, const char *mac);

/* Of ones' complement, in the packet's order: add to @sum, which begins with 0; the checksum of it. */
uint32_t frame_add(const void *from, size_t len, uint32_t sum);
uint16_t frame_fold(uint32_t sum);

/* Send it with @len bytes behind the IP header, whose length and checksum are set. 0 or -errno. */
int frame_send(int sk, struct frame *f, size_t len);

/* What the checksum of its protocol is to be, if where it is there is 0 now. */
uint16_t frame_check(const struct frame *f, size_t len);

#endif /* NIC_FRAME_H */
