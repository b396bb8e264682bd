// SPDX-License-Identifier: GPL-2.0
/* What a former helper has left pinned. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "device.h"
#include "early_drop.h"
#include "edge.h"
#include "env.h"
#include "leftover.h"
#include "netns_find.h"
#include "pins.h"
#include "stage.h"
#include "worker.h"

/**
 * struct pending - the workers' answers
 * @missing: those that have not come, and one for who still asks
 */
struct pending {
	unsigned int missing;
	void (*done)(void *ctx);
	void *ctx;
};

/**
 * struct leftover - the search
 * @taken: namespaces that have a worker now
 * @err: why there is one that has not
 */
struct leftover {
	struct bf_workers *ws;
	struct bf_env *env;
	struct pending *pending;
	ino_t *taken;
	size_t nr;
	int err;
};

static void put_pending(struct pending *p)
{
	if (__atomic_sub_fetch(&p->missing, 1, __ATOMIC_ACQ_REL))
		return;
	p->done(p->ctx);
	free(p);
}

static void taken_up(struct bf_job *job, int error, void *data, size_t len)
{
	struct pending *p = job->ctx;

	free(data);
	free(job);
	put_pending(p);
}

static struct bf_job *make_job(void *ctx)
{
	struct bf_job *job = calloc(1, sizeof(*job));
	struct pending *p = ctx;

	if (!job)
		return NULL;
	job->req.op = BF_JOB_TAKE_UP;
	job->done = taken_up;
	job->ctx = p;
	__atomic_add_fetch(&p->missing, 1, __ATOMIC_RELAXED);
	return job;
}

static bool is_taken(const struct leftover *l, ino_t inode)
{
	size_t i;

	for (i = 0; i < l->nr; i++)
		if (l->taken[i] == inode)
			return true;
	return false;
}

/* Has the table there been ours? */
static bool was_ours(const struct leftover *l, ino_t inode, int netns)
{
	struct bf_device *device = bf_env_device(l->env);
	struct bf_pins pins;
	uint32_t flags = 0;

	bf_pins_init(&pins, inode);
	if (!access(pins.dir, F_OK))
		return true;
	return device && !bf_device_ns_flags(device, netns, &flags) && flags;
}

static int have_worker(struct leftover *l, int netns, const char *name)
{
	struct bf_job *job;
	int fd = fcntl(netns, F_DUPFD_CLOEXEC, 0), err;

	if (fd < 0)
		return -errno;
	job = make_job(l->pending);
	if (!job) {
		close(fd);
		return -ENOMEM;
	}
	err = bf_workers_submit(l->ws, fd, name, job);
	if (err)
		job->done(job, err, NULL, 0);
	return err;
}

static int take_up(void *arg, ino_t inode, int fd, const char *name)
{
	struct leftover *l = arg;
	ino_t *taken;
	int err;

	if (!was_ours(l, inode, fd))
		return 0;
	taken = realloc(l->taken, (l->nr + 1) * sizeof(*taken));
	if (!taken)
		return -ENOMEM;
	l->taken = taken;
	l->taken[l->nr++] = inode;
	/* It has been told. */
	if (bf_workers_have(l->ws, inode))
		return 0;
	err = have_worker(l, fd, name);
	if (err)
		bf_log(BF_LOG_ERR, "%s: %s", name, strerror(-err));
	l->err = l->err ?: err;
	return 0;
}

/* A link keeps its namespace: with the pins it goes. */
static void remove_orphan(const struct leftover *l, const char *name)
{
	struct bf_pins pins;
	ino_t inode;
	char *end;

	inode = strtoul(name, &end, 10);
	if (*end || !inode || is_taken(l, inode) || bf_netns_in_use(inode))
		return;
	bf_edge_sweep(inode);
	bf_early_drop_sweep(inode);
	bf_pins_init(&pins, inode);
	/* What is missing or cannot be opened is removed by name all the same. */
	bf_pins_open(&pins);
	bf_pins_remove(&pins);
	bf_pins_close(&pins);
	bf_stage_unpin(inode);
	bf_log(BF_LOG_INFO, "net:[%lu]: removed, nobody uses the namespace any more",
	       (unsigned long)inode);
}

static void remove_orphans(const struct leftover *l)
{
	DIR *dir = opendir(bf_pin_dir());
	struct dirent *d;

	while (dir && (d = readdir(dir)))
		remove_orphan(l, d->d_name);
	if (dir)
		closedir(dir);
}

int bf_leftover_take_up(struct bf_workers *ws, struct bf_env *env, void (*done)(void *ctx),
			void *ctx)
{
	struct pending *p = calloc(1, sizeof(*p));
	struct leftover l = {.ws = ws, .env = env, .pending = p};
	int err;

	if (!p) {
		done(ctx);
		return -ENOMEM;
	}
	p->missing = 1;
	p->done = done;
	p->ctx = ctx;
	bf_workers_broadcast(ws, make_job, p);
	err = bf_netns_find(take_up, &l);
	if (!err)
		remove_orphans(&l);
	free(l.taken);
	put_pending(p);
	return err ?: l.err;
}
