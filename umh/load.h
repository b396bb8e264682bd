/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs and maps in the kernel.
 */
#ifndef BPFILTER_LOAD_H
#define BPFILTER_LOAD_H

#include <linux/netfilter/x_tables.h>

#include "bpfilter.h"
#include "program.h"
#include "table.h"

/**
 * struct bf_loaded - a table that the kernel has as a program
 * @prog: descriptor of the program, which holds all maps
 * @table: the table itself; owned
 * @counters: [cpus][stride], shared with the program
 * @attach: which hooks the program is for
 * @want: BPFILTER_WANT_*, to be told to the module
 * @map_bytes: of all its maps
 */
struct bf_loaded {
	int prog;
	uint32_t prog_id;
	struct bf_table *table;
	struct xt_counters *counters;
	size_t counters_size;
	uint32_t stride, cpus;
	enum bf_form form;
	enum bf_attach attach;
	uint32_t want;
	bool wants_conntrack;
	uint32_t nr_insns, jited_bytes;
	uint64_t map_bytes;
	uint64_t replaced_at, replace_us;
};

/**
 * bf_load - load a compiled table
 * @table: taken over on success
 * @started: CLOCK_MONOTONIC nanoseconds when the replace began, to note how long it took
 *
 * 0 or -errno; what the verifier said goes to @why.
 */
int bf_load(struct bf_table *table, const struct bf_program *program, unsigned int cpus,
	    uint64_t started, struct bf_loaded **loaded, struct bf_why *why);

/**
 * bf_load_by_id - take up a table that a former helper loaded
 * @prog_id: of its program
 *
 * -EINVAL if it is not one of ours, or of another version.
 */
int bf_load_by_id(uint32_t prog_id, struct bf_loaded **loaded, struct bf_why *why);

/* Lets go of it. The program runs on where it is attached. NULL is ignored. */
void bf_loaded_free(struct bf_loaded *loaded);

/* The sum over all CPUs, for each entry of the table: num_entries counters are written. */
void bf_loaded_counters(const struct bf_loaded *loaded, struct xt_counters *counters);
void bf_loaded_add_counters(struct bf_loaded *loaded, const struct xt_counters *counters);

/* The program for the hooks; @switch_fd is its prog array. A descriptor or -errno. */
int bf_load_root(const struct bf_kernel *kernel, int switch_fd, struct bf_why *why);

/* An array of one program. A descriptor or -errno. */
int bf_create_switch(void);

/**
 * bf_attach - attach a root program to a hook of this thread's namespace
 *
 * Right behind ip_tables' filter: the kernel refuses a BPF program at a priority that anything
 * else has at that moment (EBUSY), and ip_tables has NF_IP_PRI_FILTER in every namespace in which
 * iptables was ever called. The first free priority after it is taken, up to 9: all the kernel's own
 * later hooks are at 50 and more. A link's descriptor or -errno.
 */
int bf_attach(int prog, unsigned int hook);

#endif /* BPFILTER_LOAD_H */
