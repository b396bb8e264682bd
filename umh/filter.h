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
#include "tally.h"

struct bf_env; /* what the process found out about the kernel: env.h */
struct bf_filter;
struct bf_kernel_table;

/* Where the programs go; with XDP, OUTPUT is run at tc egress. config.h has their names. */
enum bf_placement {
	BF_AUTO, /* nothing was asked for: netfilter where the kernel has it, else tc */
	BF_NETFILTER,
	BF_TC,
	BF_XDP,
	BF_XDP_GENERIC,
	BF_OFFLOAD,
	BF_EARLY, /* "auto": as BF_AUTO, and the early-drop stage (early_drop.h) */
};

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

/*
 * The module may have been loaded since: tell it, and be told by it, what is in force. 0 or -errno.
 */
int bf_filter_settle(struct bf_filter *f);

/* Is the table in force ours? If not, the kernel's ip_tables has it. */
bool bf_filter_is_ours(const struct bf_filter *f);

/**
 * bf_filter_others - another table, one of those of others.h, is about to get rules
 * @name: its name
 *
 * A filter at the interfaces is moved to netfilter's hooks, or to ip_tables where there are none for programs. 0 or
 * -errno: then it is where it was.
 */
int bf_filter_others(struct bf_filter *f, const char *name);

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
/* Another one, to the same end. */
int bf_filter_effects_fd(const struct bf_filter *f);
void bf_filter_event(struct bf_filter *f);

/* The same for the interfaces, while the table is at those. */
int bf_filter_edge_fd(const struct bf_filter *f);
void bf_filter_edge_event(struct bf_filter *f);

/*
 * What could not be put in place is to be tried again, by bf_filter_again(), after this many milliseconds; -1: there is
 * nothing that only time could help.
 */
int bf_filter_again_ms(const struct bf_filter *f);
void bf_filter_again(struct bf_filter *f);

/* Which placement the next table is to have. At first it is that of the configuration, or that in force. */
void bf_filter_ask(struct bf_filter *f, enum bf_placement placement);

/*
 * Let go of what only makes the next replace faster, the program of the table before, if it has
 * been kept for so long.
 */
void bf_filter_tidy(struct bf_filter *f, unsigned int idle_ms);

/* Does the table ask the kernel, behind links? Then bf_filter_tidy() shall be called every second. */
bool bf_filter_asks(const struct bf_filter *f);

/*
 * Give the table, with its rules and counters, back to the kernel's ip_tables, and remove
 * everything of ours from the namespace. -EBUSY: ip_tables has rules of its own; -ENOPROTOOPT: the
 * kernel has no ip_tables.
 */
int bf_filter_detach(struct bf_filter *f, struct bf_why *why);

/* Remove everything of ours from a namespace that nobody uses, the rules too. */
void bf_filter_abandon(struct bf_filter *f);

/* Has the table been replaced a moment ago, and its caller not added yet what its rules had counted? */
bool bf_filter_counters_are_due(const struct bf_filter *f);

/**
 * struct bf_interface_status - an interface, where the table is at those
 * @port: what comes in by it goes up by another interface, and is filtered at that
 * @how: where what comes in is filtered: BF_TC, BF_XDP, BF_XDP_GENERIC; BF_OFFLOAD: on the card, and what is left by
 *	XDP; BF_AUTO: nowhere
 * @asked: where it was to be
 * @why: why that differs, or there are other things to say; may be empty
 */
struct bf_interface_status {
	char name[16];
	bool port;
	enum bf_placement how, asked;
	struct bf_why why;
};

/**
 * struct bf_filter_status - a picture of it, for people
 * @also_kernel: the table is ours, and ip_tables has rules too, set by a call that did not reach
 *	us; packets pass both
 * @asked: the placement that the table was to have; @why_place: why it has another one
 * @attach: which hooks run the programs
 * @early: the early-drop stage was asked for; @early_on: it is there; @why_early: why it is not
 * @early_packets: of those that the rules drop, what became of them there, by enum bf_early_why
 * @interfaces: where they are at those; or where the early-drop stage is, or was to be; to be freed by who asked
 * @tally: its counters, whoever has it; not known for up to a second after a replace that has not been followed
 *	by the counters of the table before
 * @why_kernel: why the kernel has the table; empty if nothing needs to be said
 */
struct bf_filter_status {
	bool ours;
	bool also_kernel;
	enum bf_placement placement, asked;
	struct bf_why why_place;
	enum bf_attach attach;
	bool early, early_on;
	struct bf_why why_early;
	uint64_t early_packets[BF_NR_EARLY];
	struct bf_interface_status *interfaces;
	size_t nr_interfaces;
	uint32_t rules;	      /* as iptables counts entries, without policies and ERROR */
	uint32_t chains;      /* user chains */
	uint32_t prog_ids[2]; /* root (of links), table; 0 where there is none */
	uint32_t insns;	      /* of the table's program */
	uint32_t jited_bytes;
	uint64_t map_bytes;
	uint64_t spare_bytes; /* of maps that are kept for the next table */
	uint32_t effects; /* different ones of REJECT, LOG, NFLOG, MARK, CONNMARK and nfacct (effect.h) */
	uint64_t effects_lost; /* that were not run */
	bool asks;	       /* the kernel, about packets (question.h) */
	uint64_t unanswered;   /* packets that were dropped because there was no answer */
	bool reused;	       /* the last replace changed data alone */
	const char *form;      /* "straight-line", "records" */
	uint64_t replaced_at;  /* seconds since the epoch, 0 if unknown */
	uint64_t replace_us;   /* how long the last replace took */
	struct bf_tally tally;
	struct bf_why why_kernel;
};

int bf_filter_status(struct bf_filter *f, struct bf_filter_status *status);

/*
 * A copy of the table, counters included, whoever has it, to be freed with bf_kernel_table_free();
 * NULL if ip_tables has it and nobody has touched it yet. 0 or -errno.
 */
int bf_filter_copy(struct bf_filter *f, struct bf_kernel_table **table);

#endif /* BPFILTER_FILTER_H */
