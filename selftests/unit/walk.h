/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the kernel's ip_tables would do, as plainly as it can be written: the model that compiled
 * tables are compared with. It shares with them only how one rule is understood (bf_rule_eval()).
 */
#ifndef WALK_H
#define WALK_H

#include "blob.h"

#include "ir.h"

/* The longest packet of the tests, its IP header included. */
#define PACKET_MAX 160

/**
 * struct packet - an IPv4 packet on its way through one hook
 * @data: @len bytes, from the IP header
 * @in, @out: names of the interfaces; empty where the hook has none
 * @mark, @ct: from key field BF_CT_STATE; all zero: a packet without a connection. Only for
 *	programs for the module's hooks: a test run of the others has neither
 * @types: of its addresses, as in struct bpfilter_packet; 0: from the address alone
 */
struct packet {
	uint8_t data[PACKET_MAX];
	uint32_t len;
	unsigned int hook;
	char in[IFNAMSIZ], out[IFNAMSIZ];
	uint32_t mark;
	uint32_t ct[BF_NR_FIELDS - BF_CT_STATE];
	uint8_t types[2][3];
};

/* The key of a packet, as ir.h describes it. */
void packet_key(const struct packet *p, uint32_t key[BF_NR_FIELDS]);

/**
 * struct model - a table as it is walked; its rules are translated when they are first met
 * @table: the caller's
 * @rules: of each entry; @met says which are there
 */
struct model {
	const struct bf_table *table;
	struct bf_rule *rules;
	bool *met;
	uint32_t *stack;
};

void model_open(struct model *m, const struct bf_table *t);
void model_close(struct model *m);

/* The entry without its target, in the form that bf_rule_eval() takes; the model's. */
const struct bf_rule *model_rule(struct model *m, uint32_t index);

/**
 * model_walk - ipt_do_table()
 * @key: of which the mark is changed by the targets that do
 * @counters: one for each entry, which it adds to
 * @cond: decides the conditions; see bf_rule_eval(). The conditions are model_rule()'s
 *
 * Returns NF_ACCEPT or NF_DROP.
 */
int model_walk(struct model *m, unsigned int hook, uint32_t *key,
	       int (*cond)(void *arg, const struct bf_cond *cond), void *arg,
	       struct xt_counters *counters);

/* The same for one packet. */
int walk(const struct bf_table *t, unsigned int hook, uint32_t *key,
	 int (*cond)(void *arg, const struct bf_cond *cond), void *arg,
	 struct xt_counters *counters);

#endif /* WALK_H */
