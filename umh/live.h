/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The filter table that is in force in this network namespace, for those who only look.
 */
#ifndef BPFILTER_LIVE_H
#define BPFILTER_LIVE_H

#include "memory.h"

/* Could any table be ours, in this namespace or another, with or without a helper there? */
bool bf_live_any(void);

/**
 * bf_live_read - copy the table, counters included
 * @exit_code: receives one of enum bf_exit on failure
 *
 * From the helper where anything of bpfilter's is in force, which is started if need be; else from
 * ip_tables. 0 or -errno.
 */
int bf_live_read(struct bf_memory *m, int *exit_code, struct bf_why *why);

#endif /* BPFILTER_LIVE_H */
