// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "client.h"
#include "device.h"
#include "env.h"
#include "kernel_table.h"
#include "live.h"

/* A table that changes between two calls is read again. */
#define MAX_TRIES 10

bool bf_live_any(void)
{
	DIR *dir = opendir(bf_pin_dir());
	struct dirent *d;
	bool any = bf_device_exists() || bf_client_helper_lives();

	while (dir && !any && (d = readdir(dir)))
		any = d->d_name[0] != '.';
	if (dir)
		closedir(dir);
	return any;
}

static int ask(int sk, int netns, struct ipt_getinfo *info, struct ipt_get_entries **entries)
{
	struct ipt_get_entries get = {.name = "filter"};
	struct ipt_getinfo *got;
	size_t len;
	int err;

	*info = (struct ipt_getinfo){.name = "filter"};
	err = bf_client_call(sk, BPFILTER_GET | IPT_SO_GET_INFO, netns, info, sizeof(*info),
			     (void **)&got, &len);
	if (err)
		return err;
	if (len == sizeof(*info))
		*info = *got;
	free(got);
	if (len != sizeof(*info))
		return -EPROTO;
	get.size = info->size;
	err = bf_client_get(sk, BPFILTER_GET | IPT_SO_GET_ENTRIES, netns, &get, sizeof(get),
			    sizeof(get) + get.size, (void **)entries, &len);
	if (!err && len != sizeof(get) + get.size) {
		free(*entries);
		err = -EPROTO;
	}
	return err;
}

static int read_helper(struct bf_memory *m, int *exit_code, struct bf_why *why)
{
	int netns = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC), sk, err = -EAGAIN, tries;
	struct ipt_get_entries *entries;
	struct ipt_getinfo info;

	sk = bf_client_start(exit_code, why);
	if (sk < 0) {
		close(netns);
		return sk;
	}
	*exit_code = BF_EXIT_FAILED;
	for (tries = 0; tries < MAX_TRIES && err == -EAGAIN; tries++)
		err = ask(sk, netns, &info, &entries);
	close(sk);
	close(netns);
	if (err)
		return bf_why(why, err, "the helper does not give the table: %s", strerror(-err));
	err = bf_memory_put(m, &info, entries->entrytable);
	free(entries);
	return err;
}

/* A table that nobody has touched is not touched by looking at it. */
static int put_untouched(struct bf_memory *m)
{
	struct ipt_getinfo info;
	int err = bf_kernel_absent_info(&info);
	void *entries = err ? NULL : malloc(info.size);

	if (!entries)
		return err ?: -ENOMEM;
	err = bf_kernel_absent_entries(info.size, entries) ?: bf_memory_put(m, &info, entries);
	free(entries);
	return err;
}

static int read_kernel(struct bf_memory *m, int *exit_code, struct bf_why *why)
{
	struct bf_kernel_table *table;
	int sk, err;

	if (!bf_kernel_has_filter())
		return put_untouched(m);
	sk = bf_kernel_socket();

	*exit_code = sk == -EPERM ? BF_EXIT_NOT_ROOT : BF_EXIT_FAILED;
	err = sk < 0 ? sk : bf_kernel_read(sk, &table);
	if (sk >= 0)
		close(sk);
	if (err == -EPERM)
		*exit_code = BF_EXIT_NOT_ROOT;
	if (err)
		return bf_why(why, err, "the table in force cannot be read: %s", strerror(-err));
	err = bf_memory_put(m, &table->info, table->entries);
	bf_kernel_table_free(table);
	return err;
}

int bf_live_read(struct bf_memory *m, int *exit_code, struct bf_why *why)
{
	int err;

	if (geteuid()) {
		*exit_code = BF_EXIT_NOT_ROOT;
		return bf_why(why, -EPERM,
			      "root is needed to look at the table in force: run it as root");
	}
	err = bf_live_any() ? read_helper(m, exit_code, why) : read_kernel(m, exit_code, why);
	if (err && m->why.text[0])
		bf_why(why, err, "%s", m->why.text);
	return err;
}
