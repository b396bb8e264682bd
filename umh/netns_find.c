// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <linux/sockios.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "netns_find.h"

/* Of an entry of /proc that is read as a link "net:[4026531840]". 0 if it is not that. */
static ino_t ns_inode(int dir, const char *path, const char *type)
{
	char link[64], *end;
	size_t len = strlen(type);
	unsigned long inode;
	ssize_t n = readlinkat(dir, path, link, sizeof(link) - 1);

	if (n <= 0)
		return 0;
	link[n] = '\0';
	if (strncmp(link, type, len) || strncmp(link + len, ":[", 2))
		return 0;
	inode = strtoul(link + len + 2, &end, 10);
	return strcmp(end, "]") ? 0 : inode;
}

struct inode_set {
	ino_t *inodes;
	size_t n, max;
};

static bool inode_set_has(const struct inode_set *s, ino_t inode)
{
	size_t i;

	/* The last ones first: neighbours in /proc are often of one container. */
	for (i = s->n; i > 0; i--)
		if (s->inodes[i - 1] == inode)
			return true;
	return false;
}

static int inode_set_add(struct inode_set *s, ino_t inode)
{
	ino_t *more;

	if (s->n == s->max) {
		more = reallocarray(s->inodes, s->max ? 2 * s->max : 64, sizeof(*more));
		if (!more)
			return -ENOMEM;
		s->inodes = more;
		s->max = s->max ? 2 * s->max : 64;
	}
	s->inodes[s->n++] = inode;
	return 0;
}

/*
 * Call @fn with the descriptor of a directory and the name of each numeric entry in it, until it
 * returns other than 0. A directory that is gone has no entries.
 */
static int for_each_number(int dir, const char *path,
			   int (*fn)(void *arg, int dir, const char *name), void *arg)
{
	int fd = openat(dir, path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct dirent *e;
	int err = 0;
	DIR *d;

	if (fd < 0)
		return errno == ENOENT || errno == ESRCH ? 0 : -errno;
	d = fdopendir(fd);
	if (!d) {
		close(fd);
		return -ENOMEM;
	}
	while (!err && (e = readdir(d)))
		if (isdigit((unsigned char)e->d_name[0]))
			err = fn(arg, fd, e->d_name);
	closedir(d);
	return err;
}

/**
 * struct scan - one look at the machine
 * @fn: called for each namespace seen, by a path below a directory; @name is that of a mount, or
 *	NULL and it is that of the process @pid
 * @self: this process, as /proc calls it
 * @pid: the process whose threads or descriptors are being looked at
 * @mnt_seen: mount namespaces whose mounts have been looked at
 */
struct scan {
	int (*fn)(struct scan *s, ino_t inode, int dir, const char *path, const char *name,
		  const char *pid);
	char self[16];
	const char *pid;
	struct inode_set mnt_seen;

	/* of bf_netns_find() */
	struct inode_set seen;
	int (*found)(void *arg, ino_t inode, int fd, const char *name);
	void *arg;

	/* of bf_netns_in_use() */
	ino_t wanted;
	int pidfd;
};

static int scan_init(struct scan *s)
{
	/* Not getpid(): /proc may be that of another pid namespace. */
	ssize_t n = readlink("/proc/self", s->self, sizeof(s->self) - 1);

	if (n <= 0)
		return n ? -errno : -ENOENT;
	s->self[n] = '\0';
	return 0;
}

static bool is_self(const struct scan *s, const char *pid)
{
	return !strcmp(pid, s->self);
}

/* --- mounts -------------------------------------------------------------------------------- */

/* "\040" and the like, as mountinfo writes characters that would confuse it. In place. */
static void unescape(char *p)
{
	char *to = p;

	for (; *p; p++) {
		if (p[0] == '\\' && p[1] >= '0' && p[1] <= '3' && isdigit((unsigned char)p[2]) &&
		    isdigit((unsigned char)p[3])) {
			*to++ = (p[1] - '0') << 6 | (p[2] - '0') << 3 | (p[3] - '0');
			p += 3;
		} else {
			*to++ = *p;
		}
	}
	*to = '\0';
}

/* The name that a person knows it by. */
static const char *mount_name(const char *path)
{
	static const char *const dirs[] = {
		"/run/netns/",
		"/var/run/netns/",
		"/run/docker/netns/",
		"/var/run/docker/netns/",
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(dirs); i++)
		if (!strncmp(path, dirs[i], strlen(dirs[i])))
			return path + strlen(dirs[i]);
	return path;
}

/* A line: id, parent, device, root, mount point, options, optional fields, "-", type, ... */
static int scan_mount(struct scan *s, int proc, const char *pid, char *line)
{
	char *root, *point, *rest, path[PATH_MAX];
	unsigned long inode;
	int i;

	rest = strstr(line, " - ");
	if (!rest || strncmp(rest + 3, "nsfs ", 5))
		return 0;
	for (i = 0; i < 3; i++)
		strsep(&line, " ");
	root = strsep(&line, " ");
	point = strsep(&line, " ");
	if (!line || sscanf(root, "net:[%lu]", &inode) != 1)
		return 0;
	unescape(point);
	if (snprintf(path, sizeof(path), "%s/root%s", pid, point) >= (int)sizeof(path))
		return 0;
	return s->fn(s, inode, proc, path, mount_name(point), NULL);
}

static int scan_mounts(void *arg, int proc, const char *pid)
{
	struct scan *s = arg;
	char path[64], *line = NULL;
	size_t size = 0;
	ino_t mnt;
	FILE *f;
	int fd, err;

	snprintf(path, sizeof(path), "%s/ns/mnt", pid);
	mnt = ns_inode(proc, path, "mnt");
	if (!mnt)
		return 0;
	if (inode_set_has(&s->mnt_seen, mnt))
		return 0;
	err = inode_set_add(&s->mnt_seen, mnt);
	if (err)
		return err;
	snprintf(path, sizeof(path), "%s/mountinfo", pid);
	fd = openat(proc, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return errno == ENOENT || errno == ESRCH || errno == EINVAL ? 0 : -errno;
	f = fdopen(fd, "r");
	if (!f) {
		close(fd);
		return -ENOMEM;
	}
	err = 0;
	while (!err && getline(&line, &size, f) > 0)
		err = scan_mount(s, proc, pid, line);
	free(line);
	fclose(f);
	return err;
}

/* --- processes ----------------------------------------------------------------------------- */

static int scan_process(void *arg, int proc, const char *pid)
{
	struct scan *s = arg;
	char path[64];
	ino_t inode;

	snprintf(path, sizeof(path), "%s/ns/net", pid);
	inode = ns_inode(proc, path, "net");
	return inode ? s->fn(s, inode, proc, path, NULL, pid) : 0;
}

static int scan_thread(void *arg, int tasks, const char *tid)
{
	struct scan *s = arg;
	char path[64];
	ino_t inode;

	if (!strcmp(tid, s->pid))
		return 0;
	snprintf(path, sizeof(path), "%s/ns/net", tid);
	inode = ns_inode(tasks, path, "net");
	return inode ? s->fn(s, inode, tasks, path, NULL, s->pid) : 0;
}

static int scan_threads(void *arg, int proc, const char *pid)
{
	struct scan *s = arg;
	struct stat st;
	char path[64];

	if (is_self(s, pid))
		return 0;
	snprintf(path, sizeof(path), "%s/task", pid);
	/* "." and ".." and one link for each thread: most have only the one already seen. */
	if (!fstatat(proc, path, &st, 0) && st.st_nlink <= 3)
		return 0;
	s->pid = pid;
	return for_each_number(proc, path, scan_thread, s);
}

/* --- finding them all ---------------------------------------------------------------------- */

static void process_name(const char *pid, char *name, size_t size)
{
	char path[64], comm[32] = "";
	int fd;

	snprintf(path, sizeof(path), "/proc/%s/comm", pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd >= 0) {
		if (read(fd, comm, sizeof(comm) - 1) > 0)
			comm[strcspn(comm, "\n")] = '\0';
		close(fd);
	}
	snprintf(name, size, "pid %s (%s)", pid, comm);
}

/* The namespace of the machine, or of the container, itself. */
static bool is_initial(ino_t inode)
{
	struct stat st;

	return stat("/proc/1/ns/net", &st) == 0 && st.st_ino == inode;
}

static int report(struct scan *s, ino_t inode, int dir, const char *path, const char *name,
		  const char *pid)
{
	char text[64];
	struct stat st;
	int fd, err;

	if (inode_set_has(&s->seen, inode))
		return 0;
	fd = openat(dir, path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	/* It may have changed meanwhile, or be a mount that lies under another one. */
	if (fstat(fd, &st) || st.st_ino != inode) {
		close(fd);
		return 0;
	}
	if (!name && is_initial(inode))
		name = "init";
	if (!name) {
		process_name(pid, text, sizeof(text));
		name = text;
	}
	err = inode_set_add(&s->seen, inode);
	if (!err)
		err = s->found(s->arg, inode, fd, name);
	close(fd);
	return err;
}

int bf_netns_find(int (*found)(void *arg, ino_t inode, int fd, const char *name), void *arg)
{
	struct scan s = {.fn = report, .found = found, .arg = arg};
	int err = scan_init(&s);

	/* Mounts first: they have the better names. */
	if (!err)
		err = for_each_number(AT_FDCWD, "/proc", scan_mounts, &s);
	if (!err)
		err = for_each_number(AT_FDCWD, "/proc", scan_process, &s);
	if (!err)
		err = for_each_number(AT_FDCWD, "/proc", scan_threads, &s);
	free(s.mnt_seen.inodes);
	free(s.seen.inodes);
	return err;
}

/* --- is one in use? ------------------------------------------------------------------------ */

static int compare(struct scan *s, ino_t inode, int dir, const char *path, const char *name,
		   const char *pid)
{
	return inode == s->wanted && !(pid && is_self(s, pid));
}

static int compare_fd(void *arg, int fds, const char *fd)
{
	struct scan *s = arg;

	return ns_inode(fds, fd, "net") == s->wanted;
}

static int scan_fds(void *arg, int proc, const char *pid)
{
	struct scan *s = arg;
	char path[64];

	if (is_self(s, pid))
		return 0;
	snprintf(path, sizeof(path), "%s/fd", pid);
	return for_each_number(proc, path, compare_fd, s);
}

/* The namespace of a socket or a tun device that another process has open. */
static int compare_socket(void *arg, int fds, const char *fd)
{
	struct scan *s = arg;
	struct stat st = {0};
	char link[32];
	int sk, ns, err;
	ssize_t n;

	n = readlinkat(fds, fd, link, sizeof(link) - 1);
	link[n > 0 ? n : 0] = '\0';
	if (strncmp(link, "socket:[", 8) && strcmp(link, "/dev/net/tun"))
		return 0;
	sk = syscall(SYS_pidfd_getfd, s->pidfd, atoi(fd), 0);
	if (sk < 0)
		return errno == EBADF || errno == ESRCH ? 0 : -errno;
	ns = ioctl(sk, SIOCGSKNS);
	err = ns < 0 ? -errno : 0;
	close(sk);
	if (err)
		return err;
	fstat(ns, &st);
	close(ns);
	return st.st_ino == s->wanted;
}

static int scan_sockets(void *arg, int proc, const char *pid)
{
	struct scan *s = arg;
	char path[64];
	int err;

	if (is_self(s, pid))
		return 0;
	/* A /proc of another pid namespace has other numbers than pidfd_open(2) takes. */
	if (atoi(s->self) != getpid())
		return -EXDEV;
	s->pidfd = syscall(SYS_pidfd_open, atoi(pid), 0);
	if (s->pidfd < 0)
		return errno == ESRCH ? 0 : -errno;
	snprintf(path, sizeof(path), "%s/fd", pid);
	err = for_each_number(proc, path, compare_socket, s);
	close(s->pidfd);
	return err;
}

/* What is quick and most often the case comes first. 1, 0, or -errno if it cannot be told. */
static int is_in_use(ino_t inode)
{
	static int (*const scans[])(void *arg, int proc, const char *pid) = {
		scan_process, scan_mounts, scan_threads, scan_fds, scan_sockets,
	};
	struct scan s = {.fn = compare, .wanted = inode};
	unsigned int i;
	int ret;

	ret = scan_init(&s);
	for (i = 0; !ret && i < ARRAY_SIZE(scans); i++)
		ret = for_each_number(AT_FDCWD, "/proc", scans[i], &s);
	free(s.mnt_seen.inodes);
	return ret;
}

bool bf_netns_in_use(ino_t inode)
{
	/* Twice: what moved behind our back the first time is seen the second. */
	return is_in_use(inode) || is_in_use(inode);
}
