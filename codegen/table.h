/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The checked table: what the kernel's struct xt_table_info is to ip_tables.
 *
 * Everything here works on memory alone; no privileges are needed.
 */
#ifndef BPFILTER_TABLE_H
#define BPFILTER_TABLE_H

#include <linux/netfilter.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <sys/types.h>

#include "bpfilter.h"

#define BF_FILTER_HOOKS                                                                            \
	((1U << NF_INET_LOCAL_IN) | (1U << NF_INET_FORWARD) | (1U << NF_INET_LOCAL_OUT))

/**
 * struct bf_table - an IPv4 filter table that passed the kernel's checks
 * @size: bytes of @entries
 * @num_entries: rules, policies and ERROR entries together, as iptables counts
 * @stacksize: how many jumps may be open at once before the kernel drops
 * @hook_entry: offset of the first rule of each built-in chain
 * @underflow: offset of the policy of each built-in chain
 * @offsets: where each entry starts, ascending; the index of an entry here is
 *	the index of its counters everywhere
 * @entries: the blob as the kernel would keep it: comefrom filled in, counters
 *	zero; and what the kernel does not give back is zero: what follows the user part
 *	of a match or target, what follows a name in its field, and what follows a target
 *	that is shorter than its room
 * @tries: bf_match.tries of all its matches: to compile it, bf_kernel.tried of these may be needed
 * @asks: one of its matches is one that the kernel is asked (question.h)
 * @asks_instead: one is where bf_kernel.asks_instead says so
 * @asks_targets: one of its targets is put to the kernel as well
 * @connection_marks: one of its targets changes the mark of a connection, or takes it for the packet's
 * @saved: the table as bf_table_save() gives it, once that was called: @saved_len bytes
 *
 * Immutable after bf_table_check(), but for what bf_table_save() and bf_table_fold() do. Offsets and sizes are in bytes. Entry points and
 * underflows of hooks that a filter table does not have are UINT32_MAX.
 *
 * What the checks leave to whoever runs the table, since the kernel accepts it: jumps that
 * lead into the middle of a chain, chains that run on into the next one, and more jumps open at
 * once than @stacksize. Every verdict is ACCEPT, DROP, RETURN or the offset of an entry.
 */
struct bf_table {
	uint32_t size;
	uint32_t num_entries;
	uint32_t stacksize;
	uint32_t hook_entry[NF_INET_NUMHOOKS];
	uint32_t underflow[NF_INET_NUMHOOKS];
	uint32_t *offsets;
	uint8_t *entries;
	uint32_t tries;
	bool asks, asks_instead;
	bool connection_marks;
	bool asks_targets;
	void *saved;
	size_t saved_len;
};

/* bf_table_check(): sound, but something in it is not in our registry */
#define BF_NOT_TRANSLATABLE 1

/**
 * bf_table_check - check an IPT_SO_SET_REPLACE option value as the kernel does
 * @replace: struct ipt_replace and the entries behind it; not changed
 * @len: the option length that the caller gave, all of it readable
 * @table: receives a new table, to be freed with bf_table_free(); NULL unless 0
 *	is returned
 * @why: says what is wrong, or which extension is unknown
 *
 * The checks, their order and their error codes are those of do_replace(),
 * translate_table() and the extensions' checkentry functions (net/ipv4/netfilter/
 * ip_tables.c, Linux 6.1 to 6.18), up to but without the lookup of the table and
 * the comparison of num_counters with the table in force.
 *
 * Returns 0; BF_NOT_TRANSLATABLE if the structure is sound as far as it can be
 * told but a match, target or option of one is not in the registry (the kernel has
 * to judge that table); or the -errno that the kernel gives. A table of another name
 * than "filter" is -ENOENT, after all other checks but that of the hooks.
 */
int bf_table_check(const void *replace, size_t len, struct bf_table **table, struct bf_why *why);

/**
 * bf_table_check_head - the part of bf_table_check() that comes before the entries are read
 * @replace: sizeof(struct ipt_replace) bytes if @len is at least that
 * @len: the option length that the caller gave
 *
 * For callers that cannot read all of it: a fault there is an error only after these.
 * Returns 0, -EINVAL or -ENOMEM.
 */
int bf_table_check_head(const void *replace, size_t len, struct bf_why *why);

/**
 * bf_table_empty - a new filter table without rules, as the kernel makes one
 * @policy: NF_ACCEPT or NF_DROP, for FORWARD; the others accept
 *
 * Returns NULL if there is no memory.
 */
struct bf_table *bf_table_empty(int policy);

void bf_table_free(struct bf_table *table);

/* User chains, and rules in all chains without the policies and what else iptables adds to each. */
static inline uint32_t bf_table_chains(const struct bf_table *t)
{
	/* Each begins with an ERROR entry, as the end of the table does. */
	return t->stacksize - 1;
}

static inline uint32_t bf_table_rules(const struct bf_table *t)
{
	/* Each ends in a RETURN of its own, each built-in chain in its policy. */
	return t->num_entries - t->stacksize - bf_table_chains(t) - 3;
}

/* The entry with this index, 0 <= index < num_entries. */
static inline const struct ipt_entry *bf_table_entry(const struct bf_table *t, uint32_t index)
{
	return (const struct ipt_entry *)(t->entries + t->offsets[index]);
}

/**
 * bf_table_index - the index of the entry at an offset
 *
 * Returns num_entries if no entry starts there. O(log n).
 */
uint32_t bf_table_index(const struct bf_table *t, uint32_t offset);

/**
 * bf_table_show - what IPT_SO_GET_ENTRIES gives for this table
 * @counters: num_entries of them
 * @dst: size bytes, written
 *
 * Byte for byte what the kernel writes (copy_entries_to_user()), counters included. 0, or -EINVAL if what
 * bf_table_save() made of the entries is not what it was.
 */
int bf_table_show(const struct bf_table *t, const struct xt_counters *counters, void *dst);

/**
 * bf_table_to_replace - an IPT_SO_SET_REPLACE option value that makes this table
 * @dst: bf_table_replace_size() bytes
 *
 * counters is NULL, and num_counters the number of this table's own entries: whoever sends
 * it sets both to what the table in force has. 0 or -EINVAL, as bf_table_show().
 */
size_t bf_table_replace_size(const struct bf_table *t);
int bf_table_to_replace(const struct bf_table *t, void *dst);

/**
 * bf_table_save - flatten a table so that bf_table_load() gives it back
 * @saved: receives @len bytes, which stay the table's; a tenth of the table or less if its rules are
 *	alike
 *
 * For the copy kept beside the running program. 0 or -ENOMEM.
 */
int bf_table_save(struct bf_table *t, const void **saved, size_t *len);

/*
 * Keep nothing else of a table that was saved: @offsets and @entries are NULL from now on, and nothing that
 * needs them may be called. bf_table_show() and bf_table_save() do not. If it was not saved, it stays as it is.
 */
void bf_table_fold(struct bf_table *t);

/*
 * Checks all of it again, as bf_table_check() does: -EINVAL if anything is wrong with it, or -ENOMEM.
 */
int bf_table_load(const void *src, size_t len, struct bf_table **table);

/* Another one like @t, with all that bf_table_fold() may have taken from that. 0 or -errno, as the former two. */
int bf_table_copy(struct bf_table *t, struct bf_table **copy);

#endif /* BPFILTER_TABLE_H */
