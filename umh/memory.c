// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "ext.h"
#include "memory.h"
#include "table.h"
#include "uapi/bpfilter.h"

#define HOOK(h) (1U << NF_INET_##h)

/* The kernel's tables and where they have built-in chains. */
static const struct {
	const char *name;
	unsigned int hooks;
} kinds[BF_MEMORY_TABLES] = {
	{"filter", HOOK(LOCAL_IN) | HOOK(FORWARD) | HOOK(LOCAL_OUT)},
	{"nat", HOOK(PRE_ROUTING) | HOOK(LOCAL_IN) | HOOK(LOCAL_OUT) | HOOK(POST_ROUTING)},
	{"mangle",
	 HOOK(PRE_ROUTING) | HOOK(LOCAL_IN) | HOOK(FORWARD) | HOOK(LOCAL_OUT) | HOOK(POST_ROUTING)},
	{"raw", HOOK(PRE_ROUTING) | HOOK(LOCAL_OUT)},
	{"security", HOOK(LOCAL_IN) | HOOK(FORWARD) | HOOK(LOCAL_OUT)},
};

#define FILTER 0

struct policy {
	struct ipt_entry entry;
	struct xt_standard_target target;
};

struct table_end {
	struct ipt_entry entry;
	struct xt_error_target target;
};

void bf_memory_init(struct bf_memory *m)
{
	memset(m, 0, sizeof(*m));
	m->translatable = true;
}

void bf_memory_free(struct bf_memory *m)
{
	unsigned int i;

	for (i = 0; i < BF_MEMORY_TABLES; i++)
		free(m->tables[i]);
	bf_memory_init(m);
}

const char *bf_memory_name(unsigned int i)
{
	return i < BF_MEMORY_TABLES ? kinds[i].name : NULL;
}

/* The number of a table, or -ENOENT. @name need not be terminated. */
static int find(const char *name)
{
	unsigned int i;

	for (i = 0; i < BF_MEMORY_TABLES; i++)
		if (!strncmp(kinds[i].name, name, XT_TABLE_MAXNAMELEN))
			return i;
	return -ENOENT;
}

const struct ipt_replace *bf_memory_table(const struct bf_memory *m, const char *name, size_t *len)
{
	int i = find(name);

	*len = i < 0 ? 0 : m->sizes[i];
	return i < 0 ? NULL : m->tables[i];
}

static void *put_policy(void *at)
{
	struct policy *rule = at;

	rule->entry.target_offset = sizeof(rule->entry);
	rule->entry.next_offset = sizeof(*rule);
	rule->target.target.u.target_size = sizeof(rule->target);
	rule->target.verdict = -NF_ACCEPT - 1;
	return rule + 1;
}

static void put_error(void *at)
{
	struct table_end *rule = at;

	rule->entry.target_offset = sizeof(rule->entry);
	rule->entry.next_offset = sizeof(*rule);
	rule->target.target.u.target_size = sizeof(rule->target);
	strcpy(rule->target.target.u.user.name, XT_ERROR_TARGET);
	strcpy(rule->target.errorname, XT_ERROR_TARGET);
}

/* A table as the kernel makes it when it is touched: policies, and the ERROR entry at its end. */
static struct ipt_replace *make_table(unsigned int i, size_t *len)
{
	unsigned int n = __builtin_popcount(kinds[i].hooks), h;
	uint32_t size = n * sizeof(struct policy) + sizeof(struct table_end);
	struct ipt_replace *r = calloc(1, sizeof(*r) + size);
	void *at;

	if (!r)
		return NULL;
	strcpy(r->name, kinds[i].name);
	r->valid_hooks = kinds[i].hooks;
	r->num_entries = n + 1;
	r->num_counters = n + 1;
	r->size = size;
	at = r->entries;
	for (h = 0; h < NF_INET_NUMHOOKS; h++) {
		r->hook_entry[h] = r->underflow[h] = UINT32_MAX;
		if (!(r->valid_hooks & 1U << h))
			continue;
		r->hook_entry[h] = r->underflow[h] = (uint8_t *)at - (uint8_t *)r->entries;
		at = put_policy(at);
	}
	put_error(at);
	*len = sizeof(*r) + size;
	return r;
}

/* Touch a table. Its number or -errno. */
static int touch(struct bf_memory *m, const char *name)
{
	int i = find(name);

	if (i >= 0 && !m->tables[i])
		m->tables[i] = make_table(i, &m->sizes[i]);
	return i < 0 || m->tables[i] ? i : -ENOMEM;
}

static int get_info(struct bf_memory *m, const char *name, void **data, size_t *len)
{
	struct ipt_getinfo *info;
	const struct ipt_replace *r;
	int i = touch(m, name);

	if (i < 0)
		return i;
	info = calloc(1, sizeof(*info));
	if (!info)
		return -ENOMEM;
	r = m->tables[i];
	strcpy(info->name, kinds[i].name);
	info->valid_hooks = r->valid_hooks;
	memcpy(info->hook_entry, r->hook_entry, sizeof(info->hook_entry));
	memcpy(info->underflow, r->underflow, sizeof(info->underflow));
	info->num_entries = r->num_entries;
	info->size = r->size;
	*data = info;
	*len = sizeof(*info);
	return 0;
}

static int get_entries(struct bf_memory *m, const struct ipt_get_entries *get, size_t len,
		       void **data, size_t *data_len)
{
	struct ipt_get_entries *reply;
	int i = len < sizeof(*get) ? -EINVAL : touch(m, get->name);

	if (i < 0)
		return i;
	if (get->size != m->tables[i]->size)
		return -EAGAIN;
	reply = malloc(sizeof(*reply) + get->size);
	if (!reply)
		return -ENOMEM;
	memcpy(reply, get, sizeof(*reply));
	memcpy(reply->entrytable, m->tables[i]->entries, get->size);
	*data = reply;
	*data_len = sizeof(*reply) + get->size;
	return 0;
}

/* Is it one that iptables could put in force? BF_NOT_TRANSLATABLE is: the kernel has to judge that one. */
static int check(struct bf_memory *m, unsigned int i, const void *replace, size_t len)
{
	struct bf_table *table = NULL;
	int err;

	if (i != FILTER)
		return 0;
	m->why.text[0] = '\0';
	err = bf_table_check(replace, len, &table, &m->why);
	bf_table_free(table);
	m->translatable = err != BF_NOT_TRANSLATABLE;
	return err == BF_NOT_TRANSLATABLE ? 0 : err;
}

static int set_replace(struct bf_memory *m, const struct ipt_replace *r, size_t len, void **data,
		       size_t *data_len)
{
	int err, i = len < sizeof(*r) ? -EINVAL : find(r->name);
	struct ipt_replace *copy;

	if (i < 0)
		return i;
	if (r->size != len - sizeof(*r))
		return -EINVAL;
	err = check(m, i, r, len);
	if (err)
		return err;
	copy = malloc(len);
	*data_len = (size_t)r->num_counters * sizeof(struct xt_counters);
	*data = calloc(1, *data_len ?: 1);
	if (!copy || !*data) {
		free(copy);
		free(*data);
		*data = NULL;
		return -ENOMEM;
	}
	memcpy(copy, r, len);
	free(m->tables[i]);
	m->tables[i] = copy;
	m->sizes[i] = len;
	return 0;
}

int bf_memory_put(struct bf_memory *m, const struct ipt_getinfo *info, const void *entries)
{
	size_t len = sizeof(struct ipt_replace) + info->size;
	struct ipt_replace *r = calloc(1, len);
	int err;

	if (!r)
		return -ENOMEM;
	strcpy(r->name, kinds[FILTER].name);
	r->valid_hooks = info->valid_hooks;
	r->num_entries = info->num_entries;
	r->num_counters = info->num_entries;
	r->size = info->size;
	memcpy(r->hook_entry, info->hook_entry, sizeof(r->hook_entry));
	memcpy(r->underflow, info->underflow, sizeof(r->underflow));
	memcpy(r->entries, entries, info->size);
	err = check(m, FILTER, r, len);
	if (err) {
		free(r);
		return err;
	}
	free(m->tables[FILTER]);
	m->tables[FILTER] = r;
	m->sizes[FILTER] = len;
	return 0;
}

static int get_revision(const struct xt_get_revision *rev, size_t len, bool target, void **data,
			size_t *data_len)
{
	bool known = false;
	unsigned int i;

	if (len < sizeof(*rev))
		return -EINVAL;
	for (i = 0; !known && !target && bf_match_at(i); i++)
		known = !strncmp(bf_match_at(i)->name, rev->name, sizeof(rev->name));
	for (i = 0; !known && target && bf_target_at(i); i++)
		known = !strncmp(bf_target_at(i)->name, rev->name, sizeof(rev->name));
	if (known && !(target ? (const void *)bf_target_find(rev->name, rev->revision)
			      : bf_match_find(rev->name, rev->revision)))
		return -EPROTONOSUPPORT;
	*data = malloc(sizeof(*rev));
	if (!*data)
		return -ENOMEM;
	memcpy(*data, rev, sizeof(*rev));
	*data_len = sizeof(*rev);
	return 0;
}

int bf_memory_handle(struct bf_memory *m, uint32_t op, const void *payload, size_t len, void **data,
		     size_t *data_len)
{
	*data = NULL;
	*data_len = 0;
	switch (op) {
	case IPT_SO_SET_REPLACE:
		return set_replace(m, payload, len, data, data_len);
	case IPT_SO_SET_ADD_COUNTERS:
		return 0; /* nothing has been counted, and nobody asks */
	case BPFILTER_GET | IPT_SO_GET_INFO:
		return len < XT_TABLE_MAXNAMELEN ? -EINVAL : get_info(m, payload, data, data_len);
	case BPFILTER_GET | IPT_SO_GET_ENTRIES:
		return get_entries(m, payload, len, data, data_len);
	case BPFILTER_GET | IPT_SO_GET_REVISION_MATCH:
	case BPFILTER_GET | IPT_SO_GET_REVISION_TARGET:
		return get_revision(payload, len, op == (BPFILTER_GET | IPT_SO_GET_REVISION_TARGET),
				    data, data_len);
	default:
		return -ENOPROTOOPT;
	}
}
