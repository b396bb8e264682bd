// SPDX-License-Identifier: GPL-2.0
/*
 * Who may call, with the module: those who may administer the network namespace of the socket. Others are
 * refused before anything reaches the helper, which this program is.
 */
#include <linux/capability.h>
#include <sys/prctl.h>
#include <sys/syscall.h>

#include "device/fixture.h"

enum person { NOBODY, WEAK_ROOT, FOREIGN_ROOT, STRONG_USER };

static void write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		exit(1);
	close(fd);
}

/* Root of a new user namespace. */
static void new_user_namespace(int flags)
{
	if (unshare(CLONE_NEWUSER | flags))
		exit(1);
	write_file("/proc/self/setgroups", "deny");
	write_file("/proc/self/uid_map", "0 0 1");
	write_file("/proc/self/gid_map", "0 0 1");
}

static void drop_net_admin(void)
{
	struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];

	syscall(SYS_capget, &head, data);
	data[0].effective &= ~(1U << CAP_NET_ADMIN);
	if (syscall(SYS_capset, &head, data))
		exit(1);
}

static void become(enum person who)
{
	switch (who) {
	case NOBODY:
		if (setresgid(65534, 65534, 65534) || setresuid(65534, 65534, 65534))
			exit(1);
		break;
	case WEAK_ROOT:
		drop_net_admin();
		break;
	case FOREIGN_ROOT:
		new_user_namespace(0);
		break;
	case STRONG_USER:
		prctl(PR_SET_KEEPCAPS, 1);
		if (setresuid(65534, 65534, 65534))
			exit(1);
		break;
	}
}

/* All of the calls on the socket by that person: those that did not end with @error, as bits; -1 for a failure. */
static int calls_that_differ(int device, int sk, enum person who, int error)
{
	struct call_end end;
	int kind, status, bits = 0;
	pid_t pid = fork();

	if (!pid) {
		close(device);
		become(who);
		for (kind = 0; kind < ALL_CALLS; kind++)
			bits |= (call_make(sk, kind, &end) != error) << kind;
		_exit(bits);
	}
	if (waitpid(pid, &status, 0) != pid || !WIFEXITED(status))
		return -1;
	return WEXITSTATUS(status);
}

/* With a socket that root has made and passed on. */
static void expect_refused(struct __test_metadata *_metadata, struct _test_data_device *self,
			   enum person who)
{
	int sk = socket(AF_INET, SOCK_RAW, IPPROTO_RAW), size = -1;

	EXPECT_EQ(0, calls_that_differ(self->fd, sk, who, EPERM));
	EXPECT_FALSE(readable(self->fd, 0));
	EXPECT_EQ(0, ioctl(self->fd, FIONREAD, &size));
	EXPECT_EQ(0, size);
	EXPECT_EQ(0, module_get("requests"));
	close(sk);
}

TEST_F(device, a_user_is_refused)
{
	ASSERT_EQ(0, device_ready(self->fd, BPFILTER_VERSION));
	expect_refused(_metadata, self, NOBODY);
	ASSERT_EQ(0, set_flags(self->fd, self->netns, BPFILTER_NS_OWNED));
	expect_refused(_metadata, self, NOBODY);
}

TEST_F(device, root_without_the_capability_is_refused)
{
	ASSERT_EQ(0, device_ready(self->fd, BPFILTER_VERSION));
	expect_refused(_metadata, self, WEAK_ROOT);
	ASSERT_EQ(0, set_flags(self->fd, self->netns, BPFILTER_NS_OWNED));
	expect_refused(_metadata, self, WEAK_ROOT);
}

TEST_F(device, root_of_another_user_namespace_is_refused)
{
	ASSERT_EQ(0, device_ready(self->fd, BPFILTER_VERSION));
	expect_refused(_metadata, self, FOREIGN_ROOT);
	ASSERT_EQ(0, set_flags(self->fd, self->netns, BPFILTER_NS_OWNED));
	expect_refused(_metadata, self, FOREIGN_ROOT);
}

/* It is the capability that counts, and nothing else. */
TEST_F(device, a_user_with_the_capability_may)
{
	struct request r;
	int sk = socket(AF_INET, SOCK_RAW, IPPROTO_RAW), status;
	struct call_end end;
	pid_t pid;

	ASSERT_EQ(0, begin(self));
	pid = fork();
	if (!pid) {
		struct __user_cap_header_struct head = {.version = _LINUX_CAPABILITY_VERSION_3};
		struct __user_cap_data_struct data[2];

		close(self->fd);
		become(STRONG_USER);
		syscall(SYS_capget, &head, data);
		data[0].effective = data[0].permitted;
		syscall(SYS_capset, &head, data);
		_exit(call_make(sk, CALL_INFO, &end));
	}
	ASSERT_LT(0, take(self->fd, &r));
	EXPECT_EQ(0, answer(self->fd, r.head.id, -EXDEV, NULL, 0));
	waitpid(pid, &status, 0);
	EXPECT_EQ(EXDEV, WEXITSTATUS(status));
	close(sk);
}

/* In its own network namespace it is root, and there only. */
TEST_F(device, root_of_a_user_namespace_has_its_own)
{
	struct call_end end;
	struct stat theirs, st;
	struct request r;
	int outer = socket(AF_INET, SOCK_RAW, IPPROTO_RAW), fds[2], status, fd;
	char path[64], byte;
	uint64_t id;
	pid_t pid;

	ASSERT_EQ(0, begin(self));
	ASSERT_EQ(0, pipe(fds));
	pid = fork();
	if (!pid) {
		close(self->fd);
		new_user_namespace(CLONE_NEWNET);
		if (call_make(outer, CALL_REPLACE, &end) != EPERM ||
		    call_make(socket(AF_INET, SOCK_RAW, IPPROTO_RAW), CALL_INFO, &end))
			_exit(1);
		if (write(fds[1], "y", 1) != 1)
			_exit(1);
		_exit(call_make(socket(AF_INET, SOCK_RAW, IPPROTO_RAW), CALL_REPLACE, &end));
	}
	close(fds[1]);
	ASSERT_EQ(1, read(fds[0], &byte, 1)) TH_LOG("refused, or not, before");
	ASSERT_LT(0, take(self->fd, &r));
	EXPECT_EQ(IPT_SO_SET_REPLACE, (int)r.head.op);
	snprintf(path, sizeof(path), "/proc/%d/ns/net", pid);
	ASSERT_EQ(0, stat(path, &theirs));
	id = r.head.id;
	fd = ioctl(self->fd, BPFILTER_IOC_NETNS, &id);
	ASSERT_EQ(0, fstat(fd, &st));
	EXPECT_EQ(theirs.st_ino, st.st_ino);
	close(fd);
	EXPECT_EQ(0, answer(self->fd, r.head.id, -EXDEV, NULL, 0));
	waitpid(pid, &status, 0);
	EXPECT_EQ(EXDEV, WEXITSTATUS(status));
	close(outer);
}

TEST_HARNESS_MAIN
