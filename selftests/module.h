/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What test programs share that have to do with the kernel module: its parameters.
 *
 * With BPFILTER_THROUGH=module in the environment, iptables' calls reach bpfilter through the module, those of
 * every process. Then a namespace that is to have the kernel's own ip_tables has to be excluded,
 * and there can be one at a time.
 */
#ifndef SELFTESTS_MODULE_H
#define SELFTESTS_MODULE_H

#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#define MODULE_PARAMETERS "/sys/module/bpfilter/parameters/"

static inline bool module_mode(void)
{
	const char *mode = getenv("BPFILTER_THROUGH");

	return mode && !strcmp(mode, "module");
}

/* 0 or -errno. */
static inline int module_set(const char *parameter, const char *value)
{
	char path[128];
	int err = 0;
	FILE *f;

	snprintf(path, sizeof(path), MODULE_PARAMETERS "%s", parameter);
	f = fopen(path, "we");
	if (!f)
		return -errno;
	if (fputs(value, f) < 0 || fflush(f))
		err = -errno;
	fclose(f);
	return err;
}

/* A number, or -errno. */
static inline long module_get(const char *parameter)
{
	long value = -EINVAL;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), MODULE_PARAMETERS "%s", parameter);
	f = fopen(path, "re");
	if (!f)
		return -errno;
	if (fscanf(f, "%ld", &value) != 1)
		value = -EINVAL;
	fclose(f);
	return value;
}

/*
 * From now on ip_tables itself answers for this network namespace, and for this one only; -1: for
 * none. 0 or -errno.
 */
static inline int module_exclude(int netns)
{
	struct stat st = {.st_ino = 0};
	char value[24];

	if (netns >= 0 && fstat(netns, &st))
		return -errno;
	snprintf(value, sizeof(value), "%lu", (unsigned long)st.st_ino);
	return module_set("exclude", value);
}

#endif /* SELFTESTS_MODULE_H */
