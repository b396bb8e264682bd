/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Packets and bytes a second, of each rule of all tables: from what the helper says of them from time
 * to time (BF_CMD_TABLES).
 */
#ifndef BPFILTER_METER_H
#define BPFILTER_METER_H

#include <stdio.h>

#include "ruleset.h"
#include "wire.h"

/**
 * struct bf_count - what an entry has counted
 * @now: its counters
 * @delta: what came to them in @seconds
 * @seconds: 0: @delta is not known
 * @base: what it had counted at @base_ns, when @now is less than that; 0: it is not
 */
struct bf_count {
	struct xt_counters now, delta;
	double seconds;
	struct xt_counters base;
	uint64_t base_ns;
};

/**
 * struct bf_metered - a table
 * @name, @inode: of its namespace
 * @rules: with texts, unless iptables could not be had
 * @taken_ns: when the helper read its counters, by the helper's clock
 * @due: these are about to be given what their rules had counted before a replace
 * @counts: of each entry
 */
struct bf_metered {
	char name[256];
	uint64_t inode;
	struct bf_ruleset rules;
	uint64_t taken_ns;
	bool due;
	struct bf_count *counts;
};

/* All tables. */
struct bf_meter {
	struct bf_metered *tables;
	size_t nr;
};

/**
 * bf_meter_take - take a sample
 * @m: zero at first
 * @records, @len: the reply to BF_CMD_TABLES
 *
 * A counter that is less than in the sample before has no rate. It may have been zeroed; but as a rule iptables is about to
 * give it back what it had, so that the next sample is compared with the one before, if it is not less than that.
 *
 * In a table that has been changed a rule is the one that has had the same text in the same chain; of those with the
 * same text the first is the first. 0; -EPROTO: those are no records; or -ENOMEM: the tables are
 * not what they were.
 */
int bf_meter_take(struct bf_meter *m, const void *records, size_t len);

void bf_meter_free(struct bf_meter *m);

/**
 * struct bf_rate - a rule and what it counts
 * @total: since it is there, or was zeroed
 * @packets, @bytes: a second; 0 if that is not @known
 */
struct bf_rate {
	const struct bf_metered *table;
	uint32_t entry;
	struct xt_counters total;
	bool known;
	double packets, bytes;
};

/**
 * bf_meter_top - the busiest rules
 * @policies: policies are rules, too
 * @top: room for @max of them
 *
 * By packets a second, then bytes a second, then packets in all; what is equal in these is in the order of the
 * tables. Returns how many there are.
 */
size_t bf_meter_top(const struct bf_meter *m, bool policies, struct bf_rate *top, size_t max);

/* Is it a policy? */
bool bf_rate_is_policy(const struct bf_rate *r);

/* What to call it: "-A INPUT -p icmp -j DROP", "-P INPUT DROP"; or without texts "rule 3 of INPUT". */
struct bf_rate_name {
	char text[512];
};
struct bf_rate_name bf_rate_name(const struct bf_rate *r);

/**
 * bf_meter_prometheus - families of the rules that have counted the most packets
 * @max: series in each of them, at most
 *
 * A table whose counters are due has none: a reader would take what it shows for a restart.
 *
 * 0 or -ENOMEM.
 */
int bf_meter_prometheus(FILE *f, const struct bf_meter *m, size_t max);

#endif /* BPFILTER_METER_H */
