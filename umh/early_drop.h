/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The early-drop stage in one namespace: the placement "auto".
 *
 * At each interface where it is asked for, and whose driver has XDP, a root program (root.h) runs what is in a switch: the
 * stage of the table in force (codegen/early.h), which shares that table's counters. The switch is empty whenever another
 * table is about to be put in force. So nothing is ever dropped but what the table in force drops, and nothing of the
 * filter depends on it. What is in the kernel of it when the helper is gone stays in force, as the table does, and is in
 * PIN_DIR/INODE/:
 *
 *	early_switch	prog array; slot 0 is the stage of the table in force
 *	early_asked	the same, if the placement is that of the table, and not of interfaces alone
 *	early_N		link at the interface with index N
 */
#ifndef BPFILTER_EARLY_DROP_H
#define BPFILTER_EARLY_DROP_H

#include <sys/types.h>

#include "bpfilter.h"
#include "btf_path.h"
#include "early.h"
#include "filter.h"
#include "netdev.h"

struct bf_env;
struct bf_loaded;

/**
 * struct bf_early_port - an interface where it is asked for
 * @link: a descriptor; -1: none, for the reason in @why
 */
struct bf_early_port {
	struct bf_netdev dev;
	int link;
	struct bf_why why;
	bool seen;
};

/**
 * struct bf_early_drop - all of them
 * @place: what was asked of bf_early_drop_sync()
 * @switch_fd: -1: nothing is pinned
 * @root: loaded when it is first needed
 * @counts: map of struct bf_early_counts of the stage in the switch; -1: there is none, for the reason in @why
 * @refused: there can be none for this table and these modules of the kernel
 * @watch: of the interfaces, -1 while the stage is not asked for
 */
struct bf_early_drop {
	struct bf_env *env;
	char dir[200];
	enum bf_placement place;
	int switch_fd, root, counts, watch;
	struct bf_early_port *ports;
	size_t nr_ports;
	struct bf_symbols symbols;
	bool refused;
	struct bf_why why;
};

/* All functions must be called in the namespace; @inode is its. */
void bf_early_drop_init(struct bf_early_drop *d, struct bf_env *env, ino_t inode);

/* Take up what a former helper has left, of which no table is known yet: the stage is withdrawn. Was the placement asked for? */
bool bf_early_drop_open(struct bf_early_drop *d);

/**
 * bf_early_drop_sync - have the stage where it is asked for, and nowhere else
 * @place: the placement of the table
 * @loaded: the table in force
 * @root_id: of its program at the link at LOCAL_IN; 0: it is not at links
 * @name: of the namespace, for messages
 */
void bf_early_drop_sync(struct bf_early_drop *d, enum bf_placement place,
			const struct bf_loaded *loaded, uint32_t root_id, const char *name);

/* Before another table is put in force: no packet is in the stage any more. The links stay. */
void bf_early_drop_withdraw(struct bf_early_drop *d);

/* Something has changed about the interfaces: bf_early_drop_sync() is due. */
bool bf_early_drop_changed(struct bf_early_drop *d);

/* What it has done since the table was put in force, on all CPUs. */
void bf_early_drop_counts(const struct bf_early_drop *d, uint64_t packets[BF_NR_EARLY]);

/* Detach and remove everything. */
void bf_early_drop_remove(struct bf_early_drop *d);

/* The same by name, of a namespace that nobody uses. */
void bf_early_drop_sweep(ino_t inode);

/* Close the descriptors; everything stays. */
void bf_early_drop_close(struct bf_early_drop *d);

#endif /* BPFILTER_EARLY_DROP_H */
