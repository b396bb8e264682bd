/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Filter tables for the flood, built as the socket option takes them.
 */
#ifndef FLOOD_TABLE_H
#define FLOOD_TABLE_H

#include <stdbool.h>
#include <stdint.h>
#include <linux/netfilter_ipv4/ip_tables.h>

/*
 * Packets are of four classes, told apart by their UDP destination port. The tables agree on the
 * first two and disagree on the others.
 */
#define CLASSES		  4
#define CLASS_PORT(class) (1001 + (class))

enum { CLASS_PASS, CLASS_DROP, CLASS_FIRST, CLASS_SECOND };

enum flood_table {
	TABLE_FLAT,    /* rules in the built-in chains; accepts CLASS_PASS and CLASS_FIRST */
	TABLE_CHAIN,   /* rules in a user chain; accepts CLASS_PASS and CLASS_SECOND */
	TABLE_FOREIGN, /* as TABLE_CHAIN, with a match that is left to ip_tables */
};

/* A table ready for IPT_SO_SET_REPLACE but for the counters; freed by the caller. */
struct ipt_replace *table_build(enum flood_table which);

/**
 * struct tally - packets and bytes by class; what is of no class goes to the last element
 */
struct tally {
	struct xt_counters of[CLASSES + 1];
};

/* Add @counters, one for each entry of @entries, to the classes of the rules. Jumps and the
 * ends of chains count as well as rules do, so only rules with a port are looked at, and
 * policies go to the last element. */
void table_tally(struct tally *t, const void *entries, uint32_t size,
		 const struct xt_counters *counters);

/* The class of a rule, by its match; -1 if it is not of one. */
int table_class(const struct ipt_entry *e);

#endif /* FLOOD_TABLE_H */
