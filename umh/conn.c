// SPDX-License-Identifier: GPL-2.0
/* A connection to the helper. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include "conn.h"

/* A peer that does not read its replies is not read from, either, beyond this. */
#define MAX_OUT_BYTES (64 * 1024 * 1024UL)

/**
 * struct bf_conn_out - one reply, or what is left of it
 * @done: bytes of head and payload together that are sent
 */
struct bf_conn_out {
	struct bf_conn_out *next;
	struct bpfilter_reply head;
	void *data;
	size_t done;
};

/* With the lock held: tell epoll what we want to know. */
static void update_events(struct bf_conn *c, int op)
{
	struct epoll_event ev = {.data.ptr = c};

	if (c->sk < 0)
		return;
	if (c->want_in && c->out_bytes < MAX_OUT_BYTES)
		ev.events |= EPOLLIN;
	if (c->out)
		ev.events |= EPOLLOUT;
	epoll_ctl(c->epoll, op, c->sk, &ev);
}

struct bf_conn *bf_conn_new(int sk, int epoll)
{
	struct bf_conn *c = calloc(1, sizeof(*c));

	if (!c) {
		close(sk);
		return NULL;
	}
	fcntl(sk, F_SETFL, fcntl(sk, F_GETFL) | O_NONBLOCK);
	bf_wire_reader_init(&c->reader);
	c->refs = 1;
	pthread_mutex_init(&c->lock, NULL);
	c->sk = sk;
	c->epoll = epoll;
	c->want_in = true;
	c->out_tail = &c->out;
	update_events(c, EPOLL_CTL_ADD);
	return c;
}

struct bf_conn *bf_conn_get(struct bf_conn *c)
{
	__atomic_add_fetch(&c->refs, 1, __ATOMIC_RELAXED);
	return c;
}

void bf_conn_put(struct bf_conn *c)
{
	if (__atomic_sub_fetch(&c->refs, 1, __ATOMIC_ACQ_REL))
		return;
	bf_conn_close(c);
	bf_wire_reader_free(&c->reader);
	pthread_mutex_destroy(&c->lock);
	free(c);
}

void bf_conn_set_reading(struct bf_conn *c, bool on)
{
	pthread_mutex_lock(&c->lock);
	c->want_in = on;
	update_events(c, EPOLL_CTL_MOD);
	pthread_mutex_unlock(&c->lock);
}

static void drop_first(struct bf_conn *c)
{
	struct bf_conn_out *o = c->out;

	c->out = o->next;
	if (!c->out)
		c->out_tail = &c->out;
	c->out_bytes -= o->head.len;
	free(o->data);
	free(o);
}

/* With the lock held: send until the socket is full. */
static int flush(struct bf_conn *c)
{
	while (c->out && c->sk >= 0) {
		struct bf_conn_out *o = c->out;
		const size_t head = sizeof(o->head);
		size_t skip = o->done > head ? o->done - head : 0;
		struct iovec iov[2] = {
			{(char *)&o->head + o->done, o->done < head ? head - o->done : 0},
			{(char *)o->data + skip, o->head.len - skip},
		};
		struct msghdr msg = {.msg_iov = iov, .msg_iovlen = 2};
		ssize_t n;

		if (!iov[0].iov_len)
			iov[0].iov_base = NULL;
		n = sendmsg(c->sk, &msg, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN || errno == EWOULDBLOCK ? 0 : -ECONNRESET;
		o->done += n;
		if (o->done == head + o->head.len)
			drop_first(c);
	}
	return 0;
}

void bf_conn_reply(struct bf_conn *c, uint64_t id, int error, void *data, size_t len)
{
	struct bf_conn_out *o = calloc(1, sizeof(*o));

	pthread_mutex_lock(&c->lock);
	if (!o || c->sk < 0) {
		free(o);
		free(data);
		/* The peer must not wait for an answer that does not come. */
		if (c->sk >= 0)
			shutdown(c->sk, SHUT_RDWR);
		pthread_mutex_unlock(&c->lock);
		return;
	}
	o->head.id = id;
	o->head.error = error;
	if (error) {
		free(data);
	} else {
		o->head.len = len;
		o->data = data;
	}
	*c->out_tail = o;
	c->out_tail = &o->next;
	c->out_bytes += o->head.len;
	/* A peer that is gone is noticed by the event loop. */
	flush(c);
	if (c->out)
		update_events(c, EPOLL_CTL_MOD);
	pthread_mutex_unlock(&c->lock);
}

int bf_conn_flush(struct bf_conn *c)
{
	int err;

	pthread_mutex_lock(&c->lock);
	err = flush(c);
	update_events(c, EPOLL_CTL_MOD);
	pthread_mutex_unlock(&c->lock);
	return err;
}

void bf_conn_close(struct bf_conn *c)
{
	pthread_mutex_lock(&c->lock);
	if (c->sk >= 0)
		close(c->sk);
	c->sk = -1;
	while (c->out)
		drop_first(c);
	pthread_mutex_unlock(&c->lock);
}
