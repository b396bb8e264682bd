/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Processes that make one call each, and may be waited for, or not.
 */
#ifndef DEVICE_CALLS_H
#define DEVICE_CALLS_H

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "rules.h"

enum call_kind { CALL_REPLACE, CALL_COUNTERS, CALL_INFO, CALL_ENTRIES, CALL_NAT, CALL_REVISION };

#define FILTER_CALLS 4 /* the first four of them concern table filter */
#define ALL_CALLS    6

/**
 * struct call_end - what came of a call
 * @error: 0 or the errno
 * @ms: how long it took
 * @len: the option length afterwards (get)
 * @data: what begins the option value afterwards (get), or the old counters (replace)
 */
struct call_end {
	int error;
	unsigned int ms;
	int len;
	char data[256];
};

/**
 * struct call - one that may be under way
 * @from: where its end will come
 */
struct call {
	pid_t pid;
	int from;
};

static inline unsigned int now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static inline int call_get(int sk, int opt, const char *name, int len, struct call_end *end)
{
	char buf[1024] = "";
	int ret;

	strcpy(buf, name);
	if (opt == IPT_SO_GET_ENTRIES)
		((struct ipt_get_entries *)buf)->size = len - sizeof(struct ipt_get_entries);
	end->len = len;
	ret = getsockopt(sk, IPPROTO_IP, opt, buf, (socklen_t *)&end->len);
	memcpy(end->data, buf, sizeof(end->data));
	return ret ? errno : 0;
}

/* The errno of a call on this socket; an empty table, where it is one that sets. */
static inline int call_make(int sk, enum call_kind kind, struct call_end *end)
{
	static const struct rules empty;
	struct xt_counters old[MAX_ENTRIES];
	int err;

	switch (kind) {
	case CALL_REPLACE:
		memset(old, 0xaa, sizeof(old));
		err = -rules_replace(sk, &empty, 0, old);
		memcpy(end->data, old, sizeof(end->data));
		return err;
	case CALL_COUNTERS:
		return -rules_add_counters(sk, &empty);
	case CALL_INFO:
		return call_get(sk, IPT_SO_GET_INFO, "filter", sizeof(struct ipt_getinfo), end);
	case CALL_ENTRIES:
		return call_get(sk, IPT_SO_GET_ENTRIES, "filter",
				sizeof(struct ipt_get_entries) + rules_size(&empty), end);
	case CALL_NAT:
		return call_get(sk, IPT_SO_GET_INFO, "nat", sizeof(struct ipt_getinfo), end);
	default:
		return call_get(sk, IPT_SO_GET_REVISION_MATCH, "icmp",
				sizeof(struct xt_get_revision), end);
	}
}

static void call_on_signal(int sig)
{
}

/* Make it in a process of its own, in this namespace. SIGUSR1 does not kill that. */
static inline struct call call_start(enum call_kind kind, int close_first)
{
	struct call_end end = {.len = 0};
	struct call c;
	int fds[2];

	if (pipe(fds))
		exit(1);
	c.from = fds[0];
	c.pid = fork();
	if (c.pid) {
		close(fds[1]);
		return c;
	}
	close(close_first);
	signal(SIGUSR1, call_on_signal);
	end.ms = now_ms();
	end.error = call_make(socket(AF_INET, SOCK_RAW, IPPROTO_RAW), kind, &end);
	end.ms = now_ms() - end.ms;
	_exit(write(fds[1], &end, sizeof(end)) != sizeof(end));
}

static inline bool call_ended(const struct call *c, int ms)
{
	struct pollfd p = {.fd = c->from, .events = POLLIN};

	return poll(&p, 1, ms) == 1;
}

/* Wait for its end, for so many ms; -1 as its error if it has not come, or the process died. */
static inline struct call_end call_finish(struct call *c, int ms)
{
	struct call_end end = {.error = -1};

	if (!call_ended(c, ms))
		kill(c->pid, SIGKILL);
	if (read(c->from, &end, sizeof(end)) != sizeof(end))
		end.error = -1;
	close(c->from);
	waitpid(c->pid, NULL, 0);
	return end;
}

/* Kill it. How many ms that took. */
static inline unsigned int call_kill(struct call *c)
{
	unsigned int start = now_ms();

	kill(c->pid, SIGKILL);
	waitpid(c->pid, NULL, 0);
	close(c->from);
	return now_ms() - start;
}

#endif /* DEVICE_CALLS_H */
