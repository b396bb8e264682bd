/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What can be told about an iptables socket option from its fixed head: how much of the
 * caller's memory it reads, which table it is for, and the errors that come first.
 *
 * An option is named by the op of struct bpfilter_request: its number, or-ed with BPFILTER_GET
 * for a getsockopt. The order of the checks is that of net/ipv4/netfilter/ip_tables.c.
 */
#ifndef BPFILTER_SOCKOPT_H
#define BPFILTER_SOCKOPT_H

#include <linux/netfilter_ipv4/ip_tables.h>
#include <sys/types.h>

#include "bpfilter.h"
#include "uapi/bpfilter.h"

/* Large enough for the fixed head of every option. */
union bf_sockopt_head {
	char name[XT_TABLE_MAXNAMELEN]; /* but in the revision options */
	struct ipt_replace replace;
	struct xt_counters_info counters;
	struct ipt_getinfo info;
	struct ipt_get_entries entries;
	struct xt_get_revision revision;
};

/* Is it one that ip_tables answers? */
bool bf_sockopt_is_ours(uint32_t op);

/* Does it ask for the revision of an extension (these name no table)? */
bool bf_sockopt_is_revision(uint32_t op);

/**
 * bf_sockopt_head_len - bytes of the fixed head of option @op
 * @optlen: what the caller gave
 *
 * Returns -EINVAL if @optlen is one that the kernel refuses for any table.
 */
ssize_t bf_sockopt_head_len(uint32_t op, int optlen);

/**
 * bf_sockopt_payload_len - bytes to copy from the caller in all, the head included
 * @head: the head, copied
 *
 * Trailing bytes that the kernel does not look at are not counted. Returns -errno where the
 * kernel fails before it copies what follows the head.
 */
ssize_t bf_sockopt_payload_len(uint32_t op, const union bf_sockopt_head *head, int optlen);

/* Is it for table "filter"? The name is read as the kernel reads it, its last byte being 0. */
bool bf_sockopt_is_filter(const union bf_sockopt_head *head);

#endif /* BPFILTER_SOCKOPT_H */
