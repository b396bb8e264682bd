// SPDX-License-Identifier: GPL-2.0
/* The other tables of ip_tables. */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "kernel_table.h"
#include "others.h"

static const char *const names[] = {"nat", "mangle", "raw"};

/* A table without rules has a policy for each hook, and the entry at its end. */
static bool has_rules(uint32_t num_entries, uint32_t valid_hooks)
{
	return num_entries > (uint32_t)__builtin_popcount(valid_hooks) + 1;
}

/* The kernel's constant string for the line of a table, or NULL. */
static const char *name_in(const char *line)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncmp(line, names[i], strlen(names[i])) && line[strlen(names[i])] == '\n')
			return names[i];
	return NULL;
}

static bool ask(int sk, const char *name)
{
	struct ipt_getinfo info = {};
	socklen_t len = sizeof(info);

	strcpy(info.name, name);
	return bf_kernel_get(sk, IPT_SO_GET_INFO, &info, &len) ||
	       has_rules(info.num_entries, info.valid_hooks);
}

const char *bf_others_with_rules(int sk)
{
	/* Not /proc/net, which is the namespace of the process's first thread. */
	FILE *list = fopen("/proc/thread-self/net/ip_tables_names", "re");
	char line[XT_TABLE_MAXNAMELEN + 2];
	const char *found = NULL;

	/* No ip_tables in this kernel, or not yet. */
	if (!list)
		return errno == ENOENT && !access("/proc/thread-self/net/dev", F_OK) ? NULL
										     : names[0];
	while (!found && fgets(line, sizeof(line), list)) {
		const char *name = name_in(line);

		if (name && ask(sk, name))
			found = name;
	}
	if (!found && ferror(list))
		found = names[0];
	fclose(list);
	return found;
}

bool bf_others_replace(const struct ipt_replace *replace)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		if (!strncmp(replace->name, names[i], sizeof(replace->name)))
			return has_rules(replace->num_entries, replace->valid_hooks);
	return false;
}
