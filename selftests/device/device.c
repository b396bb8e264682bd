// SPDX-License-Identifier: GPL-2.0
/*
 * /dev/bpfilter, as a helper might treat it that is slow, mute, confused, or dying: whatever it does,
 * every call ends exactly once, in time, and with what it was answered. To be run by root where the
 * module is loaded and no helper has the device open.
 */
#include <linux/capability.h>
#include <linux/userfaultfd.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#include "fixture.h"

/* --- what arrives --------------------------------------------------------------------------- */

TEST_F(device, calls_arrive_as_they_were_made)
{
	static const uint32_t op[] = {IPT_SO_SET_REPLACE, IPT_SO_SET_ADD_COUNTERS,
				      IPT_SO_GET_INFO | BPFILTER_GET,
				      IPT_SO_GET_ENTRIES | BPFILTER_GET};
	char blob[MAX_REPLACE];
	struct rules empty = {.nr = 0};
	struct request r;
	struct call c;
	int kind;

	ASSERT_EQ(0, begin(self));
	for (kind = 0; kind < FILTER_CALLS; kind++) {
		c = call_start(kind, self->fd);
		ASSERT_LT(0, take(self->fd, &r));
		EXPECT_EQ(1, module_get("requests"));
		EXPECT_EQ(op[kind], r.head.op);
		EXPECT_EQ(BPFILTER_VERSION, r.head.version);
		EXPECT_EQ(c.pid, (pid_t)r.head.pid);
		EXPECT_STREQ("filter", r.payload);
		EXPECT_LE(r.head.len, (uint32_t)r.head.optlen);
		if (kind == CALL_REPLACE) {
			EXPECT_EQ(rules_write(&empty, blob), r.head.len);
			/* Behind the pointer to the counters. */
			EXPECT_EQ(0, memcmp(blob + sizeof(struct ipt_replace),
					    r.payload + sizeof(struct ipt_replace),
					    r.head.len - sizeof(struct ipt_replace)));
		}
		EXPECT_EQ(0, answer(self->fd, r.head.id, -EXDEV, NULL, 0));
		EXPECT_EQ(EXDEV, call_finish(&c, SLOWLY).error);
		EXPECT_EQ(0, requests_left());
	}
}

TEST_F(device, other_tables_never_arrive)
{
	struct call c;
	int kind;

	ASSERT_EQ(0, begin(self));
	for (kind = FILTER_CALLS; kind < ALL_CALLS; kind++) {
		c = call_start(kind, self->fd);
		EXPECT_EQ(0, call_finish(&c, 10000).error);
		EXPECT_FALSE(readable(self->fd, 0));
	}
}

TEST_F(device, what_ip_tables_has_is_read_there)
{
	/* The first one to look makes it. */
	static const enum call_kind kinds[] = {CALL_INFO, CALL_COUNTERS, CALL_ENTRIES, CALL_NAT,
					       CALL_REVISION};
	struct call c;
	size_t i;

	ASSERT_EQ(0, device_ready(self->fd, BPFILTER_VERSION));
	for (i = 0; i < sizeof(kinds) / sizeof(kinds[0]); i++) {
		c = call_start(kinds[i], self->fd);
		EXPECT_EQ(0, call_finish(&c, 10000).error) TH_LOG("call %d", kinds[i]);
		EXPECT_FALSE(readable(self->fd, 0));
	}
	c = call_start(CALL_REPLACE, self->fd);
	EXPECT_TRUE(readable(self->fd, SLOWLY));
	call_kill(&c);
}

TEST_F(device, the_helper_reaches_ip_tables)
{
	struct call_end end;
	int kind, sk = socket(AF_INET, SOCK_RAW, IPPROTO_RAW);

	ASSERT_EQ(0, begin(self));
	for (kind = ALL_CALLS - 1; kind >= 0; kind--)
		EXPECT_EQ(0, call_make(sk, kind, &end));
	EXPECT_FALSE(readable(self->fd, 0));
	close(sk);
}

TEST_F(device, nothing_arrives_before_it_is_ready)
{
	struct request r;
	struct call c;
	int size = -1;

	ASSERT_EQ(0, set_flags(self->fd, self->netns, BPFILTER_NS_OWNED));
	c = call_start(CALL_REPLACE, self->fd);
	EXPECT_FALSE(readable(self->fd, SOON));
	EXPECT_EQ(-1, read(self->fd, &r, sizeof(r)));
	EXPECT_EQ(EAGAIN, errno);
	EXPECT_EQ(0, ioctl(self->fd, FIONREAD, &size));
	EXPECT_EQ(0, size);
	EXPECT_EQ(-EPROTO, device_ready(self->fd, BPFILTER_VERSION + 1));
	EXPECT_FALSE(readable(self->fd, 0));
	EXPECT_EQ(0, device_ready(self->fd, BPFILTER_VERSION));
	EXPECT_LT(0, take(self->fd, &r));
	EXPECT_EQ(0, answer(self->fd, r.head.id, 0, NULL, 0));
	EXPECT_EQ(0, call_finish(&c, SLOWLY).error);
}

TEST_F(device, a_request_that_does_not_fit_stays_the_next)
{
	struct request r;
	struct call c;
	int size = 0;

	ASSERT_EQ(0, begin(self));
	EXPECT_EQ(0, ioctl(self->fd, FIONREAD, &size));
	EXPECT_EQ(0, size);
	c = call_start(CALL_REPLACE, self->fd);
	ASSERT_TRUE(readable(self->fd, SLOWLY));
	EXPECT_EQ(0, ioctl(self->fd, FIONREAD, &size));
	EXPECT_EQ(-1, read(self->fd, &r, size - 1));
	EXPECT_EQ(EMSGSIZE, errno);
	EXPECT_EQ(-1, read(self->fd, &r, 0));
	EXPECT_EQ(-1, read(self->fd, nowhere, sizeof(r)));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(size, take(self->fd, &r));
	EXPECT_EQ(size, (int)(sizeof(r.head) + r.head.len));
	EXPECT_FALSE(readable(self->fd, 0));
	EXPECT_EQ(0, answer(self->fd, r.head.id, 0, NULL, 0));
	EXPECT_EQ(0, call_finish(&c, SLOWLY).error);
}

TEST_F(device, the_namespace_is_that_of_the_socket)
{
	uint64_t id = 12345;
	struct stat ours, st;
	struct request r;
	struct call c;
	int fd;

	ASSERT_EQ(0, begin(self));
	EXPECT_EQ(-1, ioctl(self->fd, BPFILTER_IOC_NETNS, &id));
	EXPECT_EQ(ENOENT, errno);
	c = call_start(CALL_INFO, self->fd);
	ASSERT_LT(0, take(self->fd, &r));
	id = r.head.id;
	fd = ioctl(self->fd, BPFILTER_IOC_NETNS, &id);
	ASSERT_LE(0, fd);
	ASSERT_EQ(0, fstat(fd, &st) | fstat(self->netns, &ours));
	EXPECT_EQ(ours.st_ino, st.st_ino);
	EXPECT_EQ(ours.st_dev, st.st_dev);
	close(fd);
	call_kill(&c);
}

/* --- answers ---------------------------------------------------------------------------------- */

TEST_F(device, an_answer_reaches_its_caller)
{
	struct call_end end;
	struct request r;
	char data[84];
	struct call c;

	ASSERT_EQ(0, begin(self));
	c = call_start(CALL_INFO, self->fd);
	ASSERT_LT(0, take(self->fd, &r));
	memset(data, 0x5a, sizeof(data));
	EXPECT_EQ(-EINVAL, answer(self->fd, r.head.id, 0, data, r.head.optlen + 1));
	EXPECT_FALSE(call_ended(&c, 50));
	EXPECT_EQ(0, answer(self->fd, r.head.id, 0, data, 40));
	end = call_finish(&c, SLOWLY);
	EXPECT_EQ(0, end.error);
	EXPECT_EQ(40, end.len);
	EXPECT_EQ(0, memcmp(data, end.data, 40));
	EXPECT_EQ(0, end.data[40]);
}

TEST_F(device, old_counters_reach_their_caller)
{
	struct xt_counters counters[END_ENTRIES + 1];
	struct call_end end;
	struct request r;
	struct call c;

	ASSERT_EQ(0, begin(self));
	c = call_start(CALL_REPLACE, self->fd);
	ASSERT_LT(0, take(self->fd, &r));
	memset(counters, 0x11, sizeof(counters));
	EXPECT_EQ(-EINVAL, answer(self->fd, r.head.id, 0, counters, sizeof(counters)));
	EXPECT_EQ(0, answer(self->fd, r.head.id, 0, counters, END_ENTRIES * sizeof(*counters)));
	end = call_finish(&c, SLOWLY);
	EXPECT_EQ(0, end.error);
	EXPECT_EQ(0, memcmp(counters, end.data, END_ENTRIES * sizeof(*counters)));
	EXPECT_EQ('\xaa', end.data[END_ENTRIES * sizeof(*counters)]);
}

TEST_F(device, wrong_answers_are_refused_and_the_call_waits_on)
{
	struct {
		struct bpfilter_reply head;
		char data[64];
	} reply;
	struct request r;
	struct call c;
	int len;

	ASSERT_EQ(0, begin(self));
	c = call_start(CALL_ENTRIES, self->fd);
	EXPECT_EQ(-ENOENT, answer(self->fd, 1, 0, NULL, 0)) TH_LOG("not read yet");
	ASSERT_LT(0, take(self->fd, &r));
	memset(&reply, 0, sizeof(reply));
	reply.head.id = r.head.id;
	for (len = 0; len < (int)sizeof(reply.head); len++)
		EXPECT_EQ(-1, write(self->fd, &reply, len));
	reply.head.len = 10;
	EXPECT_EQ(-1, write(self->fd, &reply, sizeof(reply.head)));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, write(self->fd, &reply, sizeof(reply.head) + 11));
	EXPECT_EQ(EINVAL, errno);
	reply.head.error = -1;
	EXPECT_EQ(-1, write(self->fd, &reply, sizeof(reply.head) + 10));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-EINVAL, answer(self->fd, r.head.id, 1, NULL, 0));
	EXPECT_EQ(-EINVAL, answer(self->fd, r.head.id, -4096, NULL, 0));
	EXPECT_EQ(-ENOENT, answer(self->fd, r.head.id + 1, 0, NULL, 0));
	EXPECT_EQ(-ENOENT, answer(self->fd, 0, 0, NULL, 0));
	EXPECT_EQ(-1, write(self->fd, nowhere, sizeof(reply)));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_FALSE(call_ended(&c, 50));
	EXPECT_EQ(0, answer(self->fd, r.head.id, -ELOOP, NULL, 0));
	EXPECT_EQ(ELOOP, call_finish(&c, SLOWLY).error);
}

TEST_F(device, an_answer_counts_once)
{
	struct request r;
	struct call c;

	ASSERT_EQ(0, begin(self));
	c = call_start(CALL_REPLACE, self->fd);
	ASSERT_LT(0, take(self->fd, &r));
	EXPECT_EQ(0, answer(self->fd, r.head.id, -ELOOP, NULL, 0));
	EXPECT_EQ(-ENOENT, answer(self->fd, r.head.id, 0, NULL, 0));
	EXPECT_EQ(ELOOP, call_finish(&c, SLOWLY).error);
}

TEST_F(device, answers_come_in_any_order)
{
	struct request r[16];
	struct call c[16];
	int i, j;

	ASSERT_EQ(0, begin(self));
	for (i = 0; i < 16; i++)
		c[i] = call_start(i % FILTER_CALLS, self->fd);
	for (i = 0; i < 16; i++)
		ASSERT_LT(0, take(self->fd, &r[i]));
	EXPECT_EQ(16, module_get("requests"));
	for (i = 15; i >= 0; i--)
		EXPECT_EQ(0, answer(self->fd, r[i].head.id, -(int)(100 + i), NULL, 0));
	for (i = 0; i < 16; i++) {
		for (j = 0; c[j].pid != (pid_t)r[i].head.pid; j++)
			ASSERT_LT(j, 15);
		EXPECT_EQ(100 + i, call_finish(&c[j], SLOWLY).error);
	}
}

/* --- who waits, and for how long ------------------------------------------------------------- */

TEST_F(device, a_helper_that_never_answers)
{
	struct call_end end;
	struct request r;
	struct call c[FILTER_CALLS];
	int i;

	ASSERT_EQ(0, begin(self));
	for (i = 0; i < FILTER_CALLS; i++)
		c[i] = call_start(i, self->fd);
	for (i = 0; i < FILTER_CALLS; i++)
		ASSERT_LT(0, take(self->fd, &r));
	for (i = 0; i < FILTER_CALLS; i++) {
		end = call_finish(&c[i], SECONDS * 1000 + SLOWLY);
		EXPECT_EQ(ETIMEDOUT, end.error);
		EXPECT_LE(SECONDS * 1000 - 50, end.ms);
		EXPECT_GE(SECONDS * 1000 + SLOWLY, end.ms);
	}
	EXPECT_EQ(0, requests_left());
	EXPECT_EQ(-ENOENT, answer(self->fd, r.head.id, 0, NULL, 0)) TH_LOG("too late");
}

TEST_F(device, a_helper_that_never_reads)
{
	struct call_end end;
	struct call c[FILTER_CALLS];
	struct request r;
	int i;

	ASSERT_EQ(0, begin(self));
	for (i = 0; i < FILTER_CALLS; i++)
		c[i] = call_start(i, self->fd);
	for (i = 0; i < FILTER_CALLS; i++) {
		end = call_finish(&c[i], SECONDS * 1000 + SLOWLY);
		EXPECT_TRUE(documented(end.error)) TH_LOG("%d", end.error);
		EXPECT_LE(SECONDS * 1000 - 50, end.ms);
		EXPECT_GE(SECONDS * 1000 + SLOWLY, end.ms);
	}
	EXPECT_EQ(0, requests_left());
	EXPECT_EQ(-1, read(self->fd, &r, sizeof(r))) TH_LOG("nothing is left to read");
	EXPECT_EQ(EAGAIN, errno);
}

TEST_F(device, a_caller_can_be_killed_at_once)
{
	struct call c[2 * FILTER_CALLS];
	struct request r[FILTER_CALLS];
	int i;

	ASSERT_EQ(0, begin(self));
	limit("60");
	for (i = 0; i < 2 * FILTER_CALLS; i++)
		c[i] = call_start(i % FILTER_CALLS, self->fd);
	for (i = 0; i < FILTER_CALLS; i++)
		ASSERT_LT(0, take(self->fd, &r[i]));
	for (i = 0; i < 5000 && module_get("requests") < 2 * FILTER_CALLS; i++)
		usleep(1000);
	EXPECT_EQ(2 * FILTER_CALLS, module_get("requests"));
	for (i = 0; i < 2 * FILTER_CALLS; i++)
		EXPECT_FALSE(call_ended(&c[i], 0));
	for (i = 0; i < 2 * FILTER_CALLS; i++)
		EXPECT_GT(1000, call_kill(&c[i]));
	EXPECT_EQ(0, requests_left());
	for (i = 0; i < FILTER_CALLS; i++)
		EXPECT_EQ(-ENOENT, answer(self->fd, r[i].head.id, 0, NULL, 0));
	EXPECT_FALSE(readable(self->fd, 0));
}

TEST_F(device, a_signal_that_does_not_kill_does_not_disturb)
{
	struct request r;
	struct call c;
	int i;

	ASSERT_EQ(0, begin(self));
	c = call_start(CALL_REPLACE, self->fd);
	ASSERT_LT(0, take(self->fd, &r));
	for (i = 0; i < 10; i++) {
		kill(c.pid, SIGUSR1);
		usleep(5000);
	}
	kill(c.pid, SIGSTOP);
	kill(c.pid, SIGCONT);
	EXPECT_FALSE(call_ended(&c, 50));
	EXPECT_EQ(0, answer(self->fd, r.head.id, 0, NULL, 0));
	EXPECT_EQ(0, call_finish(&c, SLOWLY).error);
}

/* --- the helper dies --------------------------------------------------------------------------- */

static int slow_helper(const char *seconds)
{
	FILE *f = fopen(SLOW_HELPER, "w");

	if (!f)
		return -errno;
	fprintf(f, "#!/bin/sh\nexec sleep %s\n", seconds);
	fclose(f);
	chmod(SLOW_HELPER, 0700);
	return module_set("helper", SLOW_HELPER);
}

TEST_F(device, the_next_helper_takes_over)
{
	struct call sent_set, sent_get, waiting_set;
	struct request r, again[2];
	int i;

	ASSERT_EQ(0, begin(self));
	limit("10");
	ASSERT_EQ(0, slow_helper("2"));
	sent_set = call_start(CALL_REPLACE, self->fd);
	ASSERT_LT(0, take(self->fd, &r));
	sent_get = call_start(CALL_INFO, self->fd);
	ASSERT_LT(0, take(self->fd, &r));
	waiting_set = call_start(CALL_COUNTERS, self->fd);
	ASSERT_TRUE(readable(self->fd, SLOWLY));
	close(self->fd);
	EXPECT_EQ(EAGAIN, call_finish(&sent_set, SLOWLY).error) TH_LOG("it may have been done");
	EXPECT_FALSE(call_ended(&sent_get, 100));
	EXPECT_FALSE(call_ended(&waiting_set, 0));
	ASSERT_EQ(0, reopen(self));
	for (i = 0; i < 2; i++) {
		ASSERT_LT(0, take(self->fd, &again[i]));
		EXPECT_EQ(0, answer(self->fd, again[i].head.id, 0, NULL, 0));
	}
	EXPECT_NE(again[0].head.op, again[1].head.op);
	EXPECT_EQ(0, call_finish(&sent_get, SLOWLY).error);
	EXPECT_EQ(0, call_finish(&waiting_set, SLOWLY).error);
	/* As long as it is there, the module is in use. */
	sleep(2);
}

TEST_F(device, there_is_no_next_helper)
{
	struct call_end end;
	struct request r;
	struct call c;

	ASSERT_EQ(0, begin(self));
	c = call_start(CALL_INFO, self->fd);
	ASSERT_LT(0, take(self->fd, &r));
	close(self->fd);
	end = call_finish(&c, SLOWLY);
	EXPECT_TRUE(documented(end.error)) TH_LOG("%d", end.error);
	/* So does every other: at once. */
	c = call_start(CALL_REPLACE, self->fd);
	end = call_finish(&c, SLOWLY);
	EXPECT_TRUE(documented(end.error)) TH_LOG("%d", end.error);
	ASSERT_EQ(0, reopen(self));
}

/* A page that nobody will ever fill: who touches it waits until killed. NULL: not possible here. */
static void *bottomless_page(void)
{
	struct uffdio_api api = {.api = UFFD_API};
	struct uffdio_register range = {.mode = UFFDIO_REGISTER_MODE_MISSING};
	int fd = syscall(SYS_userfaultfd, O_CLOEXEC);
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	range.range.start = (unsigned long)page;
	range.range.len = 4096;
	if (fd < 0 || page == MAP_FAILED || ioctl(fd, UFFDIO_API, &api) ||
	    ioctl(fd, UFFDIO_REGISTER, &range))
		return NULL;
	return page;
}

/* A helper that gets stuck in a read or, with @write, in the middle of a reply. */
static void stuck_helper(bool write, int ready)
{
	struct bpfilter_reply head = {.len = 40};
	struct iovec io[2] = {{&head, sizeof(head)}, {NULL, 40}};
	int fd = open(BPFILTER_DEVICE, O_RDWR | O_CLOEXEC);
	void *page = bottomless_page();
	struct request r;

	dprintf(ready, "%c", page && fd >= 0 ? 'y' : 'n');
	if (device_ready(fd, BPFILTER_VERSION))
		_exit(1);
	if (!write) {
		_exit(read(fd, page, 4096) > 0);
	} else if (take(fd, &r) > 0) {
		head.id = r.head.id;
		io[1].iov_base = page;
		_exit(writev(fd, io, 2) > 0);
	}
	_exit(1);
}

/* Start that, and @kind; kill it when it is stuck. -1 if it could not be made stuck. */
static int stuck_and_killed(struct _test_data_device *self, bool write, enum call_kind kind,
			    struct call *c)
{
	int fds[2], status = 0;
	char answer = 'n';
	pid_t pid;

	close(self->fd);
	if (pipe(fds))
		return -1;
	pid = fork();
	if (!pid)
		stuck_helper(write, fds[1]);
	if (read(fds[0], &answer, 1) != 1 || answer != 'y') {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		return -1;
	}
	*c = call_start(kind, fds[0]);
	usleep(SOON * 1000);
	if (waitpid(pid, &status, WNOHANG) == 0) {
		kill(pid, SIGKILL);
		waitpid(pid, &status, 0);
	}
	close(fds[0]);
	close(fds[1]);
	return WIFSIGNALED(status) ? 0 : -1;
}

TEST_F(device, killed_in_the_middle_of_a_reply)
{
	struct request r;
	struct call c;
	int err;

	ASSERT_EQ(0, begin(self));
	limit("10");
	ASSERT_EQ(0, slow_helper("1"));
	err = stuck_and_killed(self, true, CALL_REPLACE, &c);
	if (err) {
		ASSERT_EQ(0, reopen(self));
		SKIP(return, "no userfaultfd");
	}
	EXPECT_EQ(EAGAIN, call_finish(&c, SLOWLY).error);
	EXPECT_EQ(0, requests_left());
	ASSERT_EQ(0, stuck_and_killed(self, true, CALL_INFO, &c));
	EXPECT_FALSE(call_ended(&c, 50));
	ASSERT_EQ(0, reopen(self));
	ASSERT_LT(0, take(self->fd, &r));
	EXPECT_EQ(0, answer(self->fd, r.head.id, 0, NULL, 0));
	EXPECT_EQ(0, call_finish(&c, SLOWLY).error);
	sleep(1);
}

TEST_F(device, killed_in_the_middle_of_a_read)
{
	struct call_end end;
	struct request r;
	struct call c;
	int err, kind;

	ASSERT_EQ(0, begin(self));
	limit("10");
	for (kind = CALL_REPLACE; kind <= CALL_INFO; kind += CALL_INFO - CALL_REPLACE) {
		ASSERT_EQ(0, slow_helper("1"));
		err = stuck_and_killed(self, false, kind, &c);
		ASSERT_EQ(0, reopen(self));
		if (err)
			SKIP(return, "no userfaultfd");
		/* It was never taken; or, for a set, nobody can be sure. */
		if (kind == CALL_REPLACE && call_ended(&c, 100)) {
			end = call_finish(&c, 0);
			EXPECT_EQ(EAGAIN, end.error);
			continue;
		}
		ASSERT_LT(0, take(self->fd, &r));
		EXPECT_EQ(0, answer(self->fd, r.head.id, 0, NULL, 0));
		EXPECT_EQ(0, call_finish(&c, SLOWLY).error);
	}
	sleep(1);
}

/* --- who may open it, and what it holds -------------------------------------------------------- */

/* The errno of an open by another process. */
static int open_elsewhere(uid_t uid, bool weak)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	int status;
	pid_t pid = fork();

	if (!pid) {
		syscall(SYS_capget, &head, data);
		data[0].effective &= ~(1U << CAP_NET_ADMIN);
		if (weak)
			syscall(SYS_capset, &head, data);
		if (uid && setresuid(uid, uid, uid))
			_exit(255);
		_exit(open(BPFILTER_DEVICE, O_RDWR) < 0 ? errno : 0);
	}
	waitpid(pid, &status, 0);
	return WEXITSTATUS(status);
}

TEST_F(device, one_has_it_open_and_only_root_may)
{
	struct stat st;

	ASSERT_EQ(0, stat(BPFILTER_DEVICE, &st));
	EXPECT_EQ(0600, (int)(st.st_mode & 07777));
	EXPECT_EQ(EBUSY, open_elsewhere(0, false));
	EXPECT_EQ(-1, open(BPFILTER_DEVICE, O_RDONLY));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(EACCES, open_elsewhere(65534, false));
	close(self->fd);
	EXPECT_EQ(EACCES, open_elsewhere(65534, false));
	EXPECT_EQ(EPERM, open_elsewhere(0, true));
	EXPECT_EQ(0, open_elsewhere(0, false));
	ASSERT_EQ(0, reopen(self));
}

TEST_F(device, stop_when_nothing_is_owned)
{
	struct call c;

	ASSERT_EQ(0, begin(self));
	EXPECT_EQ(-1, ioctl(self->fd, BPFILTER_IOC_STOP));
	EXPECT_EQ(EBUSY, errno);
	ASSERT_EQ(0, set_flags(self->fd, self->netns, 0));
	ASSERT_EQ(0, ioctl(self->fd, BPFILTER_IOC_STOP));
	c = call_start(CALL_REPLACE, self->fd);
	EXPECT_EQ(0, call_finish(&c, SLOWLY).error);
	EXPECT_FALSE(readable(self->fd, 0));
	close(self->fd);
	ASSERT_EQ(0, reopen(self));
	c = call_start(CALL_REPLACE, self->fd);
	EXPECT_TRUE(readable(self->fd, SLOWLY));
	call_kill(&c);
}

TEST_F(device, the_state_of_a_namespace_ends_with_it)
{
	int fds[2], netns, tries;
	char path[64], byte;
	pid_t pid;

	ASSERT_EQ(0, device_ready(self->fd, BPFILTER_VERSION));
	ASSERT_EQ(0, pipe(fds));
	pid = fork();
	if (!pid) {
		close(self->fd);
		if (!unshare(CLONE_NEWNET))
			byte = write(fds[1], "y", 1);
		pause();
	}
	ASSERT_EQ(1, read(fds[0], &byte, 1));
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	netns = open(path, O_RDONLY | O_CLOEXEC);
	ASSERT_LE(0, netns);
	ASSERT_EQ(0, set_flags(self->fd, netns, BPFILTER_NS_OWNED | BPFILTER_NS_HOOK));
	EXPECT_EQ(-1, ioctl(self->fd, BPFILTER_IOC_STOP));
	close(netns);
	kill(pid, SIGKILL);
	waitpid(pid, NULL, 0);
	/* Namespaces are taken down by a worker of the kernel. */
	for (tries = 0; tries < 500 && ioctl(self->fd, BPFILTER_IOC_STOP); tries++)
		usleep(10000);
	EXPECT_GT(500, tries);
}

TEST_HARNESS_MAIN
