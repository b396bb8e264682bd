/* SPDX-License-Identifier: GPL-2.0 */
/*
 * UDP over the loopback of the namespace that the thread is in: each packet passes OUTPUT and INPUT
 * once, and nothing answers it.
 */
#ifndef TRAFFIC_H
#define TRAFFIC_H

/* Bytes of one packet, its IP header included. */
#define TRAFFIC_BYTES 128

struct traffic {
	int tx, rx;
	unsigned int port;
};

/* 0 or -1. */
int traffic_open(struct traffic *t);
void traffic_close(struct traffic *t);

/* Send @n packets; how many of them arrived. They have been counted wherever they pass. */
int traffic_send(struct traffic *t, int n);

#endif /* TRAFFIC_H */
