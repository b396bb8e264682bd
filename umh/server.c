// SPDX-License-Identifier: GPL-2.0
/* The helper's event loop. */
#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include "budget.h"
#include "conn.h"
#include "env.h"
#include "leave.h"
#include "port.h"
#include "report.h"
#include "server.h"
#include "sockopt.h"
#include "wire.h"
#include "worker.h"

/* Payloads of requests that are arriving or being worked on; two of the largest fit. */
#define BUDGET_BYTES  (2 * BF_WIRE_MAX_PAYLOAD)
/* What the last replies may take to leave when the helper ends. */
#define LAST_FLUSH_MS 2000

/**
 * struct bf_server - the event loop's state
 * @wake: an eventfd that says that something has changed in another thread
 * @leave: BF_CMD_STOP, while that goes on
 * @left: it has been done: time to end
 */
struct bf_server {
	struct bf_workers *ws;
	struct bf_env *env;
	struct bf_conn *conns;
	int epoll;
	int wake;
	struct bf_budget budget;
	struct bf_port *port;
	struct bf_leave *leave;
	bool left;
};

/* What a request of a connection carries along. */
struct origin {
	struct bf_server *server;
	struct bf_conn *conn;
};

static void answered(struct bf_job *job, int error, void *data, size_t len)
{
	struct origin *o = job->ctx;

	/* Not begun: the peer sees the connection closed, and asks our successor. */
	if (error == -ECANCELED)
		free(data);
	else
		bf_conn_reply(o->conn, job->req.id, error, data, len);
	free(job->payload);
	bf_budget_release(&o->server->budget, job->req.len);
	bf_conn_put(o->conn);
	free(o);
	free(job);
}

static struct bf_job *make_job(struct bf_server *s, struct bf_conn *c)
{
	struct bf_job *job = calloc(1, sizeof(*job));
	struct origin *o = calloc(1, sizeof(*o));

	if (!job || !o) {
		free(job);
		free(o);
		return NULL;
	}
	o->server = s;
	o->conn = bf_conn_get(c);
	job->req = c->reader.req;
	job->payload = c->reader.payload;
	job->done = answered;
	job->ctx = o;
	return job;
}

static void stop(struct bf_server *s, struct bf_job *job)
{
	if (s->leave)
		job->done(job, -EALREADY, NULL, 0);
	else
		s->leave = bf_leave_begin(s->ws, s->env, job, s->wake);
}

/* What concerns more than one namespace. The job is taken over, unless an error is returned. */
static int command(struct bf_server *s, struct bf_job *job)
{
	switch (job->req.op) {
	case BF_CMD_STATUS:
	case BF_CMD_TABLES:
	case BF_CMD_DETACH:
		bf_report_gather(s->ws, s->env, job);
		return 0;
	case BF_CMD_DEVICE:
		bf_port_open(s->port, job);
		return 0;
	case BF_CMD_STOP:
		stop(s, job);
		return 0;
	}
	return -EINVAL;
}

/* A complete request: whose is it? Takes over what the reader holds. */
static void dispatch(struct bf_server *s, struct bf_conn *c)
{
	struct bf_job *job = make_job(s, c);
	int netns = c->reader.netns;
	int err;

	if (!job) {
		bf_budget_release(&s->budget, c->reserved);
		bf_conn_reply(c, c->reader.req.id, -ENOMEM, NULL, 0);
		bf_wire_reader_free(&c->reader);
		c->reserved = 0;
		return;
	}
	bf_wire_reader_init(&c->reader);
	c->reserved = 0;
	if (netns >= 0 && (bf_sockopt_is_ours(job->req.op) || job->req.op == BF_CMD_DETACH)) {
		err = bf_workers_submit(s->ws, netns, NULL, job);
	} else {
		if (netns >= 0)
			close(netns);
		err = command(s, job);
	}
	if (err)
		job->done(job, err, NULL, 0);
}

static void feed(struct bf_server *s, struct bf_conn *c)
{
	if (!c->starved)
		return;
	bf_budget_fed(&s->budget, &c->starved);
	bf_conn_set_reading(c, true);
}

/* 1 when the payload is complete (or empty), 0 if it is not, -errno. */
static int read_payload(struct bf_server *s, struct bf_conn *c)
{
	struct bf_wire_reader *r = &c->reader;

	if (!r->req.len)
		return 1;
	if (!r->payload) {
		if (!bf_budget_reserve_or_starve(&s->budget, r->req.len, &c->starved)) {
			bf_conn_set_reading(c, false);
			return 0;
		}
		c->reserved = r->req.len;
		r->payload = malloc(r->req.len);
		if (!r->payload)
			return -ENOMEM;
	}
	return bf_wire_reader_payload(r, c->sk);
}

/* One request at a time, so that one peer does not keep the loop for itself. */
static int read_conn(struct bf_server *s, struct bf_conn *c)
{
	int ret = bf_wire_reader_head(&c->reader, c->sk);

	if (ret == 1)
		ret = read_payload(s, c);
	if (ret == 1)
		dispatch(s, c);
	return ret < 0 ? ret : 0;
}

static void close_conn(struct bf_server *s, struct bf_conn *c)
{
	struct bf_conn **p;

	for (p = &s->conns; *p != c; p = &(*p)->next)
		;
	*p = c->next;
	bf_budget_fed(&s->budget, &c->starved);
	bf_budget_release(&s->budget, c->reserved);
	bf_conn_close(c);
	bf_conn_put(c);
}

static void conn_event(struct bf_server *s, struct bf_conn *c, uint32_t events)
{
	int err = 0;

	if (events & EPOLLOUT)
		err = bf_conn_flush(c);
	if (!err && (events & EPOLLIN))
		err = read_conn(s, c);
	else if (!err && (events & (EPOLLHUP | EPOLLERR)))
		err = -ECONNRESET;
	if (err == -EPROTO)
		bf_log(BF_LOG_WARN, "a request of another version was refused: stop the old "
				    "bpfilter commands and start them again");
	if (err)
		close_conn(s, c);
}

/* All namespaces have answered: is nothing of ours left, so that the module can do without us? */
static void step_leave(struct bf_server *s)
{
	int ret = bf_leave_step(s->leave), err;

	if (!ret)
		return;
	err = ret < 0 ? ret : bf_port_stop(s->port);
	bf_leave_end(s->leave, err);
	s->leave = NULL;
	s->left = !err;
}

static void woken(struct bf_server *s)
{
	struct bf_conn *c;
	uint64_t n;

	if (read(s->wake, &n, sizeof(n)) < 0)
		return;
	for (c = s->conns; c; c = c->next)
		feed(s, c);
	bf_port_wake(s->port);
	if (s->leave)
		step_leave(s);
}

static void accept_conn(struct bf_server *s, int listen_sk)
{
	struct ucred peer;
	socklen_t len = sizeof(peer);
	struct bf_conn *c;
	int sk;

	sk = accept4(listen_sk, NULL, NULL, SOCK_CLOEXEC);
	if (sk < 0) {
		/* Out of descriptors: do not spin, others will close some. */
		if (errno == EMFILE || errno == ENFILE)
			usleep(10000);
		return;
	}
	if (getsockopt(sk, SOL_SOCKET, SO_PEERCRED, &peer, &len) || peer.uid != 0) {
		close(sk);
		return;
	}
	c = bf_conn_new(sk, s->epoll);
	if (!c)
		return;
	c->next = s->conns;
	s->conns = c;
}

int bf_server_run(struct bf_server *s, int listen_sk, int signals)
{
	/* Told apart by the addresses that stand for them. */
	struct epoll_event ev = {.events = EPOLLIN};

	ev.data.ptr = &listen_sk;
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, listen_sk, &ev))
		return -errno;
	ev.data.ptr = &signals;
	if (epoll_ctl(s->epoll, EPOLL_CTL_ADD, signals, &ev))
		return -errno;
	while (!s->left) {
		/* One at a time: an event may close the connection that a later one is for. */
		int n = epoll_wait(s->epoll, &ev, 1, -1);

		if (n < 0 && errno != EINTR)
			return -errno;
		if (n <= 0)
			continue;
		if (ev.data.ptr == &signals)
			break;
		if (ev.data.ptr == &listen_sk)
			accept_conn(s, listen_sk);
		else if (ev.data.ptr == &s->wake)
			woken(s);
		else if (ev.data.ptr == s->port)
			bf_port_event(s->port);
		else
			conn_event(s, ev.data.ptr, ev.events);
	}
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, listen_sk, NULL);
	epoll_ctl(s->epoll, EPOLL_CTL_DEL, signals, NULL);
	bf_port_drain(s->port);
	return 0;
}

int bf_server_new(struct bf_workers *ws, struct bf_env *env, struct bf_server **server)
{
	struct bf_server *s = calloc(1, sizeof(*s));
	struct epoll_event ev = {.events = EPOLLIN};
	int err;

	if (!s)
		return -ENOMEM;
	s->ws = ws;
	s->env = env;
	s->epoll = epoll_create1(EPOLL_CLOEXEC);
	s->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	s->budget.limit = BUDGET_BYTES;
	s->budget.wake = s->wake;
	s->port = bf_port_new(ws, env, &s->budget, s->epoll);
	ev.data.ptr = &s->wake;
	err = s->port ? 0 : -ENOMEM;
	if (!err &&
	    (s->epoll < 0 || s->wake < 0 || epoll_ctl(s->epoll, EPOLL_CTL_ADD, s->wake, &ev)))
		err = -errno;
	if (err) {
		bf_server_free(s);
		return err;
	}
	*server = s;
	return 0;
}

void bf_server_begin(struct bf_server *s, struct bf_device *device)
{
	bf_port_begin(s->port, device);
}

static void last_flush(struct bf_conn *c)
{
	struct pollfd pfd = {.fd = c->sk, .events = POLLOUT};

	while (c->out && poll(&pfd, 1, LAST_FLUSH_MS) == 1)
		if (bf_conn_flush(c))
			break;
}

void bf_server_free(struct bf_server *s)
{
	if (s->leave)
		bf_leave_end(s->leave, -ECANCELED);
	bf_port_free(s->port);
	while (s->conns) {
		last_flush(s->conns);
		close_conn(s, s->conns);
	}
	if (s->epoll >= 0)
		close(s->epoll);
	if (s->wake >= 0)
		close(s->wake);
	free(s);
}
