// SPDX-License-Identifier: GPL-2.0
/*
 * Requests on the wire: the fixed heads of the options, a reader that gets them in pieces, and a
 * connection whose peer is slow.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "conn.h"
#include "sockopt.h"
#include "wire.h"
#include "kselftest_harness.h"

#define GET(opt) (BPFILTER_GET | (opt))

/* --- the options ------------------------------------------------------------------------ */

TEST(only_ip_tables_options_are_ours)
{
	uint32_t op;

	for (op = 0; op < 0x300; op++) {
		bool ours = op == 64 || op == 65 || (op >= GET(64) && op <= GET(67));

		EXPECT_EQ(ours, bf_sockopt_is_ours(op));
		EXPECT_EQ(op == GET(66) || op == GET(67), bf_sockopt_is_revision(op));
	}
}

TEST(head_lengths)
{
	static const struct {
		uint32_t op;
		int optlen;
		ssize_t want;
	} cases[] = {
		{IPT_SO_SET_REPLACE, 96, 96},
		{IPT_SO_SET_REPLACE, 95, -EINVAL},
		{IPT_SO_SET_REPLACE, INT_MAX, 96},
		{IPT_SO_SET_ADD_COUNTERS, 41, 40},
		{IPT_SO_SET_ADD_COUNTERS, 40, -EINVAL},
		{GET(IPT_SO_GET_INFO), 84, 32},
		{GET(IPT_SO_GET_INFO), 83, -EINVAL},
		{GET(IPT_SO_GET_INFO), 85, -EINVAL},
		{GET(IPT_SO_GET_ENTRIES), 40, 40},
		{GET(IPT_SO_GET_ENTRIES), 39, -EINVAL},
		{GET(IPT_SO_GET_ENTRIES), 4000, 40},
		{GET(IPT_SO_GET_REVISION_MATCH), 30, 30},
		{GET(IPT_SO_GET_REVISION_TARGET), 29, -EINVAL},
		{GET(IPT_SO_GET_REVISION_TARGET), 31, -EINVAL},
		{GET(IPT_SO_GET_INFO), 0, -EINVAL},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		EXPECT_EQ(cases[i].want, bf_sockopt_head_len(cases[i].op, cases[i].optlen))
	TH_LOG("case %zu", i);
}

TEST(payload_lengths)
{
	static const struct {
		uint32_t size, num_counters;
		int optlen;
		ssize_t want;
	} replaces[] = {
		{600, 4, 696, 696},
		{600, 4, 695, -EINVAL},
		/* What lies behind the table is not looked at. */
		{600, 4, 4000, 696},
		{0, 1, 96, 96},
		{600, 0, 696, -EINVAL},
		{600, INT_MAX / 16, 696, -ENOMEM},
		{600, INT_MAX / 16 - 1, 696, 696},
		{512 << 20, 1, INT_MAX, (512 << 20) + 96},
		{(512 << 20) + 1, 1, INT_MAX, -ENOMEM},
		/* Too many counters is found before too short. */
		{UINT_MAX, INT_MAX / 16, 696, -ENOMEM},
		{UINT_MAX, 4, INT_MAX, -EINVAL},
	};
	static const struct {
		uint32_t num_counters;
		int optlen;
		ssize_t want;
	} adds[] = {
		{1, 56, 56},
		{1, 55, -EINVAL},
		{1, 57, -EINVAL},
		{0, 41, -EINVAL},
		{UINT_MAX, 56, -EINVAL},
		{(512 << 20) / 16 + 1, (512 << 20) + 56, -ENOMEM},
		{4, 104, 104},
	};
	union bf_sockopt_head head = {};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(replaces); i++) {
		head.replace.size = replaces[i].size;
		head.replace.num_counters = replaces[i].num_counters;
		EXPECT_EQ(replaces[i].want,
			  bf_sockopt_payload_len(IPT_SO_SET_REPLACE, &head, replaces[i].optlen))
		TH_LOG("replace %zu", i);
	}
	for (i = 0; i < ARRAY_SIZE(adds); i++) {
		head.counters.num_counters = adds[i].num_counters;
		EXPECT_EQ(adds[i].want,
			  bf_sockopt_payload_len(IPT_SO_SET_ADD_COUNTERS, &head, adds[i].optlen))
		TH_LOG("counters %zu", i);
	}
	EXPECT_EQ(32, bf_sockopt_payload_len(GET(IPT_SO_GET_INFO), &head, 84));
	EXPECT_EQ(40, bf_sockopt_payload_len(GET(IPT_SO_GET_ENTRIES), &head, 4000));
}

TEST(names_of_tables)
{
	union bf_sockopt_head head = {};

	memcpy(head.name, "filter\0rest", 12);
	EXPECT_TRUE(bf_sockopt_is_filter(&head));
	strcpy(head.name, "filter2");
	EXPECT_FALSE(bf_sockopt_is_filter(&head));
	strcpy(head.name, "filte");
	EXPECT_FALSE(bf_sockopt_is_filter(&head));
	strcpy(head.name, "Filter");
	EXPECT_FALSE(bf_sockopt_is_filter(&head));
	memset(head.name, 'f', sizeof(head.name));
	EXPECT_FALSE(bf_sockopt_is_filter(&head));
}

/* --- the reader -------------------------------------------------------------------------- */

FIXTURE(pair)
{
	int sk[2];
	struct bf_wire_reader reader;
};

FIXTURE_SETUP(pair)
{
	ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, self->sk));
	bf_wire_reader_init(&self->reader);
}

FIXTURE_TEARDOWN(pair)
{
	bf_wire_reader_free(&self->reader);
	close(self->sk[0]);
	close(self->sk[1]);
}

static int count_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	int n = 0;

	while (readdir(dir))
		n++;
	closedir(dir);
	return n;
}

TEST_F(pair, a_request_in_pieces)
{
	struct bpfilter_request req = {.version = BPFILTER_VERSION, .op = 64, .id = 7, .len = 5};
	const char *bytes = (const char *)&req;
	struct bf_wire_reader *r = &self->reader;
	struct stat a, b;
	size_t i;
	int null = open("/dev/null", O_RDONLY);

	for (i = 0; i < sizeof(req); i++) {
		ASSERT_EQ(0, bf_wire_reader_head(r, self->sk[0]));
		ASSERT_EQ(0, bf_wire_write(self->sk[1], bytes + i, 1, i ? -1 : null, NULL, NULL));
	}
	ASSERT_EQ(1, bf_wire_reader_head(r, self->sk[0]));
	ASSERT_EQ(1, bf_wire_reader_head(r, self->sk[0]));
	EXPECT_EQ(0, memcmp(&req, &r->req, sizeof(req)));
	EXPECT_EQ(0, fstat(null, &a));
	EXPECT_EQ(0, fstat(r->netns, &b));
	EXPECT_EQ(a.st_ino, b.st_ino);
	EXPECT_EQ(FD_CLOEXEC, fcntl(r->netns, F_GETFD));
	r->payload = malloc(5);
	for (i = 0; i < 5; i++) {
		ASSERT_EQ(0, bf_wire_reader_payload(r, self->sk[0]));
		ASSERT_EQ(1, write(self->sk[1], "hello" + i, 1));
	}
	ASSERT_EQ(1, bf_wire_reader_payload(r, self->sk[0]));
	EXPECT_EQ(0, memcmp(r->payload, "hello", 5));
	close(null);
}

/* Two requests at once: each gets its own bytes and its own descriptor. */
TEST_F(pair, two_requests_at_once)
{
	struct bpfilter_request req = {.version = BPFILTER_VERSION, .len = 3, .id = 1};
	struct bf_wire_reader *r = &self->reader;
	int null = open("/dev/null", O_RDONLY);

	ASSERT_EQ(0, bf_wire_write(self->sk[1], &req, sizeof(req), -1, NULL, NULL));
	ASSERT_EQ(0, bf_wire_write(self->sk[1], "one", 3, -1, NULL, NULL));
	req.id = 2;
	ASSERT_EQ(0, bf_wire_write(self->sk[1], &req, sizeof(req), null, NULL, NULL));
	ASSERT_EQ(0, bf_wire_write(self->sk[1], "two", 3, -1, NULL, NULL));

	ASSERT_EQ(1, bf_wire_reader_head(r, self->sk[0]));
	r->payload = malloc(3);
	ASSERT_EQ(1, bf_wire_reader_payload(r, self->sk[0]));
	EXPECT_EQ(1, r->req.id);
	EXPECT_EQ(0, memcmp(r->payload, "one", 3));
	EXPECT_EQ(-1, r->netns);
	bf_wire_reader_free(r);

	ASSERT_EQ(1, bf_wire_reader_head(r, self->sk[0]));
	r->payload = malloc(3);
	ASSERT_EQ(1, bf_wire_reader_payload(r, self->sk[0]));
	EXPECT_EQ(2, r->req.id);
	EXPECT_EQ(0, memcmp(r->payload, "two", 3));
	EXPECT_NE(-1, r->netns);
	close(null);
}

TEST_F(pair, what_is_not_a_request)
{
	struct bpfilter_request req = {.version = BPFILTER_VERSION + 1};

	write(self->sk[1], &req, sizeof(req));
	EXPECT_EQ(-EPROTO, bf_wire_reader_head(&self->reader, self->sk[0]));
	bf_wire_reader_free(&self->reader);
	req.version = BPFILTER_VERSION;
	req.len = BF_WIRE_MAX_PAYLOAD + 1;
	write(self->sk[1], &req, sizeof(req));
	EXPECT_EQ(-EPROTO, bf_wire_reader_head(&self->reader, self->sk[0]));
	bf_wire_reader_free(&self->reader);
	write(self->sk[1], &req, 5);
	EXPECT_EQ(0, bf_wire_reader_head(&self->reader, self->sk[0]));
	shutdown(self->sk[1], SHUT_WR);
	EXPECT_EQ(-ECONNRESET, bf_wire_reader_head(&self->reader, self->sk[0]));
}

/* Descriptors that nobody asked for are closed, and the kernel's own surplus never arrives. */
TEST_F(pair, surplus_descriptors)
{
	struct bpfilter_request req = {.version = BPFILTER_VERSION};
	int before = count_fds(), fds[3] = {0, 0, 0};
	union {
		struct cmsghdr align;
		char buf[CMSG_SPACE(sizeof(fds))];
	} control = {};
	struct iovec iov = {&req, sizeof(req)};
	struct msghdr msg = {
		.msg_iov = &iov,
		.msg_iovlen = 1,
		.msg_control = control.buf,
		.msg_controllen = sizeof(control.buf),
	};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);

	cmsg->cmsg_level = SOL_SOCKET;
	cmsg->cmsg_type = SCM_RIGHTS;
	cmsg->cmsg_len = CMSG_LEN(sizeof(fds));
	memcpy(CMSG_DATA(cmsg), fds, sizeof(fds));
	ASSERT_EQ(sizeof(req), sendmsg(self->sk[1], &msg, 0));
	ASSERT_EQ(1, bf_wire_reader_head(&self->reader, self->sk[0]));
	EXPECT_EQ(before + 1, count_fds());
	bf_wire_reader_free(&self->reader);
	EXPECT_EQ(before, count_fds());
}

/* --- waiting ------------------------------------------------------------------------------ */

static int give_up(void *ctx)
{
	return ++*(int *)ctx == 2 ? -ESRCH : 0;
}

TEST_F(pair, waiting_can_be_given_up)
{
	const struct timeval tick = {.tv_usec = 10000};
	static char large[4 << 20];
	int asked = 0;

	setsockopt(self->sk[0], SOL_SOCKET, SO_RCVTIMEO, &tick, sizeof(tick));
	setsockopt(self->sk[0], SOL_SOCKET, SO_SNDTIMEO, &tick, sizeof(tick));
	EXPECT_EQ(-ESRCH, bf_wire_read(self->sk[0], large, 1, give_up, &asked));
	EXPECT_EQ(2, asked);
	asked = 0;
	EXPECT_EQ(-ESRCH, bf_wire_write(self->sk[0], large, sizeof(large), -1, give_up, &asked));
	EXPECT_EQ(2, asked);
	shutdown(self->sk[1], SHUT_RDWR);
	EXPECT_EQ(-ECONNRESET, bf_wire_write(self->sk[0], large, 1, -1, NULL, NULL));
	EXPECT_EQ(-ECONNRESET, bf_wire_read(self->sk[0], large, 1, NULL, NULL));
}

/* --- a connection -------------------------------------------------------------------------- */

static void *pattern(size_t len, int seed)
{
	uint8_t *p = malloc(len);
	size_t i;

	for (i = 0; i < len; i++)
		p[i] = i * 7 + (i >> 8) + seed;
	return p;
}

/* The peer reads nothing at first: replies queue up, in order, and nobody waits. */
TEST_F(pair, a_slow_peer)
{
	const size_t lens[] = {3 << 20, 0, 5, 1 << 20};
	int epoll = epoll_create1(0);
	int fd = dup(self->sk[0]);
	struct bf_conn *c = bf_conn_new(fd, epoll);
	struct epoll_event ev;
	uint8_t *got = malloc(3 << 20);
	struct bpfilter_reply rep;
	size_t i, have;

	ASSERT_NE(NULL, c);
	for (i = 0; i < ARRAY_SIZE(lens); i++)
		bf_conn_reply(c, i, 0, lens[i] ? pattern(lens[i], i) : NULL, lens[i]);
	bf_conn_reply(c, 99, -EAGAIN, malloc(10), 10);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		uint8_t *want = pattern(lens[i] + 1, i);

		for (have = 0; have < sizeof(rep) + lens[i];) {
			uint8_t *dst = have < sizeof(rep) ? (uint8_t *)&rep + have
							  : got + have - sizeof(rep);
			size_t room = have < sizeof(rep) ? sizeof(rep) - have
							 : lens[i] + sizeof(rep) - have;
			ssize_t n = recv(self->sk[1], dst, room, MSG_DONTWAIT);

			if (n > 0) {
				have += n;
				continue;
			}
			/* As the event loop does. */
			ASSERT_EQ(1, epoll_wait(epoll, &ev, 1, 1000));
			ASSERT_TRUE(ev.events & EPOLLOUT);
			ASSERT_EQ(0, bf_conn_flush(c));
		}
		EXPECT_EQ(i, rep.id);
		EXPECT_EQ(lens[i], rep.len);
		EXPECT_EQ(0, memcmp(got, want, lens[i]));
		free(want);
	}
	ASSERT_EQ(0, bf_conn_flush(c));
	ASSERT_EQ(sizeof(rep), recv(self->sk[1], &rep, sizeof(rep), MSG_DONTWAIT));
	EXPECT_EQ(99, rep.id);
	EXPECT_EQ(-EAGAIN, rep.error);
	EXPECT_EQ(0, rep.len);
	EXPECT_EQ(0, epoll_wait(epoll, &ev, 1, 0));
	free(got);
	bf_conn_put(c);
	close(epoll);
}

/* Requests that are answered when their peer is gone. */
TEST_F(pair, replies_after_the_end)
{
	int epoll = epoll_create1(0), before = count_fds();
	struct bf_conn *c = bf_conn_new(dup(self->sk[0]), epoll);

	bf_conn_get(c);
	bf_conn_reply(c, 1, 0, malloc(4 << 20), 4 << 20);
	bf_conn_close(c);
	bf_conn_put(c);
	EXPECT_EQ(before, count_fds());
	bf_conn_reply(c, 2, 0, malloc(100), 100);
	bf_conn_put(c);
	close(epoll);
}

TEST_HARNESS_MAIN
