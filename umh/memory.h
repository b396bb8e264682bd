/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Tables that exist in memory alone: what answers an iptables that is run aside (aside.h), so that a
 * rule set can be read and printed by the real one without anything in the kernel.
 */
#ifndef BPFILTER_MEMORY_H
#define BPFILTER_MEMORY_H

#include <linux/netfilter_ipv4/ip_tables.h>
#include <sys/types.h>

#include "bpfilter.h"

/* filter, nat, mangle, raw, security */
#define BF_MEMORY_TABLES 5

/**
 * struct bf_memory - the tables
 * @tables: IPT_SO_SET_REPLACE option values of @sizes bytes; NULL: not touched yet; owned
 * @why: of the table filter: why the last replace was refused, or why there is no translation
 * @translatable: what bf_table_check() said of the table filter: all of it is in the registry
 */
struct bf_memory {
	struct ipt_replace *tables[BF_MEMORY_TABLES];
	size_t sizes[BF_MEMORY_TABLES];
	struct bf_why why;
	bool translatable;
};

void bf_memory_init(struct bf_memory *m);
void bf_memory_free(struct bf_memory *m);

/* The table with that name and its size, or NULL if it was never touched. */
const struct ipt_replace *bf_memory_table(const struct bf_memory *m, const char *name, size_t *len);

/* The name of the table with that number, NULL at the end. */
const char *bf_memory_name(unsigned int i);

/**
 * bf_memory_put - make a table filter of what IPT_SO_GET_INFO and IPT_SO_GET_ENTRIES gave
 * @entries: info->size bytes
 *
 * 0, -ENOMEM, or what bf_table_check() says of it, with a reason in @m->why.
 */
int bf_memory_put(struct bf_memory *m, const struct ipt_getinfo *info, const void *entries);

/**
 * bf_memory_handle - answer one of the six options
 * @op: as in struct bpfilter_request
 * @payload, @len: what bf_sockopt_payload_len() says of it
 * @data: receives the answer of @data_len bytes, which the caller frees; NULL if there is none
 *
 * Revisions: of an extension that the registry has, those that it has; of others, any. 0 or -errno.
 */
int bf_memory_handle(struct bf_memory *m, uint32_t op, const void *payload, size_t len, void **data,
		     size_t *data_len);

#endif /* BPFILTER_MEMORY_H */
