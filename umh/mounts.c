// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/types.h>
#include <unistd.h>

#include "env.h"
#include "mounts.h"

/* Longer than any line of /proc/PID/stat up to the fourth field. */
#define STAT_BYTES 256

/* 0 if it has none, or cannot be looked at. */
static pid_t parent_of(pid_t pid)
{
	char path[64], line[STAT_BYTES], *name_end;
	int parent = 0;
	FILE *f;

	snprintf(path, sizeof(path), "/proc/%d/stat", pid);
	f = fopen(path, "re");
	if (!f)
		return 0;
	/* The name, in brackets, may hold any character. */
	if (fgets(line, sizeof(line), f)) {
		name_end = strrchr(line, ')');
		if (!name_end || sscanf(name_end, ") %*c %d", &parent) != 1)
			parent = 0;
	}
	fclose(f);
	return parent;
}

static bool has_same_run(pid_t pid)
{
	struct stat ours, theirs;
	char path[64];

	snprintf(path, sizeof(path), "/proc/%d/root/run", pid);
	return !stat("/run", &ours) && !stat(path, &theirs) && ours.st_dev == theirs.st_dev &&
	       ours.st_ino == theirs.st_ino;
}

/* The mount namespace of the first of our ancestors that has the same /run. -1: there is none. */
static int find_outermost(void)
{
	int best = -1;
	pid_t pid;

	for (pid = getppid(); pid > 1; pid = parent_of(pid)) {
		char path[64];
		int fd;

		snprintf(path, sizeof(path), "/proc/%d/ns/mnt", pid);
		fd = has_same_run(pid) ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		if (fd < 0)
			continue;
		if (best >= 0)
			close(best);
		best = fd;
	}
	return best;
}

int bf_mounts_outer(void)
{
	int fd;

	if (strcmp(bf_run_dir(), BF_DEFAULT_RUN_DIR) || strcmp(bf_pin_dir(), BF_DEFAULT_PIN_DIR))
		return -1;
	fd = open("/proc/1/ns/mnt", O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return find_outermost();
	close(fd);
	return -1;
}
