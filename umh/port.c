// SPDX-License-Identifier: GPL-2.0
/* The module's requests in the event loop. */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "budget.h"
#include "device.h"
#include "env.h"
#include "leftover.h"
#include "port.h"
#include "sockopt.h"
#include "worker.h"

/* What is being done then is to be finished: the caller of a replace would not know whether it was. */
#define DRAIN_MS     10000
/* After a failure for want of memory. */
#define NO_MEMORY_US 10000

enum state { CLOSED, TAKING_UP, READY };

/**
 * struct bf_port - the device in the event loop
 * @device: NULL until first opened
 * @rounds: times that the workers are taking up what there was; any thread
 * @waiting: BF_CMD_DEVICE, until it is ready
 * @unanswered: requests; any thread
 * @starved: reading waits for the budget
 */
struct bf_port {
	struct bf_workers *ws;
	struct bf_env *env;
	struct bf_budget *budget;
	int epoll;
	struct bf_device *device;
	enum state state;
	unsigned int rounds;
	struct bf_job *waiting;
	unsigned int unanswered;
	bool starved;
};

struct bf_port *bf_port_new(struct bf_workers *ws, struct bf_env *env, struct bf_budget *budget,
			    int epoll)
{
	struct bf_port *p = calloc(1, sizeof(*p));

	if (!p)
		return NULL;
	p->ws = ws;
	p->env = env;
	p->budget = budget;
	p->epoll = epoll;
	return p;
}

static void answer_waiting(struct bf_port *p, int err)
{
	struct bf_job *job;

	while ((job = p->waiting)) {
		p->waiting = job->next;
		job->done(job, err, NULL, 0);
	}
}

void bf_port_free(struct bf_port *p)
{
	if (!p)
		return;
	answer_waiting(p, -ECANCELED);
	bf_env_set_device(p->env, NULL);
	bf_device_close(p->device);
	free(p);
}

static int listen_to_device(struct bf_port *p, int op, bool on)
{
	struct epoll_event ev = {.events = on ? EPOLLIN : 0, .data.ptr = p};

	return epoll_ctl(p->epoll, op, bf_device_fd(p->device), &ev) ? -errno : 0;
}

/* It cannot be served: whoever waits for it gets @err. Another helper may try. */
static void give_up(struct bf_port *p, int err)
{
	if (p->state == READY)
		listen_to_device(p, EPOLL_CTL_DEL, false);
	bf_budget_fed(p->budget, &p->starved);
	bf_env_set_device(p->env, NULL);
	bf_device_hang_up(p->device);
	p->state = CLOSED;
	answer_waiting(p, err);
}

static void become_ready(struct bf_port *p)
{
	int err = bf_device_ready(p->device);

	err = err ?: listen_to_device(p, EPOLL_CTL_ADD, true);
	if (err == -EPROTO)
		bf_log(BF_LOG_ERR,
		       "the module is of another version than this helper (%s): install both from "
		       "one release and load the module again",
		       BPFILTER_RELEASE);
	else if (err)
		bf_log(BF_LOG_ERR, "the module cannot be served: %s", strerror(-err));
	if (err) {
		give_up(p, err);
		return;
	}
	p->state = READY;
	bf_log(BF_LOG_INFO, "serving the module: iptables of the whole machine");
	answer_waiting(p, 0);
}

/* On any thread. */
static void taken_up(void *ctx)
{
	const uint64_t one = 1;
	struct bf_port *p = ctx;

	__atomic_sub_fetch(&p->rounds, 1, __ATOMIC_SEQ_CST);
	if (write(p->budget->wake, &one, sizeof(one)) < 0)
		bf_log(BF_LOG_ERR, "eventfd: %s", strerror(errno));
}

static void take_up(struct bf_port *p)
{
	int err;

	/* That of the start, without the device, may not be over when it is opened. */
	__atomic_add_fetch(&p->rounds, 1, __ATOMIC_SEQ_CST);
	err = bf_leftover_take_up(p->ws, p->env, taken_up, p);
	if (!err)
		return;
	bf_log(BF_LOG_WARN, "cannot take up what a former helper has left: %s", strerror(-err));
	/* The module would take a table that is ours for ip_tables'. It has us try again. */
	if (p->state == TAKING_UP)
		give_up(p, err);
}

void bf_port_begin(struct bf_port *p, struct bf_device *device)
{
	p->device = device;
	if (device)
		p->state = TAKING_UP;
	bf_env_set_device(p->env, device);
	take_up(p);
}

void bf_port_open(struct bf_port *p, struct bf_job *job)
{
	struct bf_why why = {};
	int err;

	if (p->state == READY) {
		job->done(job, 0, NULL, 0);
		return;
	}
	job->next = p->waiting;
	p->waiting = job;
	if (p->state == TAKING_UP)
		return;
	err = bf_device_open(&p->device, &why);
	if (err) {
		bf_log(BF_LOG_ERR, "%s", why.text);
		answer_waiting(p, err);
		return;
	}
	bf_env_set_device(p->env, p->device);
	p->state = TAKING_UP;
	take_up(p);
}

/* On any thread. */
static void answered(struct bf_job *job, int error, void *data, size_t len)
{
	const uint64_t one = 1;
	struct bf_port *p = job->ctx;
	int err = 0;

	/* Not begun: when the device is closed, the module asks our successor, or has the caller try again. */
	if (error != -ECANCELED)
		err = bf_device_reply(p->device, job->req.id, error, data, len);
	/* Must not stay without an answer. The table of a replace is in force, whatever becomes of counters. */
	if (err == -ENOMEM || err == -EINVAL || err == -EFAULT)
		bf_device_reply(p->device, job->req.id,
				job->req.op == IPT_SO_SET_REPLACE ? 0 : -ENOMEM, NULL, 0);
	free(data);
	free(job->payload);
	bf_budget_release(p->budget, job->req.len);
	free(job);
	if (!__atomic_sub_fetch(&p->unanswered, 1, __ATOMIC_SEQ_CST) &&
	    write(p->budget->wake, &one, sizeof(one)) < 0)
		return;
}

/* A request: to the worker of its namespace. Takes over @payload and @netns. */
static void dispatch(struct bf_port *p, const struct bpfilter_request *req, void *payload,
		     int netns)
{
	struct bf_job *job = calloc(1, sizeof(*job));
	int err;

	if (!job) {
		bf_device_reply(p->device, req->id, -ENOMEM, NULL, 0);
		bf_budget_release(p->budget, req->len);
		free(payload);
		close(netns);
		return;
	}
	job->req = *req;
	job->payload = payload;
	job->done = answered;
	job->ctx = p;
	__atomic_add_fetch(&p->unanswered, 1, __ATOMIC_SEQ_CST);
	if (bf_sockopt_is_ours(req->op)) {
		err = bf_workers_submit(p->ws, netns, NULL, job);
	} else {
		close(netns);
		err = -ENOPROTOOPT;
	}
	if (err)
		job->done(job, err, NULL, 0);
}

static void cannot_read(struct bf_port *p, int err)
{
	if (err == -ENOMEM) {
		usleep(NO_MEMORY_US);
	} else if (err != -EAGAIN) {
		bf_log(BF_LOG_ERR, "the module cannot be served any more: " BPFILTER_DEVICE ": %s",
		       strerror(-err));
		give_up(p, err);
	}
}

void bf_port_event(struct bf_port *p)
{
	struct bpfilter_request req;
	ssize_t len;
	void *payload;
	int netns, err;

	if (p->state != READY)
		return;
	len = bf_device_pending(p->device);
	if (len < 0) {
		cannot_read(p, len);
		return;
	}
	if (!bf_budget_reserve_or_starve(p->budget, len, &p->starved)) {
		listen_to_device(p, EPOLL_CTL_MOD, false);
		return;
	}
	err = bf_device_read(p->device, &req, &payload, &netns);
	if (err) {
		bf_budget_release(p->budget, len);
		cannot_read(p, err);
		return;
	}
	/* Another one has come in front since, for which there may be no room: it is in memory already. */
	__atomic_add_fetch(&p->budget->used, (ssize_t)req.len - len, __ATOMIC_SEQ_CST);
	dispatch(p, &req, payload, netns);
}

void bf_port_wake(struct bf_port *p)
{
	if (p->starved && p->state == READY) {
		bf_budget_fed(p->budget, &p->starved);
		listen_to_device(p, EPOLL_CTL_MOD, true);
	}
	if (p->state == TAKING_UP && !__atomic_load_n(&p->rounds, __ATOMIC_SEQ_CST))
		become_ready(p);
}

int bf_port_stop(struct bf_port *p)
{
	return p->state == CLOSED ? 0 : bf_device_stop(p->device);
}

void bf_port_drain(struct bf_port *p)
{
	struct pollfd pfd = {.fd = p->budget->wake, .events = POLLIN};
	uint64_t n;

	if (p->state == READY)
		listen_to_device(p, EPOLL_CTL_DEL, false);
	while (__atomic_load_n(&p->unanswered, __ATOMIC_SEQ_CST))
		if (poll(&pfd, 1, DRAIN_MS) <= 0 || read(pfd.fd, &n, sizeof(n)) < 0)
			break;
}
