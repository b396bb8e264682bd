// SPDX-License-Identifier: GPL-2.0
/*
 * Finding network namespaces, and telling whether one is in use. Each test is a process in a mount
 * namespace of its own.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "netns_find.h"
#include "testnet.h"
#include "kselftest_harness.h"

/* Not SKIP() in the fixture: not every version of the harness then leaves out the test. */
__attribute__((constructor)) static void needs(void)
{
	testnet_or_skip();
}

struct finding {
	ino_t wanted;
	unsigned int times, total;
	char name[128];
	bool fd_ok;
};

static int found(void *arg, ino_t inode, int fd, const char *name)
{
	struct finding *f = arg;
	struct stat st;

	f->total++;
	if (inode != f->wanted)
		return 0;
	f->times++;
	snprintf(f->name, sizeof(f->name), "%s", name);
	f->fd_ok = !fstat(fd, &st) && st.st_ino == inode;
	return 0;
}

static struct finding find(ino_t inode)
{
	struct finding f = {.wanted = inode};

	if (bf_netns_find(found, &f))
		f.total = 0;
	return f;
}

static ino_t own_inode(void)
{
	struct stat st;

	return stat("/proc/thread-self/ns/net", &st) ? 0 : st.st_ino;
}

FIXTURE(ns)
{
	int old, fd; /* where we came from; a namespace that nobody else knows */
	ino_t inode; /* of it */
	char dir[64];
};

FIXTURE_SETUP(ns)
{
	ASSERT_EQ(0, unshare(CLONE_NEWNS));
	ASSERT_EQ(0, mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL));
	snprintf(self->dir, sizeof(self->dir), "/tmp/bf_netns.XXXXXX");
	ASSERT_NE(NULL, mkdtemp(self->dir));
	self->old = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	self->fd = testnet_new();
	ASSERT_LE(0, self->fd);
	self->inode = testnet_inode(self->fd);
	ASSERT_EQ(0, testnet_enter(self->old));
}

FIXTURE_TEARDOWN(ns)
{
	umount2(self->dir, MNT_DETACH);
	rmdir(self->dir);
}

TEST_F(ns, own_is_found_once)
{
	struct finding f = find(own_inode());

	EXPECT_EQ(1u, f.times);
	EXPECT_TRUE(f.fd_ok);
	EXPECT_LE(1u, f.total);
}

static int stop(void *arg, ino_t inode, int fd, const char *name)
{
	return ++*(int *)arg == 1 ? 42 : 43;
}

TEST_F(ns, search_can_be_ended)
{
	int n = 0;

	EXPECT_EQ(42, bf_netns_find(stop, &n));
	EXPECT_EQ(1, n);
}

/* What only this process has is not in use. */
TEST_F(ns, own_descriptor)
{
	EXPECT_EQ(0u, find(self->inode).times);
	EXPECT_FALSE(bf_netns_in_use(self->inode));
}

/* A child that does something in the namespace and stays. */
static pid_t child(struct __test_metadata *_metadata, int net, void (*fn)(int net))
{
	int p[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(p));
	pid = fork();
	if (!pid) {
		fn(net);
		if (write(p[1], ".", 1) == 1)
			pause();
		_exit(1);
	}
	close(p[1]);
	ASSERT_EQ(1, read(p[0], &c, 1));
	close(p[0]);
	return pid;
}

static void gone(struct __test_metadata *_metadata, pid_t pid)
{
	int status;

	kill(pid, SIGKILL);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
}

static void enter(int net)
{
	testnet_enter(net);
	close(net);
}

TEST_F(ns, process)
{
	pid_t pid = child(_metadata, self->fd, enter);
	struct finding f = find(self->inode);
	char name[32];

	EXPECT_EQ(1u, f.times);
	EXPECT_TRUE(f.fd_ok);
	snprintf(name, sizeof(name), "pid %d (", pid);
	EXPECT_EQ(0, strncmp(name, f.name, strlen(name)));
	EXPECT_TRUE(bf_netns_in_use(self->inode));
	gone(_metadata, pid);
	EXPECT_EQ(0u, find(self->inode).times);
	EXPECT_FALSE(bf_netns_in_use(self->inode));
}

static void *enter_and_stay(void *arg)
{
	testnet_enter(*(int *)arg);
	pause();
	return NULL;
}

static void thread(int net)
{
	static int in;
	pthread_t t;

	in = net;
	pthread_create(&t, NULL, enter_and_stay, &in);
	usleep(200000);
	close(net);
}

TEST_F(ns, thread_of_another)
{
	pid_t pid = child(_metadata, self->fd, thread);

	EXPECT_EQ(1u, find(self->inode).times);
	EXPECT_TRUE(bf_netns_in_use(self->inode));
	gone(_metadata, pid);
	EXPECT_FALSE(bf_netns_in_use(self->inode));
}

/* Our workers are in the namespaces that they serve: that keeps none alive. */
TEST_F(ns, own_thread)
{
	pthread_t t;

	ASSERT_EQ(0, pthread_create(&t, NULL, enter_and_stay, &self->fd));
	usleep(200000);
	EXPECT_FALSE(bf_netns_in_use(self->inode));
	EXPECT_EQ(0u, find(self->inode).times);
}

static void keep_descriptor(int net)
{
}

TEST_F(ns, descriptor_of_another)
{
	pid_t pid = child(_metadata, self->fd, keep_descriptor);

	EXPECT_TRUE(bf_netns_in_use(self->inode));
	gone(_metadata, pid);
	EXPECT_FALSE(bf_netns_in_use(self->inode));
}

/* Enter, open something, go back: what is left is a socket, as some VPN daemons have. */
static void leave_behind(int net, int (*fn)(void))
{
	int old = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);

	testnet_enter(net);
	fn();
	testnet_enter(old);
	close(old);
	close(net);
}

static int open_udp(void)
{
	return socket(AF_INET, SOCK_DGRAM, 0);
}

static void keep_socket(int net)
{
	leave_behind(net, open_udp);
}

TEST_F(ns, socket_of_another)
{
	pid_t pid = child(_metadata, self->fd, keep_socket);

	EXPECT_TRUE(bf_netns_in_use(self->inode));
	gone(_metadata, pid);
	EXPECT_FALSE(bf_netns_in_use(self->inode));
}

static int open_tun(void)
{
	return open("/dev/net/tun", O_RDWR);
}

static void keep_tun(int net)
{
	leave_behind(net, open_tun);
}

TEST_F(ns, tun_of_another)
{
	pid_t pid;

	if (access("/dev/net/tun", R_OK | W_OK))
		SKIP(return, "no /dev/net/tun");
	pid = child(_metadata, self->fd, keep_tun);
	EXPECT_TRUE(bf_netns_in_use(self->inode));
	gone(_metadata, pid);
	EXPECT_FALSE(bf_netns_in_use(self->inode));
}

static int mount_at(const char *dir, int fd, const char *name, char *path, size_t size)
{
	char from[64];

	snprintf(path, size, "%s/%s", dir, name);
	close(open(path, O_CREAT | O_RDONLY | O_CLOEXEC, 0444));
	snprintf(from, sizeof(from), "/proc/self/fd/%d", fd);
	return mount(from, path, NULL, MS_BIND, NULL);
}

/* A mount that is seen only in a mount namespace other than init's, with a difficult name. */
TEST_F(ns, mounted)
{
	char path[256];
	struct finding f;

	ASSERT_EQ(0, mount("tmpfs", self->dir, "tmpfs", 0, NULL));
	ASSERT_EQ(0, mount_at(self->dir, self->fd, "a b\\\tc", path, sizeof(path)));
	f = find(self->inode);
	EXPECT_EQ(1u, f.times);
	EXPECT_TRUE(f.fd_ok);
	EXPECT_STREQ(path, f.name);
	EXPECT_TRUE(bf_netns_in_use(self->inode));
	ASSERT_EQ(0, umount(path));
	EXPECT_EQ(0u, find(self->inode).times);
	EXPECT_FALSE(bf_netns_in_use(self->inode));
}

/* As "ip netns add" does it; the mount's name wins over that of a process. */
TEST_F(ns, named)
{
	struct finding f;
	char path[256];
	pid_t pid;

	if (mkdir("/run/netns", 0755) && errno != EEXIST)
		SKIP(return, "no /run/netns");
	ASSERT_EQ(0, mount("tmpfs", "/run/netns", "tmpfs", 0, NULL));
	ASSERT_EQ(0, mount_at("/run/netns", self->fd, "blue", path, sizeof(path)));
	pid = child(_metadata, self->fd, enter);
	f = find(self->inode);
	EXPECT_EQ(1u, f.times);
	EXPECT_STREQ("blue", f.name);
	gone(_metadata, pid);
	EXPECT_TRUE(bf_netns_in_use(self->inode));
	ASSERT_EQ(0, umount2("/run/netns", MNT_DETACH));
	EXPECT_FALSE(bf_netns_in_use(self->inode));
}

/* Two mounts on one file: only the upper one can be opened, and it is not the other one. */
TEST_F(ns, covered_mount)
{
	int second = testnet_new();
	char path[256];

	ASSERT_LE(0, second);
	ASSERT_EQ(0, testnet_enter(self->old));
	ASSERT_EQ(0, mount("tmpfs", self->dir, "tmpfs", 0, NULL));
	ASSERT_EQ(0, mount_at(self->dir, self->fd, "x", path, sizeof(path)));
	ASSERT_EQ(0, mount_at(self->dir, second, "x", path, sizeof(path)));
	EXPECT_EQ(0u, find(self->inode).times);
	EXPECT_EQ(1u, find(testnet_inode(second)).times);
	EXPECT_TRUE(bf_netns_in_use(self->inode));
}

#define CROWD 500

/* How long an answer takes. */
TEST_F(ns, cost)
{
	double yes[20], no[20], all[20], t;
	pid_t pids[CROWD];
	int i, p[2];

	/* All of a crowd in our namespace; each with a few sockets, as daemons have. */
	ASSERT_EQ(0, pipe(p));
	for (i = 0; i < CROWD; i++) {
		pids[i] = fork();
		if (!pids[i]) {
			close(self->fd);
			close(p[1]);
			open_udp();
			open_udp();
			/* until the parent has gone */
			if (read(p[0], &t, 1) >= 0)
				_exit(0);
		}
	}
	usleep(500000);
	for (i = 0; i < 20; i++) {
		t = now_us();
		EXPECT_TRUE(bf_netns_in_use(own_inode()));
		yes[i] = now_us() - t;
		t = now_us();
		EXPECT_FALSE(bf_netns_in_use(self->inode));
		no[i] = now_us() - t;
		t = now_us();
		EXPECT_EQ(0u, find(self->inode).times);
		all[i] = now_us() - t;
	}
	print_percentiles("in use, by the first process", yes, 20);
	print_percentiles("not in use, 500 processes", no, 20);
	print_percentiles("finding all, 500 processes", all, 20);
	for (i = 0; i < CROWD; i++)
		gone(_metadata, pids[i]);
}

TEST_HARNESS_MAIN
