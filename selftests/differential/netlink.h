/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The users of nfnetlink here: the log behind the filter, forgetting connections, and accounting.
 */
#ifndef DIFFERENTIAL_NETLINK_H
#define DIFFERENTIAL_NETLINK_H

#include "events.h"
#include "topology.h"

/* A socket that receives what NFLOG sends to @group in the namespace, packet by packet.
 * -errno. */
int nflog_open(int netns, unsigned int group);

/* Read what is there, without waiting; @evs may be NULL to forget it. 0, or -errno if packets
 * were lost. */
int nflog_read(int fd, struct events *evs);

/* A socket for conntrack_flush() and accounts_*(), for the namespace. -errno. */
int conntrack_open(int netns);

/* Forget all connections of the namespace. 0 or -errno. */
int conntrack_flush(int fd);

/* What the accounting objects of topology.h have counted. */
struct accounts {
	struct {
		uint64_t packets, bytes;
	} of[TOPOLOGY_ACCOUNTS];
};

/* Make them, in the namespace. 0 or -errno. */
int accounts_make(int fd);

/* What they have counted since the last time. 0 or -errno. */
int accounts_read(int fd, struct accounts *accounts);

#endif /* DIFFERENTIAL_NETLINK_H */
