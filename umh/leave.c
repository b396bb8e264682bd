// SPDX-License-Identifier: GPL-2.0
/* bpfilter stop: all tables go back to ip_tables, or none does. */
#include <errno.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "env.h"
#include "filter.h"
#include "kernel_table.h"
#include "leave.h"
#include "wire.h"
#include "worker.h"

/**
 * struct bf_leave - how far it is
 * @lock: for what follows
 * @missing: answers that have not come, and one for who still asks
 * @going: it is the second round: tables go
 * @reply: the numbers, so far
 * @text: lines for the one who asked, from open_memstream(3)
 */
struct bf_leave {
	struct bf_workers *ws;
	struct bf_env *env;
	struct bf_job *job;
	int wake;
	bool force;
	pthread_mutex_t lock;
	unsigned int missing;
	bool going;
	struct bf_stop_reply reply;
	FILE *lines;
	char *text;
	size_t size;
};

/* Our table as an option value for ip_tables, without counters. -errno. */
static int as_replace(struct bf_filter *f, struct ipt_replace **result, size_t *len)
{
	struct ipt_getinfo info = {};
	struct ipt_replace *r;
	int err = bf_filter_info(f, &info);

	if (err)
		return err;
	*len = sizeof(*r) + info.size;
	r = calloc(1, *len);
	if (!r)
		return -ENOMEM;
	strcpy(r->name, "filter");
	r->valid_hooks = info.valid_hooks;
	r->num_entries = info.num_entries;
	r->size = info.size;
	memcpy(r->hook_entry, info.hook_entry, sizeof(r->hook_entry));
	memcpy(r->underflow, info.underflow, sizeof(r->underflow));
	err = bf_filter_entries(f, info.size, r->entries);
	if (err)
		free(r);
	else
		*result = r;
	return err;
}

static int explain(int err, struct bf_why *why)
{
	switch (err) {
	case -ENOPROTOOPT:
		return bf_why(why, err,
			      "the kernel has no ip_tables to take the table: modprobe ip_tables");
	case -EBUSY:
		return bf_why(why, err,
			      "ip_tables has rules of its own, set outside of bpfilter, that would "
			      "be lost: remove those first");
	}
	return bf_why(why, err, "ip_tables does not take the table: %s", strerror(-err));
}

/* Has ip_tables nothing that would be lost, and does it take our table? */
static int ask_ip_tables(struct bf_filter *f, int sk)
{
	struct bf_kernel_table *theirs;
	struct ipt_replace *ours;
	bool empty;
	size_t len;
	int err;

	err = bf_kernel_read(sk, &theirs);
	if (err)
		return err;
	empty = bf_kernel_table_is_empty(theirs);
	bf_kernel_table_free(theirs);
	if (!empty)
		return -EBUSY;
	err = as_replace(f, &ours, &len);
	if (err)
		return err;
	err = bf_kernel_judge(sk, ours, len);
	free(ours);
	return err;
}

int bf_leave_check(struct bf_filter *f, struct bf_why *why)
{
	int sk, err;

	if (!bf_filter_is_ours(f))
		return 0;
	sk = bf_kernel_socket();
	if (sk < 0)
		return explain(sk, why);
	err = ask_ip_tables(f, sk);
	close(sk);
	return err ? explain(err, why) : 0;
}

/* One answer less to wait for. The lock is held, and is not any more. */
static void arrived(struct bf_leave *l)
{
	const uint64_t one = 1;
	bool last = --l->missing == 0;

	pthread_mutex_unlock(&l->lock);
	if (last && write(l->wake, &one, sizeof(one)) < 0)
		bf_log(BF_LOG_ERR, "eventfd: %s", strerror(errno));
}

static void worker_answered(struct bf_job *job, int error, void *data, size_t len)
{
	const struct bf_left *left = data;
	struct bf_leave *l = job->ctx;

	pthread_mutex_lock(&l->lock);
	l->reply.kept += error != 0;
	if (left) {
		l->reply.given += left->given;
		l->reply.dropped += left->dropped;
		if (left->text[0])
			fprintf(l->lines, "%s\n", left->text);
	} else if (error) {
		fprintf(l->lines, "%s\n", strerror(-error));
	}
	free(data);
	free(job);
	arrived(l);
}

/* Called by bf_workers_broadcast() for each worker. */
static struct bf_job *make_job(void *ctx)
{
	struct bf_job *job = calloc(1, sizeof(*job));
	struct bf_leave *l = ctx;

	pthread_mutex_lock(&l->lock);
	if (job) {
		job->req.op = l->going ? BF_JOB_LEAVE : BF_JOB_MAY_LEAVE;
		job->req.optlen = l->force;
		job->done = worker_answered;
		job->ctx = l;
		l->missing++;
	} else {
		l->reply.kept++;
		fprintf(l->lines, "no memory\n");
	}
	pthread_mutex_unlock(&l->lock);
	return job;
}

static void ask_all(struct bf_leave *l)
{
	l->missing = 1;
	bf_workers_broadcast(l->ws, make_job, l);
	pthread_mutex_lock(&l->lock);
	arrived(l);
}

static void go(struct bf_leave *l)
{
	bf_env_set_leaving(l->env, true);
	l->going = true;
	ask_all(l);
}

struct bf_leave *bf_leave_begin(struct bf_workers *ws, struct bf_env *env, struct bf_job *job,
				int wake)
{
	const uint8_t *force = job->payload;
	struct bf_leave *l = calloc(1, sizeof(*l));

	if (l)
		l->lines = open_memstream(&l->text, &l->size);
	if (!l || !l->lines) {
		free(l);
		job->done(job, -ENOMEM, NULL, 0);
		return NULL;
	}
	l->ws = ws;
	l->env = env;
	l->job = job;
	l->wake = wake;
	l->force = job->req.len && *force;
	pthread_mutex_init(&l->lock, NULL);
	if (l->force)
		go(l);
	else
		ask_all(l);
	return l;
}

int bf_leave_step(struct bf_leave *l)
{
	unsigned int missing;

	pthread_mutex_lock(&l->lock);
	missing = l->missing;
	pthread_mutex_unlock(&l->lock);
	if (missing)
		return 0;
	if (l->reply.kept)
		return -ECANCELED;
	if (l->going)
		return 1;
	go(l);
	return 0;
}

/* The answer: the numbers, and the lines behind them. */
static void answer(struct bf_leave *l)
{
	char *data = NULL;
	size_t len = sizeof(l->reply) + l->size;

	data = malloc(len);
	if (!data) {
		l->job->done(l->job, -ENOMEM, NULL, 0);
		return;
	}
	memcpy(data, &l->reply, sizeof(l->reply));
	memcpy(data + sizeof(l->reply), l->text, l->size);
	l->job->done(l->job, 0, data, len);
}

void bf_leave_end(struct bf_leave *l, int err)
{
	if (err == -EBUSY)
		fprintf(l->lines, "the module still has a namespace down as ours that cannot be "
				  "reached: find out who keeps it (lsns -t net)\n");
	else if (err && err != -ECANCELED)
		fprintf(l->lines, "the module: %s\n", strerror(-err));
	l->reply.refused = err != 0;
	if (err)
		bf_env_set_leaving(l->env, false);
	/* The text is complete when the stream is closed. */
	if (fclose(l->lines))
		l->job->done(l->job, -ENOMEM, NULL, 0);
	else
		answer(l);
	free(l->text);
	pthread_mutex_destroy(&l->lock);
	free(l);
}
