/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The two users of nfnetlink here: the log behind the filter, and forgetting connections.
 */
#ifndef DIFFERENTIAL_NETLINK_H
#define DIFFERENTIAL_NETLINK_H

#include "events.h"

/* A socket that receives what NFLOG sends to @group in the namespace, packet by packet.
 * -errno. */
int nflog_open(int netns, unsigned int group);

/* Read what is there, without waiting; @evs may be NULL to forget it. 0, or -errno if packets
 * were lost. */
int nflog_read(int fd, struct events *evs);

/* A socket for conntrack_flush(), for the namespace. -errno. */
int conntrack_open(int netns);

/* Forget all connections of the namespace. 0 or -errno. */
int conntrack_flush(int fd);

#endif /* DIFFERENTIAL_NETLINK_H */
