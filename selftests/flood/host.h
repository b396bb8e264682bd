/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The host that is flooded: a network namespace with a tun on one side and a veth on the other.
 */
#ifndef FLOOD_HOST_H
#define FLOOD_HOST_H

#include "table.h"

/**
 * struct host - the way in
 * @tun: what is written to it arrives, and has been through the host when write returns
 * @control: a socket for the iptables options
 */
struct host {
	int tun;
	int control;
};

/* Make a namespace for this process and all its later threads. 0 or -errno having said why. */
int host_open(struct host *h);

/* Packets by hook and class as the tables around filter saw them. */
struct seen {
	unsigned long of[NF_INET_NUMHOOKS][CLASSES];
};

/* Read from table "mangle" (in front of filter) or "security" (behind). 0 or -errno. */
int host_seen(const struct host *h, const char *table, struct seen *seen);

/* One packet of @class to be forwarded, or delivered locally. */
unsigned int host_packet(unsigned char *buf, unsigned int class, int hook);

/* Where packets go that the host itself sends. */
#define HOST_REMOTE "203.0.113.9"
/* Bytes of a packet, IP header included. */
#define PACKET_LEN  48

#endif /* FLOOD_HOST_H */
