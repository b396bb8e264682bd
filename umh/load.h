/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs and maps in the kernel.
 */
#ifndef BPFILTER_LOAD_H
#define BPFILTER_LOAD_H

#include <linux/netfilter/x_tables.h>

#include "bpfilter.h"
#include "program.h"
#include "root.h"
#include "table.h"

/**
 * struct bf_loaded - a table that the kernel has as a program
 * @prog: descriptor of the program, which holds all maps
 * @xdp: descriptor of its XDP program, which shares them; -1 for none
 * @asking: descriptor of the other program of a table with questions (bf_program.asking), which shares them; -1 for none
 * @questions: of those, at the module's hooks (questions.h); else -1
 * @maps: descriptors of those that the program uses, -1 for none
 * @saved: descriptor of the table's own map (saved.h), of @saved_room bytes
 * @shape: what was loaded, without what the maps hold; owned
 * @table: the table itself, saved (bf_table_save()); owned. NULL in one that is out of force
 * @counters: [cpus][stride], shared with the program
 * @asks: the table has questions
 * @reused: the program was that of an earlier table
 * @attach: which hooks the program is for
 * @want: BPFILTER_WANT_*, to be told to the module
 * @map_bytes: of all its maps
 *
 * One with questions has no @shape. What a former helper loaded has no @maps, no @saved and no @shape: it can only be let go of.
 */
struct bf_loaded {
	int prog;
	uint32_t prog_id;
	int xdp;
	int asking, questions;
	int maps[BF_NR_MAPS];
	int saved;
	size_t saved_room;
	struct bf_program *shape;
	struct bf_table *table;
	struct xt_counters *counters;
	size_t counters_size;
	uint32_t stride, cpus;
	enum bf_form form;
	enum bf_attach attach;
	uint32_t want;
	bool wants_conntrack;
	bool asks;
	bool reused;
	uint32_t nr_insns, jited_bytes;
	uint64_t map_bytes;
	uint64_t replaced_at, replace_us;
};

/**
 * bf_load - load a compiled table
 * @table: taken over on success
 * @program: its trees are taken over
 * @stage: descriptors of the namespace's maps, from BF_MAP_NOTES on, if the table has effects or questions
 * @started: CLOCK_MONOTONIC nanoseconds when the replace began, to note how long it took
 *
 * 0 or -errno; what the verifier said goes to @why.
 */
int bf_load(struct bf_table *table, struct bf_program *program, const int *stage, unsigned int cpus,
	    uint64_t started, struct bf_loaded **loaded, struct bf_why *why);

/*
 * As bf_load(), for a program at interfaces: @devs is the namespace's BF_MAP_DEVS, which stays the caller's, as those in
 * @stage; of these it needs BF_MAP_REPLIES if the table has effects.
 */
int bf_load_at(struct bf_table *table, struct bf_program *program, const int *stage, int devs,
	       unsigned int cpus, uint64_t started, struct bf_loaded **loaded, struct bf_why *why);

/**
 * bf_load_xdp - the XDP program beside a table's tc program
 * @loaded: made of @program by bf_load_at()
 * @xdp: of the same table, with the same maps
 * @stage: as for that
 *
 * It is not refilled from then on. 0, -EOPNOTSUPP if the two are not of the same maps, or -errno.
 */
int bf_load_xdp(struct bf_loaded *loaded, const struct bf_program *program,
		const struct bf_program *xdp, const int *stage, struct bf_why *why);

/**
 * bf_refill - make another table of one that was loaded
 * @loaded: no packet is in its program, nor will be, and nobody needs its counters any more
 * @table: taken over on success
 * @program, @cpus, @started: as for bf_load()
 *
 * Only the content of its maps changes. 0; -EINVAL if @program is not the one that is loaded,
 * -E2BIG if the table does not fit into its own map, or -errno: @loaded must then be freed.
 */
int bf_refill(struct bf_loaded *loaded, struct bf_table *table, struct bf_program *program,
	      unsigned int cpus, uint64_t started);

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

/**
 * bf_load_program - load a program alone
 * @fds: of its maps, by number
 *
 * A descriptor or -errno; what the verifier said goes to @why.
 */
int bf_load_program(const char *name, const struct bf_program *program, const int *fds,
		    struct bf_why *why);

/**
 * bf_load_logged - the same for who wants to see all of what the verifier said
 * @log: receives it if the program is refused: @log_size bytes, the last of it if there is more
 */
int bf_load_logged(const char *name, const struct bf_program *program, const int *fds, char *log,
		   size_t log_size, struct bf_why *why);

/* The same for a match of nf_tables (effect.h). */
int bf_load_match(const struct bf_program *program, const int *fds, struct bf_why *why);

/**
 * bf_load_root - load a root or a guard
 * @switch_fd: its prog array
 * @devs_fd: BF_MAP_DEVS, for those that look at it; else -1
 *
 * A descriptor or -errno.
 */
int bf_load_root(const struct bf_kernel *kernel, enum bf_root root, int switch_fd, int devs_fd,
		 struct bf_why *why);

/* A prog array of BF_NR_SLOTS. A descriptor or -errno. */
int bf_create_switch(void);

/**
 * bf_attach - attach a root program to a hook of this thread's namespace
 *
 * Right behind ip_tables' filter: the kernel refuses a BPF program at a priority that anything
 * else has at that moment (EBUSY), and ip_tables has NF_IP_PRI_FILTER in every namespace in which
 * iptables was ever called. The first free priority after it is taken, up to 9: all the kernel's
 * own later hooks are at 50 and more. A link's descriptor or -errno.
 */
int bf_attach(int prog, unsigned int hook);

/*
 * The same for the guard (effect.h), at the first free priority behind that of nf_tables' chain, BF_STAGE_PRIORITY.
 */
int bf_attach_guard(int prog, unsigned int hook);

#define BF_STAGE_PRIORITY 10

#endif /* BPFILTER_LOAD_H */
