// SPDX-License-Identifier: GPL-2.0
/* Commands that concern every namespace. */
#include <errno.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "device.h"
#include "env.h"
#include "report.h"
#include "status.h"
#include "wire.h"
#include "worker.h"

/**
 * struct gather - the answers so far
 * @job: the request that asked
 * @lock: for what follows
 * @missing: answers that have not come, and one for who still asks
 * @error: the first that went wrong
 * @detached: tables given back
 * @all: what the workers said about their namespaces: struct bf_worker_status or bf_table_record
 */
struct gather {
	struct bf_env *env;
	struct bf_job *job;
	pthread_mutex_t lock;
	unsigned int missing;
	int error;
	uint32_t detached;
	void **all;
	size_t nr;
};

static int by_name(const void *a, const void *b)
{
	const struct bf_worker_status *const *x = a, *const *y = b;

	return strcmp((*x)->name, (*y)->name);
}

/* The text, in the order of names. */
static int render(struct gather *g, void **data, size_t *len)
{
	const uint8_t *form = g->job->payload;
	struct bf_status s = {
		.module = {.loaded = bf_device_exists(),
			   .served = bf_env_device(g->env),
			   .requests = bf_device_requests()},
		.n = g->nr,
		.now = time(NULL),
	};
	struct bf_status_entry *entries = calloc(g->nr + 1, sizeof(*entries));
	const struct bf_worker_status *w;
	char *text = NULL;
	size_t i;
	int err;

	if (!entries)
		return -ENOMEM;
	if (g->nr)
		qsort(g->all, g->nr, sizeof(*g->all), by_name);
	for (i = 0; i < g->nr; i++) {
		w = g->all[i];
		entries[i].inode = w->inode;
		entries[i].name = w->name;
		entries[i].status = w->filter;
		entries[i].error = w->error;
	}
	s.entries = entries;
	err = bf_status_render(&s, g->job->req.len > 0 ? form[0] : BF_STATUS_TEXT, &text);
	free(entries);
	if (err)
		return err;
	*data = text;
	*len = strlen(text);
	return 0;
}

/* All tables, one behind the other. */
static int join(struct gather *g, void **data, size_t *len)
{
	const struct bf_table_record *r;
	uint8_t *at;
	size_t i;

	for (i = 0, *len = 0; i < g->nr; i++) {
		r = g->all[i];
		*len += r->skip;
	}
	if (*len > UINT32_MAX)
		return -EFBIG;
	at = *data = malloc(*len ?: 1);
	if (!at)
		return -ENOMEM;
	for (i = 0; i < g->nr; i++, at += r->skip) {
		r = g->all[i];
		memcpy(at, r, r->skip);
	}
	return 0;
}

static int count(struct gather *g, void **data, size_t *len)
{
	*data = malloc(sizeof(g->detached));
	if (!*data)
		return -ENOMEM;
	memcpy(*data, &g->detached, sizeof(g->detached));
	*len = sizeof(g->detached);
	return 0;
}

static void finish(struct gather *g)
{
	void *data = NULL;
	size_t len = 0;
	int err = g->error;

	if (g->job->req.op == BF_CMD_STATUS)
		err = render(g, &data, &len);
	else if (!err && g->job->req.op == BF_CMD_TABLES)
		err = join(g, &data, &len);
	else if (!err)
		err = count(g, &data, &len);
	g->job->done(g->job, err, data, len);
	while (g->nr)
		free(g->all[--g->nr]);
	free(g->all);
	pthread_mutex_destroy(&g->lock);
	free(g);
}

/* One answer less to wait for. The lock is held, and is not any more. */
static void arrived(struct gather *g)
{
	bool last = --g->missing == 0;

	pthread_mutex_unlock(&g->lock);
	if (last)
		finish(g);
}

static void keep(struct gather *g, void *answer)
{
	void **all = realloc(g->all, (g->nr + 1) * sizeof(*all));

	if (!all) {
		free(answer);
		g->error = -ENOMEM;
		return;
	}
	g->all = all;
	g->all[g->nr++] = answer;
}

static void worker_answered(struct bf_job *job, int error, void *data, size_t len)
{
	struct gather *g = job->ctx;

	pthread_mutex_lock(&g->lock);
	if (error && !g->error)
		g->error = error;
	if (!error && job->req.op != BF_CMD_DETACH) {
		keep(g, data);
	} else {
		if (!error && len == sizeof(uint32_t))
			g->detached += *(uint32_t *)data;
		free(data);
	}
	free(job);
	arrived(g);
}

/* Called by bf_workers_broadcast() for each worker. */
static struct bf_job *make_job(void *ctx)
{
	struct bf_job *job = calloc(1, sizeof(*job));
	struct gather *g = ctx;

	if (!job)
		return NULL;
	job->req.op = g->job->req.op;
	job->done = worker_answered;
	job->ctx = g;
	pthread_mutex_lock(&g->lock);
	g->missing++;
	pthread_mutex_unlock(&g->lock);
	return job;
}

void bf_report_gather(struct bf_workers *ws, struct bf_env *env, struct bf_job *job)
{
	struct gather *g = calloc(1, sizeof(*g));

	if (!g) {
		job->done(job, -ENOMEM, NULL, 0);
		return;
	}
	g->env = env;
	g->job = job;
	g->missing = 1;
	pthread_mutex_init(&g->lock, NULL);
	if (job->req.op != BF_CMD_DETACH)
		bf_workers_recall(ws);
	bf_workers_broadcast(ws, make_job, g);
	pthread_mutex_lock(&g->lock);
	arrived(g);
}
