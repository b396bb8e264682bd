// SPDX-License-Identifier: GPL-2.0
#include <arpa/inet.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "testnet.h"

#define PORT	      7777
#define BATCH	      32
#define MAX_PACKETS   (64u << 20)
#define SOCKET_BUFFER (256 << 20)
#define IDLE_MS	      500

struct stream {
	int from, to, rx;
	unsigned int pps;
	struct sockaddr_in dst;
	pthread_t sender, receiver;
	atomic_bool stop, failed;
	_Atomic uint64_t sent, received;
	uint64_t highest, doubled, overtaken, furthest;
	uint8_t *seen; /* a bit for each number */
	double started;
};

static void note(struct stream *s, uint64_t number)
{
	uint8_t bit = 1u << (number % 8);

	if (number >= MAX_PACKETS)
		return;
	if (s->seen[number / 8] & bit)
		s->doubled++;
	s->seen[number / 8] |= bit;
	if (number < s->highest) {
		s->overtaken++;
		if (s->highest - number > s->furthest)
			s->furthest = s->highest - number;
	} else {
		s->highest = number;
	}
	s->received++;
}

static void *receive(void *arg)
{
	uint64_t numbers[BATCH];
	struct iovec iov[BATCH];
	struct mmsghdr mm[BATCH];
	struct stream *s = arg;
	int i, n;

	for (i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){&numbers[i], sizeof(numbers[i])};
		mm[i] = (struct mmsghdr){.msg_hdr = {.msg_iov = &iov[i], .msg_iovlen = 1}};
	}
	for (;;) {
		/* SO_RCVTIMEO: nothing for IDLE_MS */
		n = recvmmsg(s->rx, mm, BATCH, MSG_WAITFORONE, NULL);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && s->stop)
			return NULL;
		for (i = 0; i < n; i++)
			note(s, numbers[i]);
	}
}

static void *send_all(void *arg)
{
	uint64_t numbers[BATCH], next = 0;
	int size = SOCKET_BUFFER, sk, i, n;
	struct iovec iov[BATCH];
	struct mmsghdr mm[BATCH];
	struct stream *s = arg;
	double due, early;

	prctl(PR_SET_TIMERSLACK, 1);
	sk = testnet_enter(s->from) ? -1 : socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (sk < 0) {
		s->failed = true;
		return NULL;
	}
	setsockopt(sk, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	for (i = 0; i < BATCH; i++) {
		iov[i] = (struct iovec){&numbers[i], sizeof(numbers[i])};
		mm[i] = (struct mmsghdr){
			.msg_hdr = {.msg_name = &s->dst,
				    .msg_namelen = sizeof(s->dst),
				    .msg_iov = &iov[i],
				    .msg_iovlen = 1},
		};
	}
	due = now_us();
	while (!s->stop && next < MAX_PACKETS - BATCH) {
		for (i = 0; i < BATCH; i++)
			numbers[i] = next + i;
		n = sendmmsg(sk, mm, BATCH, 0);
		if (n < 0) {
			perror("# sendmmsg");
			s->failed = true;
			break;
		}
		next += n;
		s->sent = next;
		due += 1e6 * n / s->pps;
		early = due - now_us();
		if (early > 0)
			usleep(early);
	}
	close(sk);
	return NULL;
}

static int open_receiver(struct stream *s)
{
	struct timeval idle = {.tv_usec = IDLE_MS * 1000};
	int size = SOCKET_BUFFER;
	int sk = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	setsockopt(sk, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size));
	setsockopt(sk, SOL_SOCKET, SO_RCVTIMEO, &idle, sizeof(idle));
	if (bind(sk, (struct sockaddr *)&s->dst, sizeof(s->dst))) {
		close(sk);
		return -1;
	}
	return sk;
}

static void *open_receiver_there(void *arg)
{
	struct stream *s = arg;

	s->rx = testnet_enter(s->to) ? -1 : open_receiver(s);
	return NULL;
}

struct stream *stream_start(int from, int to, const char *address, unsigned int pps)
{
	struct stream *s = calloc(1, sizeof(*s));
	double deadline;

	s->from = from;
	s->to = to;
	s->pps = pps;
	s->seen = calloc(1, MAX_PACKETS / 8);
	s->dst = (struct sockaddr_in){.sin_family = AF_INET, .sin_port = htons(PORT)};
	inet_pton(AF_INET, address, &s->dst.sin_addr);
	/* A thread of its own, so that the caller's stays where it is. */
	pthread_create(&s->receiver, NULL, open_receiver_there, s);
	pthread_join(s->receiver, NULL);
	if (s->rx < 0) {
		free(s->seen);
		free(s);
		return NULL;
	}
	s->started = now_us();
	pthread_create(&s->receiver, NULL, receive, s);
	pthread_create(&s->sender, NULL, send_all, s);
	deadline = now_us() + 5e6;
	while (!s->received && !s->failed && now_us() < deadline)
		usleep(1000);
	if (!s->received) {
		stream_stop(s);
		return NULL;
	}
	return s;
}

struct stream_result stream_stop(struct stream *s)
{
	struct stream_result r;

	s->stop = true;
	r.seconds = (now_us() - s->started) / 1e6;
	pthread_join(s->sender, NULL);
	pthread_join(s->receiver, NULL);
	r.sent = s->sent;
	r.received = s->received;
	r.doubled = s->doubled;
	r.lost = r.sent - (r.received - r.doubled);
	r.overtaken = s->overtaken;
	r.furthest = s->furthest;
	if (s->failed)
		r.lost = UINT64_MAX;
	close(s->rx);
	free(s->seen);
	free(s);
	return r;
}
