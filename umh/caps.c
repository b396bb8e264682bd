// SPDX-License-Identifier: GPL-2.0
/* ns_capable(net->user_ns, CAP_NET_ADMIN), from outside the task. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/capability.h>
#include <linux/nsfs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "caps.h"

/* User namespaces nest at most 32 deep (kernel/user_namespace.c). */
#define MAX_USERNS_DEPTH 33

/* A whole small file of /proc; 0 or -errno. */
static int read_proc(int dir, const char *name, char *buf, size_t size)
{
	size_t len = 0;
	ssize_t n;
	int fd;

	fd = openat(dir, name, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	do {
		n = read(fd, buf + len, size - 1 - len);
		if (n > 0)
			len += n;
	} while (n > 0 || (n < 0 && errno == EINTR));
	if (n < 0)
		n = -errno;
	close(fd);
	buf[len] = '\0';
	return n < 0 ? n : 0;
}

int bf_task_cred(int task, struct bf_task_cred *cred)
{
	/* The name is escaped, so that no line but the kernel's own begins with a key. */
	char buf[4096], *uid, *eff, *tgid;
	int err;

	err = read_proc(task, "status", buf, sizeof(buf));
	if (err)
		return err;
	uid = strstr(buf, "\nUid:");
	eff = strstr(buf, "\nCapEff:");
	tgid = strstr(buf, "\nTgid:");
	/* Uid: real, effective, saved, file system */
	if (!uid || !eff || !tgid || sscanf(uid, "\nUid: %*u %u", &cred->euid) != 1 ||
	    sscanf(eff, "\nCapEff: %" SCNx64, &cred->cap_eff) != 1 ||
	    sscanf(tgid, "\nTgid: %d", &cred->tgid) != 1)
		return -EPROTO;
	return 0;
}

/*
 * Uids that our user namespace does not map all read as the overflow uid, so that two
 * equal ones may be two different people. It stands for itself only where everything is mapped.
 */
static bool uid_is_known(uid_t uid)
{
	unsigned int overflow = 65534, first, lower, count;
	char buf[256];

	if (read_proc(AT_FDCWD, "/proc/sys/kernel/overflowuid", buf, sizeof(buf)) == 0)
		sscanf(buf, "%u", &overflow);
	if (uid != overflow)
		return true;
	return read_proc(AT_FDCWD, "/proc/self/uid_map", buf, sizeof(buf)) == 0 &&
	       sscanf(buf, "%u %u %u", &first, &lower, &count) == 3 && first == 0 && lower == 0 &&
	       count == UINT32_MAX;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino;
}

/* Is @cred the one who made the user namespace @userns? */
static bool owns(const struct bf_task_cred *cred, int userns)
{
	uid_t owner;

	return ioctl(userns, NS_GET_OWNER_UID, &owner) == 0 && owner == cred->euid &&
	       uid_is_known(owner);
}

/*
 * Walk up from @userns, which is closed, to the task's own. The kernel does not show us
 * namespaces above ours: a task that lives there is not found, and refused.
 */
static int capable_in(int userns, const struct stat *task_ns, const struct bf_task_cred *cred)
{
	const bool raised = cred->cap_eff >> CAP_NET_ADMIN & 1;
	bool owner = false;
	int depth;

	for (depth = 0; userns >= 0 && depth < MAX_USERNS_DEPTH; depth++) {
		struct stat st;
		int parent;

		if (fstat(userns, &st))
			break;
		if (same_file(&st, task_ns)) {
			close(userns);
			return raised || owner ? 0 : -EPERM;
		}
		/* Counts if the next one up is the task's. */
		owner = owns(cred, userns);
		parent = ioctl(userns, NS_GET_PARENT);
		close(userns);
		userns = parent;
	}
	if (userns >= 0)
		close(userns);
	return -EPERM;
}

int bf_caps_net_admin(int task, int netns)
{
	struct bf_task_cred cred;
	struct stat task_ns;
	int userns, err;

	err = bf_task_cred(task, &cred);
	if (err)
		return err;
	if (fstatat(task, "ns/user", &task_ns, 0))
		return -errno;
	userns = ioctl(netns, NS_GET_USERNS);
	/* -EPERM: a namespace of somebody above us */
	if (userns < 0)
		return -errno;
	return capable_in(userns, &task_ns, &cred);
}

bool bf_caps_have(const char **missing)
{
	static const struct {
		int cap;
		const char *name;
	} needed[] = {
		{CAP_SYS_ADMIN, "CAP_SYS_ADMIN"},
		{CAP_NET_ADMIN, "CAP_NET_ADMIN"},
		{CAP_SYS_PTRACE, "CAP_SYS_PTRACE"},
	};
	struct bf_task_cred cred;
	size_t i;
	int self;

	self = open("/proc/thread-self", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (self < 0 || bf_task_cred(self, &cred))
		cred.cap_eff = 0;
	if (self >= 0)
		close(self);
	for (i = 0; i < ARRAY_SIZE(needed); i++) {
		if (cred.cap_eff >> needed[i].cap & 1)
			continue;
		if (missing)
			*missing = needed[i].name;
		return false;
	}
	return true;
}
