/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A place of this process's own to work in: namespaces, a folder, and tables made of text there.
 */
#ifndef BENCH_PLACE_H
#define BENCH_PLACE_H

#include "env.h"
#include "table.h"

/**
 * struct place - network and mount namespaces of this process
 * @dir: a folder in memory, in that mount namespace
 */
struct place {
	char dir[64];
	struct bf_env *env;
};

/* Moves this process there; all of it goes with the process. 0 or -errno having said why. */
int place_enter(struct place *p);

/**
 * place_table - what iptables-legacy-restore makes of a text
 * @table: receives it; to be freed with bf_table_free()
 *
 * It is the kernel's table in this namespace for a moment, and read back from there. 0 or -errno; -EOPNOTSUPP
 * if bpfilter leaves such a table to the kernel.
 */
int place_table(struct place *p, const char *text, struct bf_table **table, struct bf_why *why);

#endif /* BENCH_PLACE_H */
