/* SPDX-License-Identifier: GPL-2.0 */
#ifndef NIC_ODD_H
#define NIC_ODD_H

#include <stdio.h>

/*
 * Packets to UDP 10 and TCP 99, and ICMP, each of a source port of its own: all short lengths and some long ones, with a checksum
 * that is right, one that is not, none; lengths in the header that are not the packet's; all flags. 0 or -errno. The same in
 * each run.
 */
int send_odd(const char *interface, const char *mac);

/* One in order: @kind is "udp", or TCP's flags as a number. */
int send_one(const char *interface, const char *mac, const char *kind, int sport, int dport);

/* @n datagrams to @dport, each of another address of 10/8. */
int send_many(const char *interface, const char *mac, int dport, int n);

/* A datagram to @dport with that TOS from each address in @sources, one a line. */
int send_from(const char *interface, const char *mac, int dport, int tos, FILE *sources);

/*
 * For each of @lines "ADDRESS LENGTH TTL TOS DF udp|FLAGS PORT" a packet of that length to that address and port, from port 1000; DF is 0 or
 * 1, FLAGS as of send_one().
 */
int send_to(const char *interface, const char *mac, FILE *lines);

/* To @host: its datagram from port @sport to @to, which is not to be cut, was longer than @mtu. */
int send_too_big(const char *interface, const char *mac, const char *host, const char *to,
		 int sport, int mtu);

#endif /* NIC_ODD_H */
