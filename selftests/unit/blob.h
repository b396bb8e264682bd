/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Option values of IPT_SO_SET_REPLACE, made entry by entry, in the layout that iptables writes.
 */
#ifndef BLOB_H
#define BLOB_H

/* Before the kernel's headers, which then leave out what these have. */
#include <arpa/inet.h>
#include <netinet/in.h>
#include <stddef.h>
#include <stdint.h>

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4/ip_tables.h>

#include "table.h"

#define BLOB_ACCEPT (-NF_ACCEPT - 1)
#define BLOB_DROP   (-NF_DROP - 1)
#define BLOB_RETURN XT_RETURN
#define BLOB_QUEUE  (-NF_QUEUE - 1)

/**
 * struct blob - a table under construction
 * @data: struct ipt_replace and the entries behind it, @len bytes
 * @rule: offset of the entry that was begun last, from the first entry
 *
 * Zeroed to start with. Offsets are as the kernel counts them, from the first entry.
 */
struct blob {
	uint8_t *data;
	size_t len, max;
	uint32_t rule;
};

void blob_free(struct blob *b);

static inline struct ipt_replace *blob_head(struct blob *b)
{
	return (struct ipt_replace *)b->data;
}

/* Where the next entry will be. */
uint32_t blob_here(struct blob *b);

/* The entry at an offset; valid until the next entry is begun or grows. */
struct ipt_entry *blob_entry(struct blob *b, uint32_t offset);

/* A rule: begin it, fill in blob_entry(b, b->rule)->ip, add matches, end it with its verdict. */
struct ipt_ip *blob_begin(struct blob *b);
void blob_match(struct blob *b, const char *name, uint8_t revision, const void *info, size_t size);
/* Returns the rule's offset. A verdict of BLOB_NEXT is one to the rule behind it. */
#define BLOB_NEXT INT32_MAX
uint32_t blob_end(struct blob *b, int verdict);

/* A rule that ends with a target of its own instead. Returns its offset. */
uint32_t blob_end_target(struct blob *b, const char *name, uint8_t revision, const void *info,
			 size_t size);

/* A rule without conditions. Returns its offset. */
uint32_t blob_rule(struct blob *b, int verdict);

/* Give a rule that was ended another verdict, a jump for one. */
void blob_set_verdict(struct blob *b, uint32_t offset, int verdict);

/* The rules of this hook begin here; and its policy, which is its last rule. */
void blob_hook(struct blob *b, unsigned int hook);
uint32_t blob_policy(struct blob *b, unsigned int hook, int verdict);

/* All of a built-in chain that has no rules. */
void blob_empty_hook(struct blob *b, unsigned int hook, int verdict);

/* A user chain's head. Returns where its first rule will be: what a jump leads to. */
uint32_t blob_chain(struct blob *b, const char *name);

/* The end of the table. @num_counters is set to what the table itself has. */
void blob_finish(struct blob *b);

/* A table with three policies and nothing else. */
void blob_empty(struct blob *b, int policy);

/* bf_table_check() of it: the table, or NULL. */
struct bf_table *blob_table(struct blob *b);

#endif /* BLOB_H */
