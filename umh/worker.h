/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A thread for each network namespace: it lives in the namespace, owns its filter, and does what is
 * asked of it one after the other. So what takes long delays nobody but its own namespace.
 */
#ifndef BPFILTER_WORKER_H
#define BPFILTER_WORKER_H

#include <sys/types.h>

#include "bpfilter.h"
#include "filter.h"
#include "uapi/bpfilter.h"

struct bf_env;
struct bf_workers;

/* Beside the socket options and the commands of wire.h: */
enum bf_job_op {
	/* nothing, but the filter is opened */
	BF_JOB_OPEN = BPFILTER_CMD | 0x80,
	/* there may be a device now: look again who has the table, and tell the module */
	BF_JOB_TAKE_UP,
	/* see leave.h */
	BF_JOB_MAY_LEAVE,
	BF_JOB_LEAVE,
};

/**
 * struct bf_job - something to do in a namespace
 * @req: what; the payload is @payload
 * @done: called on any thread when it has been done or could not be: with the result (0 or
 *	-errno) and data that is now the callee's; it also frees the job. -ECANCELED: the
 *	helper ends and has not begun it.
 * @ctx: the caller's
 *
 * The data is a struct bf_worker_status for BF_CMD_STATUS; a struct bf_table_record for BF_CMD_TABLES; for BF_CMD_DETACH how many tables were
 * ours (__u32, 0 or 1); a struct bf_left for BF_JOB_MAY_LEAVE and BF_JOB_LEAVE; nothing for the others.
 */
struct bf_job {
	struct bf_job *next;
	struct bpfilter_request req;
	void *payload;
	void (*done)(struct bf_job *job, int error, void *data, size_t len);
	void *ctx;
};

/**
 * struct bf_worker_status - what a worker says about its namespace
 * @error: 0, or why there is nothing to say
 * @filter: its interfaces lie behind this
 */
struct bf_worker_status {
	ino_t inode;
	char name[256];
	int error;
	struct bf_filter_status filter;
};

/**
 * bf_workers_new - no workers yet
 * @idle_ms: after this long without work a worker ends if its table is the kernel's; if it is ours, it
 *	looks whether anybody still uses the namespace, and if not takes everything out of it; what is
 *	kept to make the next replace faster goes, too. BF_CMD_STATUS, BF_CMD_TABLES and BF_JOB_OPEN are
 *	no work in this sense: a namespace that is watched can go as soon as one that is not
 *
 * NULL if there is no memory.
 */
struct bf_workers *bf_workers_new(struct bf_env *env, int idle_ms);

/* Let all of them finish what they are at, and end. What is in force stays in force. */
void bf_workers_free(struct bf_workers *ws);

/**
 * bf_workers_submit - have a job done in a namespace
 * @netns: descriptor of the namespace; taken over
 * @name: for messages, if one is known; else NULL
 *
 * The job is taken over, too, unless an error is returned (-EINVAL: not a network namespace;
 * -ENOMEM, -EAGAIN: no worker can be had).
 */
int bf_workers_submit(struct bf_workers *ws, int netns, const char *name, struct bf_job *job);

/* Has the namespace a worker? */
bool bf_workers_have(struct bf_workers *ws, ino_t inode);

/* Have the filter opened in a namespace; @netns stays the caller's; @name as above. 0 or -errno. */
int bf_workers_open(struct bf_workers *ws, int netns, const char *name);

/* Start workers again for namespaces whose worker has ended, if they are still there. */
void bf_workers_recall(struct bf_workers *ws);

/**
 * bf_workers_broadcast - have a job done in every namespace that has a worker
 * @make: makes the next job; NULL skips that namespace
 *
 * Returns how many there were.
 */
unsigned int bf_workers_broadcast(struct bf_workers *ws, struct bf_job *(*make)(void *ctx),
				  void *ctx);

#endif /* BPFILTER_WORKER_H */
