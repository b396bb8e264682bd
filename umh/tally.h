/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The counters of a filter table, summed up: few numbers, however many rules there are.
 */
#ifndef BPFILTER_TALLY_H
#define BPFILTER_TALLY_H

#include <linux/netfilter_ipv4/ip_tables.h>

#include "bpfilter.h"

/* INPUT, FORWARD, OUTPUT: the built-in chains of the filter table, by NF_INET_* - NF_INET_LOCAL_IN. */
#define BF_TALLY_CHAINS 3

/**
 * struct bf_tally_chain - a built-in chain
 * @policy: NF_ACCEPT or NF_DROP
 * @fell: what no rule has decided, and the policy has
 * @rules: the sum of its rules' counters: what several of them count is in it several times
 */
struct bf_tally_chain {
	int policy;
	struct xt_counters fell;
	struct xt_counters rules;
};

/**
 * struct bf_tally - the sums
 * @known: they are
 * @rules: of the rules of all chains, as iptables lists them
 */
struct bf_tally {
	bool known;
	struct bf_tally_chain chains[BF_TALLY_CHAINS];
	struct xt_counters rules;
};

/* The name of a chain, by its number in struct bf_tally. */
const char *bf_tally_chain_name(unsigned int i);

/**
 * bf_tally - sum up the counters of a table
 * @hook_entry, @underflow: offsets, as in struct ipt_getinfo
 * @entries: @size bytes, with their counters
 * @t: written; not known unless 0 is returned
 *
 * 0, or -EINVAL if the entries are none, or not those of a filter table.
 */
int bf_tally(const uint32_t *hook_entry, const uint32_t *underflow, const void *entries,
	     uint32_t size, struct bf_tally *t);

#endif /* BPFILTER_TALLY_H */
