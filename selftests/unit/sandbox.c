// SPDX-License-Identifier: GPL-2.0
#include "sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "env.h"
#include "testnet.h"

static int give_up(struct sandbox *s, int ret, const char *what)
{
	snprintf(s->why, sizeof(s->why), "%s: %s", what, strerror(errno));
	return ret;
}

int sandbox_enter(struct sandbox *s)
{
	char path[sizeof(s->dir) + 16];
	struct bf_why why = {};
	int exit_code;

	memset(s, 0, sizeof(*s));
	s->netns = -1;
	if (geteuid())
		return give_up(s, 1, "needs root");
	if (unshare(CLONE_NEWNS))
		return give_up(s, 1, "no mount namespace");
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL))
		return give_up(s, -1, "mount --make-rprivate /");
	s->netns = testnet_new();
	if (s->netns < 0)
		return give_up(s, 1, "no network namespace");
	s->inode = testnet_inode(s->netns);
	strcpy(s->dir, "/tmp/bpfilter-test-XXXXXX");
	if (!mkdtemp(s->dir))
		return give_up(s, -1, "mkdtemp");
	snprintf(path, sizeof(path), "%s/bpf", s->dir);
	if (mkdir(path, 0700))
		return give_up(s, -1, "mkdir");
	strcat(path, "/pins");
	setenv("BPFILTER_PIN_DIR", path, 1);
	if (bf_env_open(&s->env, &exit_code, &why)) {
		snprintf(s->why, sizeof(s->why), "%s", why.text);
		sandbox_leave(s);
		return exit_code == BF_EXIT_FAILED ? -1 : 1;
	}
	return 0;
}

void sandbox_leave(struct sandbox *s)
{
	char path[sizeof(s->dir) + 16];

	bf_env_close(s->env);
	s->env = NULL;
	if (*s->dir) {
		snprintf(path, sizeof(path), "%s/bpf", s->dir);
		umount2(path, MNT_DETACH);
		rmdir(path);
		rmdir(s->dir);
		*s->dir = '\0';
	}
	if (s->netns >= 0)
		close(s->netns);
	s->netns = -1;
}

unsigned int open_descriptors(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int n = 0;

	if (!dir)
		return 0;
	while (readdir(dir))
		n++;
	closedir(dir);
	return n - 3; /* ., .. and its own */
}
