/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The network interfaces of the namespace that this thread is in, as rtnetlink tells.
 */
#ifndef BPFILTER_NETDEV_H
#define BPFILTER_NETDEV_H

#include <linux/if.h>

#include "bpfilter.h"

/**
 * struct bf_netdev - an interface
 * @mac: all zero if it is not an Ethernet one
 * @loopback: it is one
 * @forwards: it shall (net.ipv4.conf.NAME.forwarding)
 * @port: a port of a bridge, bond, team, ...: what comes in by it goes up by that one
 * @veth: it is one
 * @stacked: it hands the packets that it sends, as they are, to another interface of the machine (a
 *	bridge, bond or team, a VLAN, a macvlan)
 */
struct bf_netdev {
	int ifindex;
	char name[IFNAMSIZ];
	uint8_t mac[6];
	bool loopback;
	bool forwards;
	bool port;
	bool veth;
	bool stacked;
};

/* A socket that is readable when some interface, filter of one, or setting has changed. It does not block. Or -errno. */
int bf_netdev_watch(void);

/*
 * Take what such a socket has: is there anything? (That something was lost is something.) @told, unless NULL, is called
 * with the index of each interface that is told of as such, and with 0 if it cannot be known of which all.
 */
bool bf_netdev_changed(int watch, void (*told)(void *arg, int ifindex), void *arg);

/**
 * bf_netdev_list - all interfaces
 * @list, @n: receive them; to be freed
 *
 * A change that is not in the list makes a socket of bf_netdev_watch() readable that was there before.
 * 0 or -errno.
 */
int bf_netdev_list(struct bf_netdev **list, size_t *n);

/* Is there no interface with that index? */
bool bf_netdev_gone(int ifindex);

/* Has it one of those features (the names of ethtool -k, up to NULL)? What cannot be told is as if it had. */
bool bf_netdev_has_feature(const char *name, const char *const *features);

#endif /* BPFILTER_NETDEV_H */
