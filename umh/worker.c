// SPDX-License-Identifier: GPL-2.0
/*
 * A thread for each network namespace.
 *
 * A worker whose table is ours stays as long as anybody uses its namespace. One whose table is the
 * kernel's ends when it has had nothing to do for a while, so that the namespace can go away, and is
 * remembered for "bpfilter status". Being looked at is nothing to do: whoever does so all the time would keep
 * namespaces that nobody has any more. A worker leaves the list under the
 * list's lock and only with an empty queue; jobs are queued under the same lock: none is lost.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/nsfs.h>
#include <malloc.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "clock.h"
#include "netns_find.h"
#include "site.h"
#include "wire.h"
#include "worker.h"

/* After this long without work a worker is at rest. */
#define REST_MS 3000

/**
 * struct bf_worker - one of them
 * @netns: until the thread is in it; -1 then
 * @event: readable when there is something in the queue or the helper ends
 * @queue, @tail: jobs, under the list's lock
 * @busy: it has had something to do since it last rested; the thread's alone, as are
 * @due: when to look whether it is needless, on the clock of bf_now_ms()
 * @site: with its filter
 */
struct bf_worker {
	struct bf_worker *next;
	struct bf_workers *ws;
	int netns;
	int event;
	struct bf_job *queue;
	struct bf_job **tail;
	bool busy;
	uint64_t due;
	struct bf_site site;
};

/**
 * struct bf_workers - the list of them
 * @lock: for all of it and for the queues
 * @ended: signalled when a worker is gone
 * @live: threads, those that have left the list and are closing included
 * @past: namespaces whose worker has ended; some may not exist any more
 */
struct bf_workers {
	struct bf_env *env;
	int idle_ms;
	pthread_mutex_t lock;
	pthread_cond_t ended;
	bool stopping;
	unsigned int live;
	struct bf_worker *list;
	ino_t *past;
	size_t nr_past;
};

static void put_off(struct bf_worker *w)
{
	w->due = bf_now_ms() + w->ws->idle_ms;
}

/* Does it leave everything as it is, and may come again and again, from outside of the namespace? */
static bool only_looks(uint32_t op)
{
	return op == BF_CMD_STATUS || op == BF_CMD_TABLES || op == BF_JOB_OPEN;
}

static struct bf_job *next_job(struct bf_worker *w)
{
	struct bf_job *job = NULL;

	pthread_mutex_lock(&w->ws->lock);
	if (!w->ws->stopping && w->queue) {
		job = w->queue;
		w->queue = job->next;
		if (!w->queue)
			w->tail = &w->queue;
	}
	pthread_mutex_unlock(&w->ws->lock);
	return job;
}

/* With the lock held. What cannot be remembered is only not shown. */
static void remember(struct bf_workers *ws, ino_t inode)
{
	ino_t *past;
	size_t i;

	for (i = 0; i < ws->nr_past; i++)
		if (ws->past[i] == inode)
			return;
	past = realloc(ws->past, (ws->nr_past + 1) * sizeof(*past));
	if (!past)
		return;
	ws->past = past;
	ws->past[ws->nr_past++] = inode;
}

/* Leave the list, unless there is work. */
static bool retire(struct bf_worker *w)
{
	struct bf_workers *ws = w->ws;
	struct bf_worker **p;
	bool ok;

	pthread_mutex_lock(&ws->lock);
	ok = ws->stopping || !w->queue;
	if (ok) {
		for (p = &ws->list; *p != w; p = &(*p)->next)
			;
		*p = w->next;
		if (w->site.filter)
			remember(ws, w->site.inode);
	}
	pthread_mutex_unlock(&ws->lock);
	return ok;
}

static void free_worker(struct bf_worker *w)
{
	while (w->queue) {
		struct bf_job *job = w->queue;

		w->queue = job->next;
		job->done(job, -ECANCELED, NULL, 0);
	}
	if (w->site.filter)
		bf_filter_close(w->site.filter);
	if (w->netns >= 0)
		close(w->netns);
	close(w->event);
	free(w);
}

static void handle_events(struct bf_worker *w, const struct pollfd *pfds)
{
	uint64_t n;

	if (pfds[0].revents && read(w->event, &n, sizeof(n)) < 0 && errno != EAGAIN)
		bf_log(BF_LOG_ERR, "%s: eventfd: %s", w->site.name, strerror(errno));
	if (pfds[1].revents || pfds[3].revents)
		bf_filter_event(w->site.filter);
	if (pfds[2].revents)
		bf_filter_edge_event(w->site.filter);
}

/*
 * Until the next event; false when it is time to look whether the worker is needless. A table on its way takes
 * much memory, which is used again for the next one, and given back to the kernel when none comes.
 */
static bool wait_event(struct bf_worker *w)
{
	int64_t left = w->due - bf_now_ms();
	int again = w->site.filter ? bf_filter_again_ms(w->site.filter) : -1;
	struct pollfd pfds[] = {
		{.fd = w->event, .events = POLLIN},
		{.fd = w->site.filter ? bf_filter_fd(w->site.filter) : -1, .events = POLLIN},
		{.fd = w->site.filter ? bf_filter_edge_fd(w->site.filter) : -1, .events = POLLIN},
		{.fd = w->site.filter ? bf_filter_effects_fd(w->site.filter) : -1,
		 .events = POLLIN},
	};
	int ret;

	if (left < 0)
		left = 0;
	if ((w->busy || (w->site.filter && bf_filter_asks(w->site.filter))) && left > REST_MS)
		left = REST_MS;
	if (again > left)
		again = -1;
	ret = poll(pfds, ARRAY_SIZE(pfds), again >= 0 ? again : left);
	if (w->site.filter)
		bf_filter_tidy(w->site.filter, w->ws->idle_ms);
	if (again >= 0 && !bf_filter_again_ms(w->site.filter)) {
		bf_filter_again(w->site.filter);
		w->busy = true;
	} else if (ret == 0 && w->busy) {
		w->busy = false;
		malloc_trim(0);
	}
	if (ret > 0)
		handle_events(w, pfds);
	return bf_now_ms() < w->due;
}

/*
 * Nothing was asked for for long: may the worker end? Our links keep the namespace, so that somebody
 * has to look whether they are all that does.
 */
static bool is_needless(struct bf_worker *w)
{
	struct bf_why why = {};
	int err;

	if (!w->site.filter || !bf_filter_is_ours(w->site.filter))
		return true;
	if (bf_netns_in_use(w->site.inode))
		return false;
	err = bf_filter_detach(w->site.filter, &why);
	if (err == -EBUSY || err == -ENOPROTOOPT) {
		/* Somebody has set rules for ip_tables, and gone; or there is no ip_tables. */
		bf_filter_abandon(w->site.filter);
		err = 0;
	}
	if (err)
		bf_log(BF_LOG_ERR, "%s: nobody uses the namespace any more, but it cannot go: %s",
		       w->site.name, why.text[0] ? why.text : strerror(-err));
	else
		bf_log(BF_LOG_INFO, "%s: removed, nobody uses the namespace any more",
		       w->site.name);
	return !err;
}

static bool is_stopping(struct bf_workers *ws)
{
	bool stopping;

	pthread_mutex_lock(&ws->lock);
	stopping = ws->stopping;
	pthread_mutex_unlock(&ws->lock);
	return stopping;
}

/* Waits for something to do, unless the end is near. */
static bool may_end(struct bf_worker *w, int err)
{
	if (err || is_stopping(w->ws))
		return true;
	if (wait_event(w))
		return false;
	if (is_needless(w))
		return true;
	put_off(w);
	return false;
}

static void fail_all(struct bf_worker *w, int err)
{
	struct bf_job *job;

	while ((job = next_job(w)))
		job->done(job, err, NULL, 0);
}

/* @job is not ours any more when it is done. */
static void do_job(struct bf_worker *w, struct bf_job *job)
{
	bool looks = only_looks(job->req.op);

	bf_site_do(&w->site, job);
	w->busy = true;
	if (!looks)
		put_off(w);
}

static void *worker_main(void *arg)
{
	struct bf_worker *w = arg;
	struct bf_workers *ws = w->ws;
	struct bf_job *job;
	int err = 0;

	if (setns(w->netns, CLONE_NEWNET)) {
		err = -errno;
		bf_log(BF_LOG_ERR, "%s: cannot enter the namespace: %s", w->site.name,
		       strerror(-err));
	}
	/* Being in it keeps it. */
	close(w->netns);
	w->netns = -1;
	put_off(w);
	for (;;) {
		if (err)
			fail_all(w, err);
		while ((job = next_job(w)))
			do_job(w, job);
		if (may_end(w, err) && retire(w))
			break;
	}
	free_worker(w);
	pthread_mutex_lock(&ws->lock);
	ws->live--;
	pthread_cond_broadcast(&ws->ended);
	pthread_mutex_unlock(&ws->lock);
	return NULL;
}

/* As "ip netns" names it, if it does; net:[INODE] otherwise. A look into all of /proc for a better
 * name (see bf_netns_find()) would take too long here. */
static void name_namespace(char *name, size_t size, ino_t inode)
{
	DIR *dir = opendir("/run/netns");
	struct dirent *d;
	struct stat st;

	snprintf(name, size, "net:[%lu]", (unsigned long)inode);
	if (stat("/proc/1/ns/net", &st) == 0 && st.st_ino == inode)
		snprintf(name, size, "init");
	while (dir && (d = readdir(dir))) {
		if (fstatat(dirfd(dir), d->d_name, &st, 0) || st.st_ino != inode ||
		    !S_ISREG(st.st_mode))
			continue;
		snprintf(name, size, "%s", d->d_name);
		break;
	}
	if (dir)
		closedir(dir);
}

static int start_thread(struct bf_worker *w)
{
	pthread_attr_t attr;
	pthread_t thread;
	int err;

	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(&thread, &attr, worker_main, w);
	pthread_attr_destroy(&attr);
	return -err;
}

/* With the lock held. Takes @netns over if it succeeds. */
static struct bf_worker *add_worker(struct bf_workers *ws, int netns, ino_t inode, const char *name)
{
	struct bf_worker *w = calloc(1, sizeof(*w));

	if (!w)
		return NULL;
	w->ws = ws;
	w->site.env = ws->env;
	w->site.inode = inode;
	w->netns = netns;
	w->tail = &w->queue;
	if (name)
		snprintf(w->site.name, sizeof(w->site.name), "%s", name);
	else
		name_namespace(w->site.name, sizeof(w->site.name), inode);
	w->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (w->event < 0 || start_thread(w)) {
		if (w->event >= 0)
			close(w->event);
		free(w);
		return NULL;
	}
	w->next = ws->list;
	ws->list = w;
	ws->live++;
	return w;
}

/* It cannot fail: the counter does not overflow. */
static void wake(struct bf_worker *w)
{
	const uint64_t one = 1;

	if (write(w->event, &one, sizeof(one)) < 0)
		return;
}

/* With the lock held. */
static void enqueue(struct bf_worker *w, struct bf_job *job)
{
	job->next = NULL;
	*w->tail = job;
	w->tail = &job->next;
	wake(w);
}

int bf_workers_submit(struct bf_workers *ws, int netns, const char *name, struct bf_job *job)
{
	struct bf_worker *w;
	struct stat st;
	bool taken = false;
	int err = 0;

	if (fstat(netns, &st) || ioctl(netns, NS_GET_NSTYPE) != CLONE_NEWNET) {
		close(netns);
		return -EINVAL;
	}
	pthread_mutex_lock(&ws->lock);
	for (w = ws->list; w && w->site.inode != st.st_ino; w = w->next)
		;
	if (!w) {
		w = add_worker(ws, netns, st.st_ino, name);
		taken = w;
	}
	if (w)
		enqueue(w, job);
	else
		err = -EAGAIN;
	pthread_mutex_unlock(&ws->lock);
	if (!taken)
		close(netns);
	return err;
}

bool bf_workers_have(struct bf_workers *ws, ino_t inode)
{
	struct bf_worker *w;

	pthread_mutex_lock(&ws->lock);
	for (w = ws->list; w && w->site.inode != inode; w = w->next)
		;
	pthread_mutex_unlock(&ws->lock);
	return w;
}

static void opened(struct bf_job *job, int error, void *data, size_t len)
{
	free(data);
	free(job);
}

int bf_workers_open(struct bf_workers *ws, int netns, const char *name)
{
	struct bf_job *job = calloc(1, sizeof(*job));
	int err, fd;

	if (!job)
		return -ENOMEM;
	job->req.op = BF_JOB_OPEN;
	job->done = opened;
	fd = fcntl(netns, F_DUPFD_CLOEXEC, 0);
	err = fd < 0 ? -errno : bf_workers_submit(ws, fd, name, job);
	if (err)
		free(job);
	return err;
}

/* The list of the past, taken out of its place. */
struct past {
	struct bf_workers *ws;
	ino_t *inodes;
	size_t nr;
};

static int recall(void *arg, ino_t inode, int fd, const char *name)
{
	struct past *past = arg;
	size_t i;

	for (i = 0; i < past->nr; i++) {
		if (past->inodes[i] != inode)
			continue;
		bf_workers_open(past->ws, fd, name);
		break;
	}
	return 0;
}

void bf_workers_recall(struct bf_workers *ws)
{
	struct past past = {.ws = ws};

	pthread_mutex_lock(&ws->lock);
	past.inodes = ws->past;
	past.nr = ws->nr_past;
	ws->past = NULL;
	ws->nr_past = 0;
	pthread_mutex_unlock(&ws->lock);
	if (past.nr)
		bf_netns_find(recall, &past);
	free(past.inodes);
}

unsigned int bf_workers_broadcast(struct bf_workers *ws, struct bf_job *(*make)(void *ctx),
				  void *ctx)
{
	struct bf_worker *w;
	unsigned int n = 0;

	pthread_mutex_lock(&ws->lock);
	for (w = ws->list; w; w = w->next) {
		struct bf_job *job = make(ctx);

		if (!job)
			continue;
		enqueue(w, job);
		n++;
	}
	pthread_mutex_unlock(&ws->lock);
	return n;
}

struct bf_workers *bf_workers_new(struct bf_env *env, int idle_ms)
{
	struct bf_workers *ws = calloc(1, sizeof(*ws));

	if (!ws)
		return NULL;
	ws->env = env;
	ws->idle_ms = idle_ms;
	pthread_mutex_init(&ws->lock, NULL);
	pthread_cond_init(&ws->ended, NULL);
	return ws;
}

void bf_workers_free(struct bf_workers *ws)
{
	struct bf_worker *w;

	pthread_mutex_lock(&ws->lock);
	ws->stopping = true;
	for (w = ws->list; w; w = w->next)
		wake(w);
	while (ws->live)
		pthread_cond_wait(&ws->ended, &ws->lock);
	pthread_mutex_unlock(&ws->lock);
	pthread_cond_destroy(&ws->ended);
	pthread_mutex_destroy(&ws->lock);
	free(ws->past);
	free(ws);
}
