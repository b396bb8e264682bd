// SPDX-License-Identifier: GPL-2.0
/*
 * The kernel's own filter table, through its socket options.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "kernel_table.h"
#include "table.h"

/* How often to try again when others change the table at the same time. */
#define MAX_TRIES 1000

int bf_kernel_socket(void)
{
	int sk = socket(AF_INET, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW);

	return sk < 0 ? -errno : sk;
}

int bf_kernel_get(int sk, int opt, void *val, socklen_t *len)
{
	return getsockopt(sk, IPPROTO_IP, opt, val, len) ? -errno : 0;
}

int bf_kernel_set(int sk, int opt, const void *val, size_t len)
{
	if (len > INT32_MAX)
		return -EINVAL;
	return setsockopt(sk, IPPROTO_IP, opt, val, len) ? -errno : 0;
}

int bf_kernel_has_filter(void)
{
	/* Not /proc/net, which is the namespace of the process's first thread. */
	FILE *names = fopen("/proc/thread-self/net/ip_tables_names", "re");
	char line[XT_TABLE_MAXNAMELEN + 2];
	int found = 0;

	if (!names) {
		int err = -errno;

		/* No ip_tables in this kernel, or not yet: then nobody has touched it. */
		if (err == -ENOENT && !access("/proc/thread-self/net/dev", F_OK))
			return 0;
		return err;
	}
	while (!found && fgets(line, sizeof(line), names))
		found = !strcmp(line, "filter\n");
	if (!found && ferror(names))
		found = -EIO;
	fclose(names);
	return found;
}

static int get_info(int sk, struct ipt_getinfo *info)
{
	socklen_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	strcpy(info->name, "filter");
	return bf_kernel_get(sk, IPT_SO_GET_INFO, info, &len);
}

int bf_kernel_touch_filter(int sk)
{
	struct ipt_getinfo info;

	/* Whoever asks for a table makes the kernel set it up. */
	return get_info(sk, &info);
}

void bf_kernel_table_free(struct bf_kernel_table *table)
{
	if (!table)
		return;
	free(table->entries);
	free(table);
}

/* The entries of a table of @size bytes; -EAGAIN if it has another size now. */
static int get_entries(int sk, uint32_t size, uint8_t **entries)
{
	socklen_t len = sizeof(struct ipt_get_entries) + size;
	struct ipt_get_entries *get = calloc(1, len);
	int err;

	if (!get)
		return -ENOMEM;
	strcpy(get->name, "filter");
	get->size = size;
	err = bf_kernel_get(sk, IPT_SO_GET_ENTRIES, get, &len);
	if (err) {
		free(get);
		return err;
	}
	memmove(get, get->entrytable, size);
	*entries = (uint8_t *)get;
	return 0;
}

/* One attempt; -EAGAIN if the table changed between the two calls. */
static int read_once(int sk, struct bf_kernel_table *table)
{
	struct ipt_getinfo after;
	int err;

	err = get_info(sk, &table->info);
	if (err)
		return err;
	err = get_entries(sk, table->info.size, &table->entries);
	if (err)
		return err;
	err = get_info(sk, &after);
	if (!err && memcmp(&after, &table->info, sizeof(after)))
		err = -EAGAIN;
	if (err) {
		free(table->entries);
		table->entries = NULL;
	}
	return err;
}

int bf_kernel_read(int sk, struct bf_kernel_table **table)
{
	struct bf_kernel_table *t = calloc(1, sizeof(*t));
	int err = -ENOMEM, tries;

	*table = NULL;
	if (!t)
		return -ENOMEM;
	for (tries = 0; tries < MAX_TRIES; tries++) {
		err = read_once(sk, t);
		if (err != -EAGAIN)
			break;
	}
	if (err) {
		bf_kernel_table_free(t);
		return err;
	}
	*table = t;
	return 0;
}

/* The option value that makes a filter table without rules, malloc'd; NULL if no memory. */
static void *empty_value(size_t *len)
{
	struct bf_table *empty = bf_table_empty(NF_ACCEPT);
	void *value = NULL;

	if (empty) {
		*len = bf_table_replace_size(empty);
		value = malloc(*len);
	}
	if (value && bf_table_to_replace(empty, value)) {
		free(value);
		value = NULL;
	}
	bf_table_free(empty);
	return value;
}

int bf_kernel_absent_info(struct ipt_getinfo *info)
{
	struct bf_table *empty = bf_table_empty(NF_ACCEPT);

	if (!empty)
		return -ENOMEM;
	info->valid_hooks = BF_FILTER_HOOKS;
	memcpy(info->hook_entry, empty->hook_entry, sizeof(info->hook_entry));
	memcpy(info->underflow, empty->underflow, sizeof(info->underflow));
	info->num_entries = empty->num_entries;
	info->size = empty->size;
	bf_table_free(empty);
	return 0;
}

int bf_kernel_absent_entries(uint32_t size, void *entries)
{
	struct bf_table *empty = bf_table_empty(NF_ACCEPT);
	struct xt_counters *none;
	int err = -EAGAIN;

	if (!empty)
		return -ENOMEM;
	none = calloc(empty->num_entries, sizeof(*none));
	if (!none) {
		err = -ENOMEM;
	} else if (size == empty->size) {
		err = bf_table_show(empty, none, entries);
	}
	free(none);
	bf_table_free(empty);
	return err;
}

/* Is this an unconditional ACCEPT, as the policy of an untouched chain is? */
static bool is_accept(const struct ipt_entry *e)
{
	static const struct ipt_ip any;
	const struct xt_standard_target *t = (const void *)((const char *)e + sizeof(*e));

	return e->target_offset == sizeof(*e) && e->next_offset == sizeof(*e) + sizeof(*t) &&
	       !memcmp(&e->ip, &any, sizeof(any)) && !t->target.u.user.name[0] &&
	       t->verdict == -NF_ACCEPT - 1;
}

bool bf_kernel_table_is_empty(const struct bf_kernel_table *table)
{
	const struct ipt_getinfo *info = &table->info;
	uint32_t offset = 0, i;

	/* Three policies and the end; and no chain that begins elsewhere. */
	if (info->num_entries != 4 ||
	    memcmp(info->hook_entry, info->underflow, sizeof(info->hook_entry)))
		return false;
	for (i = 0; i < 3; i++) {
		const struct ipt_entry *e = (const void *)(table->entries + offset);

		if (!is_accept(e))
			return false;
		offset += e->next_offset;
	}
	return true;
}

/* Send @value with as many counters as the table in force has; they go to @old. */
static int replace_once(int sk, void *value, size_t len, struct xt_counters **old, uint32_t *nr_old)
{
	struct ipt_replace *head = value;
	struct xt_counters *counters;
	struct ipt_getinfo info;
	int err;

	err = get_info(sk, &info);
	if (err)
		return err;
	counters = calloc(info.num_entries, sizeof(*counters));
	if (!counters)
		return -ENOMEM;
	head->num_counters = info.num_entries;
	head->counters = counters;
	err = bf_kernel_set(sk, IPT_SO_SET_REPLACE, value, len);
	if (err) {
		free(counters);
		return err;
	}
	*old = counters;
	*nr_old = info.num_entries;
	return 0;
}

/* As bf_kernel_replace(), but writes the head of @value. */
static int replace(int sk, void *value, size_t len, struct xt_counters **old, uint32_t *nr_old)
{
	struct xt_counters *counters = NULL;
	uint32_t n = 0;
	int err = -EAGAIN, tries;

	for (tries = 0; err == -EAGAIN && tries < MAX_TRIES; tries++)
		err = replace_once(sk, value, len, &counters, &n);
	if (old)
		*old = counters;
	else
		free(counters);
	if (nr_old)
		*nr_old = n;
	return err;
}

int bf_kernel_replace(int sk, const void *value, size_t len, struct xt_counters **old,
		      uint32_t *nr_old)
{
	void *copy;
	int err;

	if (old)
		*old = NULL;
	if (len < sizeof(struct ipt_replace))
		return -EINVAL;
	copy = malloc(len);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, value, len);
	err = replace(sk, copy, len, old, nr_old);
	free(copy);
	return err;
}

int bf_kernel_judge(int sk, const void *value, size_t len)
{
	struct ipt_replace *copy;
	struct xt_counters none;
	int err;

	if (len < sizeof(*copy))
		return -EINVAL;
	copy = malloc(len);
	if (!copy)
		return -ENOMEM;
	memcpy(copy, value, len);
	/* The number of counters is compared last, and no filter table has but one entry. */
	copy->num_counters = 1;
	copy->counters = &none;
	err = bf_kernel_set(sk, IPT_SO_SET_REPLACE, copy, len);
	free(copy);
	return err == -EAGAIN ? 0 : err;
}

int bf_kernel_clear(int sk, struct xt_counters **old, uint32_t *nr_old)
{
	size_t len;
	void *value = empty_value(&len);
	int err;

	if (old)
		*old = NULL;
	if (!value)
		return -ENOMEM;
	err = replace(sk, value, len, old, nr_old);
	free(value);
	return err;
}

int bf_kernel_add_counters(int sk, const struct xt_counters *counters, uint32_t n)
{
	size_t len = sizeof(struct xt_counters_info) + (size_t)n * sizeof(*counters);
	struct xt_counters_info *info = calloc(1, len);
	int err;

	if (!info)
		return -ENOMEM;
	strcpy(info->name, "filter");
	info->num_counters = n;
	memcpy(info->counters, counters, (size_t)n * sizeof(*counters));
	err = bf_kernel_set(sk, IPT_SO_SET_ADD_COUNTERS, info, len);
	free(info);
	return err;
}
