/* SPDX-License-Identifier: GPL-2.0 */
/*
 * bpfilter stop: all tables go back to ip_tables, or none does.
 *
 * First every namespace is asked whether its table can go; if all can, or those that cannot may be lost, all go.
 * From then on no table becomes ours (bf_env_leaving()).
 */
#ifndef BPFILTER_LEAVE_H
#define BPFILTER_LEAVE_H

#include "bpfilter.h"

struct bf_env;
struct bf_filter;
struct bf_job;
struct bf_leave;
struct bf_workers;

/**
 * struct bf_left - how a namespace fared
 * @given: tables that went back to ip_tables: 0 or 1
 * @dropped: tables that are gone: 0 or 1
 * @text: what a person should know; a line, or empty
 */
struct bf_left {
	uint32_t given;
	uint32_t dropped;
	char text[600];
};

/* In the namespace: can its table go back to ip_tables? 0; -EBUSY, -ENOPROTOOPT, or another -errno. */
int bf_leave_check(struct bf_filter *f, struct bf_why *why);

/**
 * bf_leave_begin - ask all namespaces
 * @job: BF_CMD_STOP; taken over
 * @wake: an eventfd to be written to when bf_leave_step() is to be called
 *
 * NULL if there is no memory; @job has been answered then.
 */
struct bf_leave *bf_leave_begin(struct bf_workers *ws, struct bf_env *env, struct bf_job *job,
				int wake);

/* 0: not yet; 1: all tables are gone, and bf_leave_end() is to be called; -ECANCELED: they stay, call it too. */
int bf_leave_step(struct bf_leave *l);

/**
 * bf_leave_end - answer the one who asked
 * @err: why it has come to nothing after all; 0 if not
 *
 * On an error tables may become ours again.
 */
void bf_leave_end(struct bf_leave *l, int err);

#endif /* BPFILTER_LEAVE_H */
