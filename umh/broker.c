// SPDX-License-Identifier: GPL-2.0
/*
 * The broker: threads that each take one notification at a time and answer it before the next.
 *
 * There is always one that waits for the next call, up to a limit, so that a caller whose memory
 * or whose table takes long delays nobody else.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "bpfilter.h"
#include "broker.h"
#include "call.h"
#include "client.h"
#include "mounts.h"

#define MAX_THREADS 128
/* Threads that stay when there is nothing to do. */
#define MAX_IDLE    4

/**
 * struct broker - shared by its threads
 * @lock: for @idle and @threads
 * @attach: see bf_broker_main()
 * @idle: threads that wait for a notification
 * @sizes: of the structures that this kernel's notifications use
 */
struct broker {
	int listener;
	int probe;
	uint32_t attach;
	pthread_mutex_t lock;
	unsigned int idle;
	unsigned int threads;
	struct seccomp_notif_sizes sizes;
};

static void *thread_main(void *arg);

/* Called with the lock held. */
static int add_thread(struct broker *b)
{
	pthread_t thread;
	int err;

	err = pthread_create(&thread, NULL, thread_main, b);
	if (err)
		return -err;
	pthread_detach(thread);
	b->threads++;
	b->idle++;
	return 0;
}

static bool all_gone(int listener)
{
	struct pollfd pfd = {.fd = listener};

	return poll(&pfd, 1, 0) == 1 && (pfd.revents & (POLLHUP | POLLERR | POLLNVAL));
}

/* The next notification: 0, or -ENODEV when there will be none. */
static int receive(struct broker *b, struct seccomp_notif *notif)
{
	for (;;) {
		/* The kernel wants it zeroed. */
		memset(notif, 0, b->sizes.seccomp_notif);
		if (ioctl(b->listener, SECCOMP_IOCTL_NOTIF_RECV, notif) == 0)
			return 0;
		/* ENOENT: the caller died before we had it, or nobody is left (6.11) */
		if (errno != EINTR && (errno != ENOENT || all_gone(b->listener)))
			return -ENODEV;
	}
}

static void answer(struct broker *b, struct seccomp_notif_resp *resp, uint64_t id, int ret)
{
	memset(resp, 0, b->sizes.seccomp_notif_resp);
	resp->id = id;
	if (ret == BF_CALL_CONTINUE)
		resp->flags = SECCOMP_USER_NOTIF_FLAG_CONTINUE;
	else
		resp->error = ret;
	/* ENOENT: the caller is gone, and needs no answer. */
	if (ioctl(b->listener, SECCOMP_IOCTL_NOTIF_SEND, resp) && errno != ENOENT)
		bf_log(BF_LOG_ERR, "cannot answer an iptables call: %s", strerror(errno));
}

/* One thread takes the next; whether another must wait in its place. */
static void begin_call(struct broker *b)
{
	pthread_mutex_lock(&b->lock);
	b->idle--;
	if (b->idle == 0 && b->threads < MAX_THREADS)
		add_thread(b);
	pthread_mutex_unlock(&b->lock);
}

/* Should this thread wait for another call? */
static bool end_call(struct broker *b)
{
	bool stay;

	pthread_mutex_lock(&b->lock);
	stay = b->idle < MAX_IDLE;
	if (stay)
		b->idle++;
	else
		b->threads--;
	pthread_mutex_unlock(&b->lock);
	return stay;
}

/* A thread that could not begin. */
static void forget_thread(struct broker *b)
{
	pthread_mutex_lock(&b->lock);
	b->idle--;
	b->threads--;
	pthread_mutex_unlock(&b->lock);
}

static void *thread_main(void *arg)
{
	struct broker *b = arg;
	struct seccomp_notif *notif = calloc(1, b->sizes.seccomp_notif);
	struct seccomp_notif_resp *resp = calloc(1, b->sizes.seccomp_notif_resp);
	struct bf_call_server server = {};
	bool stay = notif && resp && bf_call_server_init(&server, b->listener, b->probe) == 0;

	if (!stay) {
		bf_log(BF_LOG_ERR, "no memory for another thread that answers iptables calls");
		forget_thread(b);
	}
	server.attach = b->attach;
	while (stay && receive(b, notif) == 0) {
		begin_call(b);
		answer(b, resp, notif->id, bf_call_handle(&server, notif));
		stay = end_call(b);
	}
	if (server.buf)
		bf_call_server_exit(&server);
	free(resp);
	free(notif);
	return NULL;
}

/* Write to the helper's log from now on, or nowhere. */
static void leave_terminal(void)
{
	char path[BF_PATH_MAX];
	int fd = -1;

	if (bf_client_path(path, BF_LOG_NAME) == 0)
		fd = open(path, O_WRONLY | O_APPEND | O_CLOEXEC);
	if (fd < 0)
		fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	if (fd < 0)
		return;
	bf_log_service();
	dup2(fd, STDERR_FILENO);
	close(fd);
}

/* Until the last task below the filter is gone. */
static void wait_for_the_end(struct broker *b, int run)
{
	struct pollfd pfds[] = {
		{.fd = b->listener},
		{.fd = run, .events = POLLIN},
	};

	for (;;) {
		if (poll(pfds, ARRAY_SIZE(pfds), -1) < 0)
			continue;
		if (pfds[0].revents || all_gone(b->listener))
			return;
		if (pfds[1].revents) {
			leave_terminal();
			/* If "run" does not wait for it any more, it does not matter. */
			send(run, "", 1, MSG_NOSIGNAL);
			close(run);
			pfds[1].fd = -1;
		}
	}
}

/* Terminal signals and those of a service's end are for the others: we end when they have. */
static void ignore_signals(void)
{
	static const int signals[] = {SIGINT, SIGQUIT, SIGTERM, SIGHUP, SIGUSR1, SIGUSR2, SIGPIPE};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(signals); i++)
		signal(signals[i], SIG_IGN);
}

/* What all threads share; not freed, since they end only with the process. */
static struct broker *new_broker(int listener)
{
	struct broker *b = calloc(1, sizeof(*b));

	if (!b)
		return NULL;
	b->listener = listener;
	b->probe = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	pthread_mutex_init(&b->lock, NULL);
	if (b->probe < 0 || syscall(__NR_seccomp, SECCOMP_GET_NOTIF_SIZES, 0, &b->sizes))
		return NULL;
	/* An older kernel fills in less than we look at. */
	if (b->sizes.seccomp_notif < sizeof(struct seccomp_notif))
		b->sizes.seccomp_notif = sizeof(struct seccomp_notif);
	if (b->sizes.seccomp_notif_resp < sizeof(struct seccomp_notif_resp))
		b->sizes.seccomp_notif_resp = sizeof(struct seccomp_notif_resp);
	return b;
}

static void close_stdio(void)
{
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);

	if (null < 0)
		return;
	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	close(null);
}

int bf_broker_main(int listener, int ready, int run, uint32_t attach)
{
	int err, mounts = bf_mounts_outer();
	struct broker *b;

	ignore_signals();
	close_stdio();
	/* For the helpers that it starts when its ancestors are gone. */
	if (mounts >= 0) {
		setns(mounts, CLONE_NEWNS);
		close(mounts);
	}
	/* Directories in use must not be kept from being unmounted by one that stays behind. */
	if (chdir("/"))
		return -errno;
	b = new_broker(listener);
	if (!b)
		return -ENOMEM;
	b->attach = attach;
	pthread_mutex_lock(&b->lock);
	err = add_thread(b);
	pthread_mutex_unlock(&b->lock);
	if (err)
		return err;
	if (write(ready, "", 1) != 1)
		return -errno;
	close(ready);
	wait_for_the_end(b, run);
	return 0;
}
