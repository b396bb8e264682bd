// SPDX-License-Identifier: GPL-2.0
/*
 * Who may administer a network namespace: bf_caps_net_admin() against the kernel, which is asked by
 * the task itself with the socket option in question.
 *
 * Worlds are user namespaces with a network namespace each; people are tasks in one of them, with
 * or without the capability, under some uid. Everybody is asked about every world.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/capability.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "caps.h"
#include "kselftest_harness.h"

#define ALICE 1000
#define BOB   1001

enum world { INIT, ROOTS, ALICES, NESTED, WORLDS };

/**
 * struct person - a task
 * @world: whose user namespace it enters, from the one we are in
 * @uid: that it has there, if not 0
 * @drop: gives up CAP_NET_ADMIN at the end
 * @keep: keeps its capabilities when it changes its uid
 */
struct person {
	const char *name;
	enum world world;
	uid_t uid;
	bool drop;
	bool keep;
};

static const struct person people[] = {
	{"root", INIT, 0, false, false},
	{"root without the capability", INIT, 0, true, false},
	{"alice", INIT, ALICE, false, false},
	{"alice with root's capabilities", INIT, ALICE, false, true},
	{"bob", INIT, BOB, false, false},
	{"root of root's world", ROOTS, 0, false, false},
	{"root of root's world, without", ROOTS, 0, true, false},
	{"root of alice's world", ALICES, 0, false, false},
	{"root of alice's world, without", ALICES, 0, true, false},
	{"root of the nested world", NESTED, 0, false, false},
	{"root of the nested world, without", NESTED, 0, true, false},
};

/* What the kernel said, by person and world: 1 allowed, 0 refused. */
static char (*kernel_says)[WORLDS];

FIXTURE(caps)
{
	pid_t keeper[WORLDS];
	int life[WORLDS];
	int sk[WORLDS];
	int netns[WORLDS];
	int userns[WORLDS];
};

static int open_ns(pid_t pid, const char *name)
{
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/ns/%s", pid, name);
	return open(path, O_RDONLY | O_CLOEXEC);
}

static void map_ids(pid_t pid, uid_t uid)
{
	static const char *const files[] = {"uid_map", "gid_map"};
	char path[64];
	int i, fd;

	for (i = 0; i < 2; i++) {
		snprintf(path, sizeof(path), "/proc/%d/%s", pid, files[i]);
		fd = open(path, O_WRONLY);
		dprintf(fd, "0 %u 1\n", uid);
		close(fd);
	}
}

/*
 * A process that keeps a world: it makes new namespaces as @uid, below @parent if that is not -1.
 * Returns when the world is there, with its socket in *@sk. It ends when *@life is closed, by
 * whatever end this process comes to.
 */
static pid_t keep_world(enum world world, int parent, uid_t uid, int *sk, int *life)
{
	int pair[2];
	char byte;
	pid_t pid;

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair))
		return -1;
	pid = fork();
	if (pid == 0) {
		bool ok = !uid || (syscall(SYS_setresgid, uid, uid, uid) == 0 &&
				   syscall(SYS_setresuid, uid, uid, uid) == 0);

		close(pair[0]);
		if (parent >= 0 && setns(parent, CLONE_NEWUSER))
			ok = false;
		if (ok && unshare((world == INIT ? 0 : CLONE_NEWUSER) | CLONE_NEWNET))
			ok = false;
		prctl(PR_SET_DUMPABLE, 1);
		dup2(socket(AF_INET, SOCK_DGRAM, 0), 100);
		write(pair[1], ok ? "y" : "n", 1);
		read(pair[1], &byte, 1);
		_exit(0);
	}
	*life = pair[0];
	close(pair[1]);
	if (read(pair[0], &byte, 1) != 1 || byte != 'y') {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
		pid = -1;
		close(pair[0]);
	} else {
		int pidfd = syscall(SYS_pidfd_open, pid, 0);

		*sk = syscall(SYS_pidfd_getfd, pidfd, 100, 0);
		close(pidfd);
	}
	return pid;
}

FIXTURE_SETUP(caps)
{
	enum world w;

	if (geteuid() != 0)
		SKIP(return, "needs root");
	kernel_says = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	self->keeper[INIT] = keep_world(INIT, -1, 0, &self->sk[INIT], &self->life[INIT]);
	self->keeper[ROOTS] = keep_world(ROOTS, -1, 0, &self->sk[ROOTS], &self->life[ROOTS]);
	self->keeper[ALICES] =
		keep_world(ALICES, -1, ALICE, &self->sk[ALICES], &self->life[ALICES]);
	if (self->keeper[INIT] < 0 || self->keeper[ROOTS] < 0 || self->keeper[ALICES] < 0)
		SKIP(return, "user namespaces are not to be had");
	map_ids(self->keeper[ROOTS], 0);
	map_ids(self->keeper[ALICES], ALICE);
	self->userns[ALICES] = open_ns(self->keeper[ALICES], "user");
	self->keeper[NESTED] = keep_world(NESTED, self->userns[ALICES], ALICE, &self->sk[NESTED],
					  &self->life[NESTED]);
	ASSERT_LT(0, self->keeper[NESTED]);
	for (w = 0; w < WORLDS; w++) {
		self->userns[w] = open_ns(self->keeper[w], "user");
		self->netns[w] = open_ns(self->keeper[w], "net");
		ASSERT_LE(0, self->sk[w]);
		ASSERT_LE(0, self->netns[w]);
	}
}

FIXTURE_TEARDOWN(caps)
{
	enum world w;

	for (w = 0; w < WORLDS; w++) {
		if (self->keeper[w] <= 0)
			continue;
		close(self->life[w]);
		kill(self->keeper[w], SIGKILL);
		waitpid(self->keeper[w], NULL, 0);
	}
}

static void drop_net_admin(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	syscall(SYS_capget, &head, data);
	data[0].effective &= ~(1U << CAP_NET_ADMIN);
	syscall(SYS_capset, &head, data);
}

static void raise_all(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	syscall(SYS_capget, &head, data);
	data[0].effective = data[0].permitted;
	data[1].effective = data[1].permitted;
	syscall(SYS_capset, &head, data);
}

static bool kernel_allows(int sk)
{
	struct ipt_getinfo info = {.name = "filter"};
	socklen_t len = sizeof(info);

	return getsockopt(sk, 0, IPT_SO_GET_INFO, &info, &len) == 0 || errno != EPERM;
}

/* Becomes one of @people, and asks the kernel about all worlds. */
static void be(const struct person *p, const int *sk, const int *userns, char *says)
{
	enum world w;

	if (p->world != INIT && setns(userns[p->world], CLONE_NEWUSER))
		_exit(1);
	if (p->keep)
		prctl(PR_SET_KEEPCAPS, 1);
	if (p->uid && syscall(SYS_setresuid, p->uid, p->uid, p->uid))
		_exit(1);
	if (p->keep)
		raise_all();
	if (p->drop)
		drop_net_admin();
	for (w = 0; w < WORLDS; w++)
		says[w] = kernel_allows(sk[w]);
}

TEST_F(caps, as_the_kernel_says)
{
	int allowed = 0, refused = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(people); i++) {
		int pair[2], task;
		char byte, path[32];
		enum world w;
		pid_t pid;

		ASSERT_EQ(0, socketpair(AF_UNIX, SOCK_STREAM, 0, pair));
		pid = fork();
		if (pid == 0) {
			close(pair[0]);
			be(&people[i], self->sk, self->userns, kernel_says[i]);
			write(pair[1], "", 1);
			read(pair[1], &byte, 1);
			_exit(0);
		}
		close(pair[1]);
		ASSERT_EQ(1, read(pair[0], &byte, 1)) TH_LOG("%s", people[i].name);
		snprintf(path, sizeof(path), "/proc/%d", pid);
		task = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		for (w = 0; w < WORLDS; w++) {
			int ret = bf_caps_net_admin(task, self->netns[w]);

			EXPECT_EQ(kernel_says[i][w] ? 0 : -EPERM, ret)
			TH_LOG("%s, world %d", people[i].name, w);
			allowed += ret == 0;
			refused += ret == -EPERM;
		}
		close(pair[0]);
		waitpid(pid, NULL, 0);
		/* It is gone: no answer is made up from who has its number now. */
		EXPECT_GT(0, bf_caps_net_admin(task, self->netns[INIT]));
		close(task);
	}
	/* Both happen, or nothing has been tested. */
	EXPECT_LT(10, allowed);
	EXPECT_LT(10, refused);
}

TEST(of_ourselves)
{
	int self_dir = open("/proc/thread-self", O_RDONLY | O_DIRECTORY);
	const char *missing = NULL;
	struct bf_task_cred cred;

	ASSERT_EQ(0, bf_task_cred(self_dir, &cred));
	EXPECT_EQ(geteuid(), cred.euid);
	EXPECT_EQ(getpid(), cred.tgid);
	if (geteuid() != 0)
		SKIP(return, "needs root");
	EXPECT_TRUE(bf_caps_have(&missing)) TH_LOG("%s", missing);
	drop_net_admin();
	EXPECT_FALSE(bf_caps_have(&missing));
	EXPECT_STREQ("CAP_NET_ADMIN", missing);
}

/* A process may call itself what it likes. */
TEST(a_name_that_looks_like_more)
{
	int self_dir = open("/proc/thread-self", O_RDONLY | O_DIRECTORY);
	struct bf_task_cred cred;

	prctl(PR_SET_NAME, "x\nUid:\t7 7 7");
	ASSERT_EQ(0, bf_task_cred(self_dir, &cred));
	EXPECT_EQ(geteuid(), cred.euid);
}

TEST_HARNESS_MAIN
