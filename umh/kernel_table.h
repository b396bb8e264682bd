/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's own ip_tables filter table in the namespace this thread is in, by its
 * socket options. Used where the kernel has the table, and for handing it over.
 */
#ifndef BPFILTER_KERNEL_TABLE_H
#define BPFILTER_KERNEL_TABLE_H

#include <linux/netfilter_ipv4/ip_tables.h>
#include <sys/types.h>

#include "bpfilter.h"

/* A socket for the calls below, bound to this thread's namespace. -errno. */
int bf_kernel_socket(void);

/* The plain calls: 0 or -errno. @len is in and out, as for getsockopt(2). */
int bf_kernel_get(int sk, int opt, void *val, socklen_t *len);
int bf_kernel_set(int sk, int opt, const void *val, size_t len);

/*
 * Has the filter table been touched in this namespace, so that it is named in
 * /proc/net/ip_tables_names? Does not touch it. 1, 0, or -errno.
 */
int bf_kernel_has_filter(void);

/* Make the kernel's filter table exist, empty, if it does not yet. 0 or -errno. */
int bf_kernel_touch_filter(int sk);

/**
 * struct bf_kernel_table - a copy of the kernel's filter table
 * @info: as IPT_SO_GET_INFO gave it
 * @entries: info.size bytes, counters included; the blob as iptables would read it
 */
struct bf_kernel_table {
	struct ipt_getinfo info;
	uint8_t *entries;
};

/* Reads it, again if it changes meanwhile. Free with bf_kernel_table_free(). */
int bf_kernel_read(int sk, struct bf_kernel_table **table);
void bf_kernel_table_free(struct bf_kernel_table *table);

/* Does it hold nothing but three policies ACCEPT (counters aside)? */
bool bf_kernel_table_is_empty(const struct bf_kernel_table *table);

/**
 * bf_kernel_replace - put a table into the kernel's ip_tables
 * @replace: an IPT_SO_SET_REPLACE option value; its counters pointer and
 *	num_counters are ignored
 * @old: receives the final counters of the table before, to be freed; may be NULL
 * @nr_old: how many
 *
 * Returns the kernel's -errno; retries by itself when the number of counters changed
 * under it.
 */
int bf_kernel_replace(int sk, const void *replace, size_t len, struct xt_counters **old,
		      uint32_t *nr_old);

/**
 * bf_kernel_judge - what the kernel says of a table, which is not put in force
 * @replace: as for bf_kernel_replace()
 *
 * 0 if it would be accepted, or the -errno that the kernel gives.
 */
int bf_kernel_judge(int sk, const void *replace, size_t len);

/* As bf_kernel_replace(), with three policies ACCEPT and no rules. */
int bf_kernel_clear(int sk, struct xt_counters **old, uint32_t *nr_old);

/*
 * What the kernel would answer to the options of the same name if it had ip_tables, for a kernel that has not:
 * three policies ACCEPT. -EAGAIN if they have another size. -ENOMEM.
 */
int bf_kernel_absent_info(struct ipt_getinfo *info);
int bf_kernel_absent_entries(uint32_t size, void *entries);

/* IPT_SO_SET_ADD_COUNTERS with @n counters, n equal to the table's number of entries. */
int bf_kernel_add_counters(int sk, const struct xt_counters *counters, uint32_t n);

#endif /* BPFILTER_KERNEL_TABLE_H */
