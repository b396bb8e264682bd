/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The filter table in force in one network namespace, whoever enforces it.
 *
 * At any moment the table is either ours (generated programs run it, at hooks that
 * outlive us: seat.h) or the kernel's (ip_tables runs it; ours is not attached). Every function
 * here must be called on a thread that is in the namespace, one at a time per
 * namespace. Errors are those that the socket options give: -errno.
 */
#ifndef BPFILTER_FILTER_H
#define BPFILTER_FILTER_H

#include <linux/netfilter_ipv4/ip_tables.h>
#include <sys/types.h>

#include "bpfilter.h"
#include "program.h"

struct bf_env; /* what the process found out about the kernel: env.h */
struct bf_filter;

enum bf_placement { BF_AUTO, BF_NETFILTER };

/**
 * bf_filter_open - the filter of the namespace that this thread is in
 * @env: shared by all namespaces; outlives the filter
 * @inode: of the namespace, as in net:[INODE]
 * @name: for messages
 *
 * Picks up what a former helper left pinned for this namespace and finishes what
 * it left half-way. Returns 0 or -errno.
 */
int bf_filter_open(struct bf_env *env, ino_t inode, const char *name, struct bf_filter **f,
		   struct bf_why *why);

/* Forgets the namespace; what is in force stays in force. */
void bf_filter_close(struct bf_filter *f);

/* The module may have been loaded since: tell it, and be told by it, what is in force. 0 or -errno. */
int bf_filter_settle(struct bf_filter *f);

/* Is the table in force ours? If not, the kernel's ip_tables has it. */
bool bf_filter_is_ours(const struct bf_filter *f);

/*
 * The four options, for a table called "filter". Arguments have been checked only
 * where it says so: the errors of the kernel for bad ones come from here.
 */

/* IPT_SO_GET_INFO: fills all of @info but the name. */
int bf_filter_info(struct bf_filter *f, struct ipt_getinfo *info);

/* IPT_SO_GET_ENTRIES: @size as the caller gave it (-EAGAIN if it is not the size
 * of the table); @entries receives size bytes. */
int bf_filter_entries(struct bf_filter *f, uint32_t size, void *entries);

/**
 * bf_filter_replace - IPT_SO_SET_REPLACE
 * @replace: the option value, @len bytes
 * @old: receives the final counters of the table that was in force
 *	(replace->num_counters of them), to be freed by the caller; NULL on error
 *
 * All or nothing: on error the table in force is what it was.
 */
int bf_filter_replace(struct bf_filter *f, const void *replace, size_t len,
		      struct xt_counters **old, struct bf_why *why);

/* IPT_SO_SET_ADD_COUNTERS; @value is the option value, @len bytes. */
int bf_filter_add_counters(struct bf_filter *f, const void *value, size_t len);

/*
 * A descriptor to poll for reading while the table is ours, or -1; when it is readable, call
 * bf_filter_event() in the namespace. It may change with every call of the functions above.
 */
int bf_filter_fd(const struct bf_filter *f);
void bf_filter_event(struct bf_filter *f);

/*
 * Give the table, with its rules and counters, back to the kernel's ip_tables, and remove everything of
 * ours from the namespace. -EBUSY: ip_tables has rules of its own; -ENOPROTOOPT: the kernel has no
 * ip_tables.
 */
int bf_filter_detach(struct bf_filter *f, struct bf_why *why);

/* Remove everything of ours from a namespace that nobody uses, the rules too. */
void bf_filter_abandon(struct bf_filter *f);

/**
 * struct bf_filter_status - a picture of it, for people
 * @also_kernel: the table is ours, and ip_tables has rules too, set by a call that did not reach us;
 *	packets pass both
 * @attach: which hooks run the programs
 * @why_kernel: why the kernel has the table; empty if nothing needs to be said
 */
struct bf_filter_status {
	bool ours;
	bool also_kernel;
	enum bf_placement placement;
	enum bf_attach attach;
	uint32_t rules;	      /* as iptables counts entries, without policies and ERROR */
	uint32_t chains;      /* user chains */
	uint32_t prog_ids[2]; /* root (of links), table; 0 where there is none */
	uint32_t insns;	      /* of the table's program */
	uint32_t jited_bytes;
	uint64_t map_bytes;
	const char *form;     /* "straight-line", "records" */
	uint64_t replaced_at; /* seconds since the epoch, 0 if unknown */
	uint64_t replace_us;  /* how long the last replace took */
	struct bf_why why_kernel;
};

int bf_filter_status(struct bf_filter *f, struct bf_filter_status *status);

#endif /* BPFILTER_FILTER_H */
