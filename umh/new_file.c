// SPDX-License-Identifier: GPL-2.0
#include "new_file.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static int write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		data += n;
		len -= n;
	}
	/* What is renamed before it is on the disk may be empty after a power failure. */
	return fchmod(fd, 0644) || fsync(fd) ? -errno : 0;
}

/*
 * Nothing may be there but a regular file. Whoever may write to the folder could lead root elsewhere by a symbolic link,
 * so that none is followed; one that comes after this look is replaced by the rename.
 */
static int check(const char *path, struct bf_why *why)
{
	struct stat st;

	if (lstat(path, &st))
		return errno == ENOENT ? 0 : bf_why(why, -errno, "%s: %s", path, strerror(errno));
	if (S_ISLNK(st.st_mode))
		return bf_why(why, -EINVAL, "%s: a symbolic link", path);
	if (!S_ISREG(st.st_mode))
		return bf_why(why, -EINVAL, "%s: not a regular file", path);
	return 0;
}

/* @aside: a template for its name. 0 or -errno: then it is gone. */
static int write_aside(const char *path, char *aside, const void *data, size_t len)
{
	int fd = mkostemp(aside, O_CLOEXEC), err;

	if (fd < 0)
		return -errno;
	err = write_all(fd, data, len);
	if (close(fd) && !err)
		err = -errno;
	if (!err && rename(aside, path))
		err = -errno;
	if (err)
		unlink(aside);
	return err;
}

/* The signals that users and service managers end a process with; what they were before in @before. */
static void hold_signals(sigset_t *before)
{
	sigset_t ends;

	sigemptyset(&ends);
	sigaddset(&ends, SIGINT);
	sigaddset(&ends, SIGTERM);
	sigaddset(&ends, SIGHUP);
	pthread_sigmask(SIG_BLOCK, &ends, before);
}

int bf_new_file(const char *path, const void *data, size_t len, struct bf_why *why)
{
	char aside[PATH_MAX + 16];
	sigset_t before;
	const char *name;
	int err;

	err = check(path, why);
	if (err)
		return err;
	name = strrchr(path, '/');
	name = name ? name + 1 : path;
	if (!*name)
		return bf_why(why, -EISDIR, "%s: not the name of a file", path);
	snprintf(aside, sizeof(aside), "%.*s.%s.XXXXXX", (int)(name - path), path, name);
	hold_signals(&before);
	err = write_aside(path, aside, data, len);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	return err ? bf_why(why, err, "%s: %s", path, strerror(-err)) : 0;
}
