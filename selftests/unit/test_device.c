// SPDX-License-Identifier: GPL-2.0
/*
 * The helper's side of /dev/bpfilter, with a module that is not the kernel's: what device.c makes of its answers,
 * and the event loop that serves it.
 */
#include "fake_device.h"
#include "faults.h"
#include "life.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "budget.h"
#include "device.h"
#include "env.h"
#include "server.h"
#include "wire.h"
#include "worker.h"
#include "kselftest_harness.h"

/* Far longer than anything takes here. */
#define LONG_MS 20000

static const char filter[XT_TABLE_MAXNAMELEN] = "filter";

static uint64_t call_info(void)
{
	return fake_call(BPFILTER_GET | IPT_SO_GET_INFO, sizeof(struct ipt_getinfo), filter,
			 sizeof(filter));
}

/* --- device.c ------------------------------------------------------------------------------ */

FIXTURE(device)
{
	struct bf_device *d;
	struct bpfilter_request req;
	void *payload;
	int netns;
	unsigned int descriptors;
};

FIXTURE_SETUP(device)
{
	fake_reset();
	fake.loaded = true;
	self->descriptors = open_descriptors();
	fake.netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	self->d = NULL;
	ASSERT_EQ(0, bf_device_open(&self->d, NULL));
	ASSERT_EQ(0, bf_device_ready(self->d));
}

FIXTURE_TEARDOWN(device)
{
	bf_device_close(self->d);
	close(fake.netns);
	EXPECT_EQ(self->descriptors, open_descriptors());
	fake_reset();
}

TEST(opening)
{
	struct bf_device *d = NULL;
	struct bf_why why = {};
	struct fake_seen seen;

	fake_reset();
	EXPECT_FALSE(bf_device_exists());
	EXPECT_EQ(-ENOENT, bf_device_open(&d, &why));
	EXPECT_NE(NULL, strstr(why.text, "modprobe"));
	fake.loaded = true;
	EXPECT_TRUE(bf_device_exists());
	fake.open_error = EBUSY;
	EXPECT_EQ(-EBUSY, bf_device_open(&d, &why));
	fake.open_error = EPERM;
	EXPECT_EQ(-EPERM, bf_device_open(&d, &why));
	fake.open_error = ENOENT;
	EXPECT_EQ(-ENOENT, bf_device_open(&d, &why));
	EXPECT_NE(NULL, strstr(why.text, "devtmpfs"));
	/* That means something else to the event loop. */
	fake.open_error = ECANCELED;
	EXPECT_EQ(-ESHUTDOWN, bf_device_open(&d, &why));
	EXPECT_EQ(NULL, d);
	fake.open_error = 0;
	fake.version = BPFILTER_VERSION + 1;
	ASSERT_EQ(0, bf_device_open(&d, &why));
	EXPECT_EQ(-EPROTO, bf_device_ready(d));
	bf_device_close(d);
	fake_look(&seen);
	EXPECT_EQ(1, seen.opened);
	EXPECT_EQ(1, seen.closed);
}

TEST_F(device, reads_what_there_is)
{
	uint64_t id;

	EXPECT_EQ(-EAGAIN, bf_device_pending(self->d));
	EXPECT_EQ(-EAGAIN, bf_device_read(self->d, &self->req, &self->payload, &self->netns));
	id = fake_call(IPT_SO_SET_REPLACE, 77, "abcdefg", 8);
	EXPECT_EQ(8, bf_device_pending(self->d));
	fake.interrupts = 5;
	ASSERT_EQ(0, bf_device_read(self->d, &self->req, &self->payload, &self->netns));
	EXPECT_EQ(0, fake.interrupts);
	EXPECT_EQ(id, self->req.id);
	EXPECT_EQ(IPT_SO_SET_REPLACE, self->req.op);
	EXPECT_EQ(77, self->req.optlen);
	ASSERT_EQ(8, self->req.len);
	EXPECT_STREQ("abcdefg", self->payload);
	EXPECT_LE(0, self->netns);
	close(self->netns);
	free(self->payload);
	EXPECT_EQ(-EAGAIN, bf_device_read(self->d, &self->req, &self->payload, &self->netns));
}

/* Who was next has died, and the one behind it is longer. */
TEST_F(device, reads_another_than_it_measured)
{
	fake_call(IPT_SO_SET_REPLACE, 1, "abcdefg", 8);
	fake.grow = 2;
	ASSERT_EQ(0, bf_device_read(self->d, &self->req, &self->payload, &self->netns));
	EXPECT_EQ(24, self->req.len);
	close(self->netns);
	free(self->payload);
	EXPECT_EQ(2, fake_pending());
}

TEST_F(device, refuses_what_has_no_namespace)
{
	uint64_t id = call_info();

	fake.netns_error = ENOENT;
	EXPECT_EQ(-EAGAIN, bf_device_read(self->d, &self->req, &self->payload, &self->netns));
	EXPECT_EQ(1, fake_wait(id, 0, NULL, NULL));
	id = call_info();
	fake.netns_error = EMFILE;
	EXPECT_EQ(-EAGAIN, bf_device_read(self->d, &self->req, &self->payload, &self->netns));
	EXPECT_EQ(-EMFILE, fake_wait(id, 0, NULL, NULL));
}

TEST_F(device, keeps_what_has_no_memory)
{
	call_info();
	faults_arm(FAULT_MEMORY, 1);
	EXPECT_EQ(-ENOMEM, bf_device_read(self->d, &self->req, &self->payload, &self->netns));
	EXPECT_NE(NULL, faults_disarm());
	EXPECT_EQ(1, fake_pending());
	ASSERT_EQ(0, bf_device_read(self->d, &self->req, &self->payload, &self->netns));
	close(self->netns);
	free(self->payload);
}

TEST_F(device, replies)
{
	uint64_t id = call_info(), other = call_info();
	size_t len;
	void *data;
	int i;

	for (i = 0; i < 2; i++) {
		ASSERT_EQ(0, bf_device_read(self->d, &self->req, &self->payload, &self->netns));
		close(self->netns);
		free(self->payload);
	}
	fake.interrupts = 2;
	EXPECT_EQ(0, bf_device_reply(self->d, other, -EPERM, "x", 1));
	EXPECT_EQ(-EPERM, fake_wait(other, 0, &data, &len));
	EXPECT_EQ(0, len);
	free(data);
	fake.reply_error = ENOMEM;
	EXPECT_EQ(-ENOMEM, bf_device_reply(self->d, id, 0, "abc", 4));
	EXPECT_EQ(0, bf_device_reply(self->d, id, 0, "abc", 4));
	EXPECT_EQ(0, fake_wait(id, 0, &data, &len));
	ASSERT_EQ(4, len);
	EXPECT_STREQ("abc", data);
	free(data);
	/* Nobody waits for it any more. */
	EXPECT_EQ(0, bf_device_reply(self->d, id, 0, NULL, 0));
	EXPECT_EQ(1, fake_strays());
}

TEST_F(device, questions)
{
	struct bf_at_hooks run = {.prog = 3, .asking = 4, .questions = 5, .want = 6};
	uint32_t failed, asking, want;
	struct fake_seen seen;
	int fd;

	EXPECT_EQ(0, bf_device_ns_set(self->d, BPFILTER_NS_HOOK, &run));
	fake_look(&seen);
	EXPECT_EQ(3, seen.ns.prog);
	EXPECT_EQ(4, seen.ns.asking);
	EXPECT_EQ(5, seen.ns.questions);
	EXPECT_EQ(6, seen.ns.want);
	EXPECT_EQ(0, bf_device_ns_set(self->d, 0, NULL));
	fake_look(&seen);
	EXPECT_EQ(-1, seen.ns.prog & seen.ns.asking & seen.ns.questions);
	EXPECT_EQ(0, bf_device_ns_asks(self->d, &asking, &want));
	EXPECT_EQ(77, asking);
	EXPECT_EQ(88, want);

	fd = bf_device_questions(self->d, "abc", 3, 7, &failed);
	EXPECT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
	EXPECT_EQ(7, failed);
	fake_look(&seen);
	EXPECT_STREQ("abc", (const char *)(uintptr_t)seen.questions.list);
	EXPECT_EQ(3, seen.questions.size);
	EXPECT_EQ(7, seen.questions.nr);
	fake.questions_error = ENOENT;
	EXPECT_EQ(-ENOENT, bf_device_questions(self->d, "abc", 3, 7, &failed));
	EXPECT_EQ(6, failed);
	fd = bf_device_questions_now(self->d);
	EXPECT_LE(0, fd);
	EXPECT_EQ(0, close(fd));
}

TEST_F(device, given_up)
{
	uint32_t flags, prog;
	struct fake_seen seen;

	EXPECT_EQ(0, bf_device_ns_set(self->d, BPFILTER_NS_OWNED | BPFILTER_NS_KEEP, NULL));
	EXPECT_EQ(0, bf_device_ns_get(self->d, &flags, &prog));
	EXPECT_EQ(BPFILTER_NS_OWNED, flags);
	EXPECT_EQ(0, bf_device_ns_flags(self->d, fake.netns, &flags));
	EXPECT_EQ(BPFILTER_NS_OWNED, flags);
	EXPECT_EQ(0, bf_device_sync(self->d));
	fake.stop_error = EBUSY;
	EXPECT_EQ(-EBUSY, bf_device_stop(self->d));
	bf_device_hang_up(self->d);
	EXPECT_EQ(-ENODEV, bf_device_ns_set(self->d, 0, NULL));
	EXPECT_EQ(-ENODEV, bf_device_ns_get(self->d, &flags, &prog));
	EXPECT_EQ(-ENODEV, bf_device_ns_asks(self->d, &flags, &prog));
	EXPECT_EQ(-ENODEV, bf_device_questions(self->d, "", 0, 1, &flags));
	EXPECT_EQ(1, flags);
	EXPECT_EQ(-ENODEV, bf_device_questions_now(self->d));
	EXPECT_EQ(-ENODEV, bf_device_sync(self->d));
	EXPECT_EQ(-ENODEV, bf_device_stop(self->d));
	EXPECT_EQ(-ENODEV, bf_device_ready(self->d));
	EXPECT_EQ(-ENODEV, bf_device_pending(self->d));
	EXPECT_EQ(-ENODEV, bf_device_reply(self->d, 1, 0, NULL, 0));
	EXPECT_EQ(0, bf_device_open(&self->d, NULL));
	EXPECT_EQ(0, bf_device_sync(self->d));
	fake_look(&seen);
	EXPECT_EQ(2, seen.opened);
	EXPECT_EQ(1, seen.closed);
}

/* --- the limit on memory ------------------------------------------------------------------- */

TEST(budget)
{
	struct bf_budget b = {.limit = 100, .wake = eventfd(0, EFD_NONBLOCK)};
	bool starved = false, other = false;
	uint64_t n;

	EXPECT_TRUE(bf_budget_reserve_or_starve(&b, 60, &starved));
	EXPECT_TRUE(bf_budget_reserve(&b, 40));
	bf_budget_release(&b, 40);
	EXPECT_FALSE(starved);
	EXPECT_FALSE(bf_budget_reserve(&b, 41));
	/* Nobody waits for it. */
	EXPECT_EQ(-1, read(b.wake, &n, sizeof(n)));
	EXPECT_FALSE(bf_budget_reserve_or_starve(&b, 41, &starved));
	EXPECT_FALSE(bf_budget_reserve_or_starve(&b, 41, &starved));
	EXPECT_FALSE(bf_budget_reserve_or_starve(&b, 101, &other));
	EXPECT_TRUE(starved);
	EXPECT_EQ(2, b.starving);
	bf_budget_release(&b, 60);
	EXPECT_EQ(sizeof(n), read(b.wake, &n, sizeof(n)));
	EXPECT_TRUE(bf_budget_reserve_or_starve(&b, 41, &starved));
	EXPECT_FALSE(starved);
	bf_budget_fed(&b, &other);
	EXPECT_EQ(0, b.starving);
	EXPECT_EQ(41, b.used);
	close(b.wake);
}

/* --- the event loop -------------------------------------------------------------------------- */

/**
 * struct helper - one in this process
 * @end: readable when it is to end
 * @sk: listens
 */
FIXTURE(server)
{
	struct life l;
	struct bf_workers *workers;
	struct bf_server *server;
	struct sockaddr_un addr;
	int sk, end;
	pthread_t thread;
	bool running;
	int ret;
};

static void *run_server(void *arg)
{
	struct _test_data_server *self = arg;

	self->ret = bf_server_run(self->server, self->sk, self->end);
	return NULL;
}

static int listen_at(struct sockaddr_un *addr, const char *dir)
{
	int sk = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);

	addr->sun_family = AF_UNIX;
	snprintf(addr->sun_path, sizeof(addr->sun_path), "%s/sk", dir);
	if (bind(sk, (struct sockaddr *)addr, sizeof(*addr)) || listen(sk, 8))
		return -1;
	return sk;
}

static int connect_to(const struct sockaddr_un *addr)
{
	int sk = bf_wire_socket();

	return connect(sk, (struct sockaddr *)addr, sizeof(*addr)) ? -1 : sk;
}

/* One with the device, if there is one. */
static int begin(struct _test_data_server *self)
{
	struct bf_device *d = NULL;
	int err = 0;

	if (fake.loaded)
		err = bf_device_open(&d, NULL);
	self->workers = bf_workers_new(self->l.s.env, 30000);
	err = err ?: bf_server_new(self->workers, self->l.s.env, &self->server);
	if (err)
		return err;
	bf_server_begin(self->server, d);
	self->running = !pthread_create(&self->thread, NULL, run_server, self);
	return self->running ? 0 : -ENOMEM;
}

/* What bf_server_run() returned. */
static int end(struct _test_data_server *self)
{
	uint64_t one = 1;

	if (!self->running)
		return 0;
	self->running = false;
	if (write(self->end, &one, sizeof(one)) < 0)
		return -errno;
	pthread_join(self->thread, NULL);
	bf_workers_free(self->workers);
	bf_server_free(self->server);
	if (read(self->end, &one, sizeof(one)) < 0)
		return -errno;
	return self->ret;
}

FIXTURE_SETUP(server)
{
	int err;

	fake_reset();
	self->running = false;
	err = life_begin(&self->l, LINKS);
	if (err > 0)
		LIFE_SKIP("%s", self->l.s.why);
	ASSERT_EQ(0, err) TH_LOG("%s", self->l.s.why);
	self->end = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	self->sk = listen_at(&self->addr, self->l.s.dir);
	ASSERT_LE(0, self->sk);
	fake.loaded = true;
	fake.netns = self->l.s.netns;
}

FIXTURE_TEARDOWN(server)
{
	end(self);
	fake_reset();
	close(self->sk);
	close(self->end);
	unlink(self->addr.sun_path);
	life_end(&self->l);
}

static uint64_t call_replace(struct blob *b)
{
	return fake_call(IPT_SO_SET_REPLACE, b->len, b->data, b->len);
}

/* A command of ours, by the socket. The reply's error; 1 if the connection ends without one. */
static int command(struct _test_data_server *self, uint32_t op, struct bf_stop_reply *stop)
{
	struct bpfilter_request req = {.version = BPFILTER_VERSION, .op = op};
	int sk = connect_to(&self->addr), ret;
	struct bpfilter_reply rep;
	char text[600];

	ret = bf_wire_write(sk, &req, sizeof(req), -1, NULL, NULL);
	ret = ret ?: bf_wire_read(sk, &rep, sizeof(rep), NULL, NULL);
	if (ret)
		ret = 1;
	else if (!rep.error && stop)
		ret = bf_wire_read(sk, stop, sizeof(*stop), NULL, NULL)
			      ?: bf_wire_read(sk, text, rep.len - sizeof(*stop), NULL, NULL);
	else
		ret = rep.error;
	close(sk);
	return ret;
}

TEST_F(server, answers)
{
	struct ipt_getinfo *info;
	struct fake_seen seen;
	struct blob b = {};
	uint64_t ids[300];
	size_t len, i;
	void *data;

	/* Before there is anybody. */
	ids[0] = call_info();
	ASSERT_EQ(0, begin(self));
	ASSERT_EQ(0, fake_wait(ids[0], LONG_MS, &data, &len));
	ASSERT_EQ(sizeof(*info), len);
	info = data;
	EXPECT_STREQ("filter", info->name);
	EXPECT_EQ(4, info->num_entries);
	free(data);
	table_make(&b, PLAIN, BLOB_DROP);
	blob_head(&b)->num_counters = 4;
	EXPECT_EQ(0, fake_wait(call_replace(&b), LONG_MS, &data, &len));
	EXPECT_EQ(4 * sizeof(struct xt_counters), len);
	free(data);
	fake_look(&seen);
	EXPECT_EQ(BPFILTER_NS_OWNED, seen.flags);
	EXPECT_EQ(-ENOPROTOOPT, fake_wait(fake_call(0x33, 4, filter, 32), LONG_MS, NULL, NULL));
	for (i = 0; i < ARRAY_SIZE(ids); i++)
		ids[i] = call_info();
	for (i = 0; i < ARRAY_SIZE(ids); i++)
		EXPECT_EQ(0, fake_wait(ids[i], LONG_MS, NULL, NULL));
	EXPECT_EQ(0, fake_strays());
	EXPECT_EQ(0, end(self));
	fake_look(&seen);
	EXPECT_EQ(1, seen.closed);
	blob_free(&b);
}

/* What was taken is answered. */
TEST_F(server, ends_with_answers)
{
	uint64_t ids[30];
	struct blob b = {};
	unsigned int i, left = 0;

	ASSERT_EQ(0, begin(self));
	ASSERT_EQ(0, fake_wait(call_info(), LONG_MS, NULL, NULL));
	table_make(&b, PLAIN, BLOB_ACCEPT);
	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		blob_head(&b)->num_counters = i ? 7 : 4;
		ids[i] = i % 10 == 9 ? call_info() : call_replace(&b);
	}
	/* They are read faster than they are done. */
	EXPECT_EQ(0, fake_wait(ids[0], LONG_MS, NULL, NULL));
	EXPECT_EQ(0, end(self));
	for (i = 0; i < ARRAY_SIZE(ids); i++) {
		int ret = fake_wait(ids[i], 0, NULL, NULL);

		EXPECT_TRUE(ret == 0 || ret == 1) TH_LOG("%u: %d", i, ret);
		left += ret == 1;
	}
	EXPECT_EQ(left, fake_pending());
	EXPECT_EQ(0, fake_strays());
	/* A successor takes the rest. */
	ASSERT_EQ(0, begin(self));
	for (i = 0; i < ARRAY_SIZE(ids); i++)
		EXPECT_EQ(0, fake_wait(ids[i], LONG_MS, NULL, NULL));
	EXPECT_EQ(0, end(self));
	blob_free(&b);
}

/* Whatever fails once: every call gets one answer, and the next is served. */
TEST_F(server, no_memory)
{
	const char *failed = "";
	struct blob b = {};
	unsigned int n;

	table_make(&b, PLAIN, BLOB_DROP);
	blob_head(&b)->num_counters = 4;
	ASSERT_EQ(0, begin(self));
	ASSERT_EQ(0, fake_wait(call_info(), LONG_MS, NULL, NULL));
	for (n = 1; failed; n++) {
		uint64_t id;
		int ret;

		faults_arm(FAULT_MEMORY, n);
		id = call_info();
		ret = fake_wait(id, LONG_MS, NULL, NULL);
		failed = faults_disarm();
		EXPECT_TRUE(ret == 0 || ret == -ENOMEM || ret == -EAGAIN)
		TH_LOG("call %u of %s: %d", n, failed, ret);
	}
	EXPECT_LT(3, n);
	EXPECT_EQ(0, fake_wait(call_replace(&b), LONG_MS, NULL, NULL));
	EXPECT_EQ(0, fake_strays());
	EXPECT_EQ(0, end(self));
	blob_free(&b);
}

/* The table is in force: the counters may be missing, the answer may not. */
TEST_F(server, answers_without_counters)
{
	struct blob b = {};
	size_t len = 1;
	void *data;

	table_make(&b, PLAIN, BLOB_DROP);
	blob_head(&b)->num_counters = 4;
	ASSERT_EQ(0, begin(self));
	ASSERT_EQ(0, fake_wait(call_info(), LONG_MS, NULL, NULL));
	fake.reply_error = ENOMEM;
	EXPECT_EQ(0, fake_wait(call_replace(&b), LONG_MS, &data, &len));
	EXPECT_EQ(0, len);
	free(data);
	fake.reply_error = ENOMEM;
	EXPECT_EQ(-ENOMEM, fake_wait(call_info(), LONG_MS, NULL, NULL));
	blob_free(&b);
}

/* The module is loaded later. */
TEST_F(server, opens_on_demand)
{
	struct fake_seen seen;
	uint64_t id;

	fake.loaded = false;
	ASSERT_EQ(0, begin(self));
	EXPECT_EQ(-ENOENT, command(self, BF_CMD_DEVICE, NULL));
	fake.loaded = true;
	fake.open_error = EBUSY;
	EXPECT_EQ(-EBUSY, command(self, BF_CMD_DEVICE, NULL));
	fake.open_error = ECANCELED;
	EXPECT_EQ(-ESHUTDOWN, command(self, BF_CMD_DEVICE, NULL));
	fake.open_error = 0;
	fake.version = BPFILTER_VERSION + 1;
	id = call_info();
	EXPECT_EQ(-EPROTO, command(self, BF_CMD_DEVICE, NULL));
	fake_look(&seen);
	EXPECT_EQ(1, seen.closed);
	EXPECT_EQ(1, fake_pending());
	fake.version = 0;
	EXPECT_EQ(0, command(self, BF_CMD_DEVICE, NULL));
	EXPECT_EQ(0, fake_wait(id, LONG_MS, NULL, NULL));
	EXPECT_EQ(0, command(self, BF_CMD_DEVICE, NULL));
	fake_look(&seen);
	EXPECT_EQ(2, seen.opened);
}

/* A table that was ours before the module came. */
TEST_F(server, tells_a_new_module)
{
	struct fake_seen seen;
	struct blob b = {};

	table_make(&b, PLAIN, BLOB_DROP);
	ASSERT_EQ(0, life_open(&self->l));
	ASSERT_EQ(0, life_replace(&self->l, &b, NULL));
	life_close(&self->l);
	fake.loaded = false;
	ASSERT_EQ(0, begin(self));
	/* Its worker has it open. */
	EXPECT_EQ(0, command(self, BF_CMD_STATUS, NULL));
	fake.loaded = true;
	EXPECT_EQ(0, command(self, BF_CMD_DEVICE, NULL));
	fake_look(&seen);
	EXPECT_EQ(BPFILTER_NS_OWNED, seen.flags_at_ready);
	blob_free(&b);
}

TEST_F(server, stops)
{
	struct bf_stop_reply reply = {};
	struct fake_seen seen;
	struct blob b = {};
	uint64_t id;

	table_make(&b, PLAIN, BLOB_DROP);
	blob_head(&b)->num_counters = 4;
	ASSERT_EQ(0, begin(self));
	ASSERT_EQ(0, fake_wait(call_replace(&b), LONG_MS, NULL, NULL));
	fake.stop_error = EBUSY;
	EXPECT_EQ(0, command(self, BF_CMD_STOP, &reply));
	EXPECT_TRUE(reply.refused);
	fake.stop_error = 0;
	/* It goes on, and tables may be ours again. */
	EXPECT_EQ(0, fake_wait(call_info(), LONG_MS, NULL, NULL));
	blob_head(&b)->num_counters = 7;
	EXPECT_EQ(0, fake_wait(call_replace(&b), LONG_MS, NULL, NULL));
	fake_look(&seen);
	EXPECT_EQ(BPFILTER_NS_OWNED, seen.flags);
	id = call_info();
	EXPECT_EQ(0, command(self, BF_CMD_STOP, &reply));
	EXPECT_FALSE(reply.refused);
	EXPECT_EQ(1, reply.given);
	EXPECT_EQ(0, end(self));
	EXPECT_NE(1, fake_wait(id, 0, NULL, NULL));
	fake_look(&seen);
	EXPECT_EQ(1, seen.stopped);
	EXPECT_EQ(1, seen.closed);
	EXPECT_EQ(0, seen.flags);
	blob_free(&b);
}

TEST_HARNESS_MAIN
