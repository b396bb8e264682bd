/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What test programs share that run "bpfilter run": a folder and a bpffs of their own, and an end
 * to the helper. Nothing is left behind, however the program ends: all is in a mount namespace.
 */
#ifndef SELFTESTS_LAB_H
#define SELFTESTS_LAB_H

#include <errno.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

struct lab {
	char dir[64];
};

/*
 * Sets BPFILTER_RUN_DIR and BPFILTER_PIN_DIR for what is started from now on, unless the user has
 * done so. 0 or -errno having said why.
 */
static inline int lab_begin(struct lab *lab)
{
	char path[128];
	int err;

	memset(lab, 0, sizeof(*lab));
	if (getenv("BPFILTER_RUN_DIR"))
		return 0;
	strcpy(lab->dir, "/tmp/bpfilter.XXXXXX");
	/* The helper is nobody's child when it has started: it shall become ours. */
	if (prctl(PR_SET_CHILD_SUBREAPER, 1) || unshare(CLONE_NEWNS) ||
	    mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) || !mkdtemp(lab->dir) ||
	    mount("bpf", lab->dir, "bpf", 0, NULL)) {
		err = -errno;
		fprintf(stderr, "cannot have a bpffs of one's own: %s\n", strerror(-err));
		return err;
	}
	snprintf(path, sizeof(path), "%s/pins", lab->dir);
	setenv("BPFILTER_PIN_DIR", path, 1);
	snprintf(path, sizeof(path), "/run/%s", lab->dir + strlen("/tmp/"));
	if (mkdir(path, 0700))
		return -errno;
	return setenv("BPFILTER_RUN_DIR", path, 1) ? -errno : 0;
}

/* Ends all children that are left, the helper among them. */
static inline void lab_end(struct lab *lab)
{
	char path[128];
	FILE *f;
	int pid;

	if (!lab->dir[0])
		return;
	snprintf(path, sizeof(path), "/proc/self/task/%d/children", getpid());
	f = fopen(path, "r");
	while (f && fscanf(f, "%d", &pid) == 1)
		kill(pid, SIGTERM);
	if (f)
		fclose(f);
	while (wait(NULL) > 0)
		;
	umount2(lab->dir, MNT_DETACH);
	rmdir(lab->dir);
	snprintf(path, sizeof(path), "rm -rf '%s'", getenv("BPFILTER_RUN_DIR"));
	if (system(path))
		fprintf(stderr, "%s is left\n", getenv("BPFILTER_RUN_DIR"));
}

#endif /* SELFTESTS_LAB_H */
