/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What this kernel's matches do in which kernels differ, found out by trying them.
 */
#ifndef BPFILTER_TRIAL_H
#define BPFILTER_TRIAL_H

#include "kernel.h"

struct bf_table;

/* The match that is tried. */
const char *bf_trial_match(enum bf_trial trial);

/**
 * bf_trial_run - have ip_tables judge two packets, in a network namespace of their own
 * @found: receives what the match does; BF_FRAGMENTS_UNKNOWN on failure
 *
 * Takes some milliseconds, and a thread, which is over on return; the namespace goes with it. The socket options are
 * those of any process: where bpfilter has table filter, it is asked itself, but for its helper. 0 or -errno: -EPERM
 * without CAP_SYS_ADMIN, what the kernel says where it lacks ip_tables or the match, -EPROTO if the counters make no
 * sense. Safe in any thread.
 */
int bf_trial_run(enum bf_trial trial, enum bf_fragments *found);

/* Tries what the table, which may be NULL, needs of @kernel->tried and is not known yet. For those who only look. */
void bf_trial_look(struct bf_kernel *kernel, const struct bf_table *table);

#endif /* BPFILTER_TRIAL_H */
