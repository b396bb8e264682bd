/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The host under test and what surrounds it, without the namespaces themselves: interfaces,
 * addresses and routes, the same in both worlds.
 */
#ifndef DIFFERENTIAL_TOPOLOGY_H
#define DIFFERENTIAL_TOPOLOGY_H

#include <stdbool.h>
#include <stdint.h>

#define TOPOLOGY_IFS 3

/**
 * struct topology_if - an interface of the host, a veth whose other end the neighbour has
 * @addr: of the host, host byte order; @plen: prefix length
 * @neighbour: an address behind the interface, not the host's
 * @behind: a network routed out of it, /24
 */
struct topology_if {
	const char *name;
	unsigned int mtu;
	uint32_t addr;
	uint8_t plen;
	uint32_t neighbour;
	uint32_t behind;
};

extern const struct topology_if topology_ifs[TOPOLOGY_IFS];

/* Addresses with something special about them, in host byte order. */
extern const uint32_t topology_odd_addrs[];
extern const unsigned int topology_nr_odd_addrs;

/* Is it one of the host's own, so that it goes to INPUT? */
bool topology_is_local(uint32_t addr);

/*
 * Does the routing answer packets to it with an ICMP error? Those are limited to some a second for
 * each source, whatever icmp_ratemask says, so that the clock decides which are sent.
 */
bool topology_is_refused(uint32_t daddr);

/* The address that the host gives itself when it sends to @daddr. */
uint32_t topology_source(uint32_t daddr);

/* Name of the interface with this index (as seen inside the host). */
const char *topology_if_name(unsigned int ifindex);
/* The index of interface number @ifno. */
unsigned int topology_ifindex(unsigned int ifno);

/* Commands for "ip -batch -" in the host's namespace; @neighbour_pid is a process in the
 * neighbour's. The other for the neighbour's own namespace. Freed by the caller. */
/* @clear: nothing that keeps packets from being dropped early (docs/placements.md). */
char *topology_host_commands(int neighbour_pid, bool clear);
char *topology_neighbour_commands(void);

/* MAC addresses: [0] of the host, [1] of the neighbour, on interface @ifno. */
void topology_mac(unsigned int ifno, bool neighbour, uint8_t mac[6]);

/* What arrives with DSCP 1, 2 and so on gets these marks. */
#define TOPOLOGY_MARKS 8
extern const uint32_t topology_marks[TOPOLOGY_MARKS];

/* Tables other than filter, for iptables-legacy-restore: the marks that arriving packets get from
 * their DSCP and the log behind the filter; with @nat also address translation and NOTRACK. */
char *topology_tables(bool nat, bool clear);

/* The group that the log goes to. */
#define TOPOLOGY_NFLOG_GROUP 7

/*
 * Accounting objects of the host: TOPOLOGY_ACCOUNT0 and so on, and the last one, TOPOLOGY_QUOTA, with a quota of
 * so many packets.
 */
#define TOPOLOGY_ACCOUNTS      5
#define TOPOLOGY_ACCOUNT       "account"
#define TOPOLOGY_QUOTA	       "quota"
#define TOPOLOGY_QUOTA_PACKETS 20

#endif /* DIFFERENTIAL_TOPOLOGY_H */
