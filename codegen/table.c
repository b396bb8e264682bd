// SPDX-License-Identifier: GPL-2.0
/*
 * The checked table: making, finding, showing and keeping one. How an option value
 * becomes one is in table_check.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "table.h"

/*
 * A saved table is this and the option value that would make it. Loading checks it like
 * any other, so that a file that was damaged or written by another release is refused
 * rather than believed.
 */
struct saved_table {
	char magic[8];
	uint64_t len; /* of the option value behind it */
};

static const char saved_magic[8] = "bf-tbl1";

void bf_table_free(struct bf_table *t)
{
	if (!t)
		return;
	free(t->offsets);
	free(t->entries);
	free(t);
}

uint32_t bf_table_index(const struct bf_table *t, uint32_t offset)
{
	uint32_t low = 0, high = t->num_entries;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (t->offsets[mid] == offset)
			return mid;
		if (t->offsets[mid] < offset)
			low = mid + 1;
		else
			high = mid;
	}
	return t->num_entries;
}

void bf_table_show(const struct bf_table *t, const struct xt_counters *counters, void *dst)
{
	uint32_t i;

	/* bf_table_check() has already wiped what the kernel would not copy out. */
	memcpy(dst, t->entries, t->size);
	for (i = 0; i < t->num_entries; i++)
		memcpy((uint8_t *)dst + t->offsets[i] + offsetof(struct ipt_entry, counters),
		       &counters[i], sizeof(counters[i]));
}

size_t bf_table_replace_size(const struct bf_table *t)
{
	return sizeof(struct ipt_replace) + t->size;
}

void bf_table_to_replace(const struct bf_table *t, void *dst)
{
	struct ipt_replace head = {
		.name = "filter",
		.valid_hooks = BF_FILTER_HOOKS,
		.num_entries = t->num_entries,
		.size = t->size,
		.num_counters = t->num_entries,
	};

	memcpy(head.hook_entry, t->hook_entry, sizeof(head.hook_entry));
	memcpy(head.underflow, t->underflow, sizeof(head.underflow));
	memcpy(dst, &head, sizeof(head));
	memcpy((uint8_t *)dst + sizeof(head), t->entries, t->size);
}

size_t bf_table_saved_size(const struct bf_table *t)
{
	return sizeof(struct saved_table) + bf_table_replace_size(t);
}

void bf_table_save(const struct bf_table *t, void *dst)
{
	struct saved_table saved = {.len = bf_table_replace_size(t)};

	memcpy(saved.magic, saved_magic, sizeof(saved.magic));
	memcpy(dst, &saved, sizeof(saved));
	bf_table_to_replace(t, (uint8_t *)dst + sizeof(saved));
}

int bf_table_load(const void *src, size_t len, struct bf_table **table)
{
	struct saved_table saved;
	int err;

	*table = NULL;
	if (len < sizeof(saved))
		return -EINVAL;
	memcpy(&saved, src, sizeof(saved));
	if (memcmp(saved.magic, saved_magic, sizeof(saved.magic)) ||
	    saved.len != len - sizeof(saved))
		return -EINVAL;

	err = bf_table_check((const uint8_t *)src + sizeof(saved), saved.len, table, NULL);
	return !err || err == -ENOMEM ? err : -EINVAL;
}

/* What a table without rules consists of: three policies and the end. */
struct policy_entry {
	struct ipt_entry entry;
	struct xt_standard_target target;
};

struct end_entry {
	struct ipt_entry entry;
	struct xt_error_target target;
};

struct empty_entries {
	struct policy_entry policy[3];
	struct end_entry end;
};

static void policy_init(struct policy_entry *p, int verdict)
{
	p->entry.target_offset = sizeof(p->entry);
	p->entry.next_offset = sizeof(*p);
	p->target.target.u.user.target_size = sizeof(p->target);
	p->target.verdict = -verdict - 1;
}

static void end_init(struct end_entry *e)
{
	e->entry.target_offset = sizeof(e->entry);
	e->entry.next_offset = sizeof(*e);
	e->target.target.u.user.target_size = sizeof(e->target);
	strcpy(e->target.target.u.user.name, XT_ERROR_TARGET);
	strcpy(e->target.errorname, XT_ERROR_TARGET);
}

struct bf_table *bf_table_empty(int policy)
{
	static const unsigned int hooks[3] = {NF_INET_LOCAL_IN, NF_INET_FORWARD, NF_INET_LOCAL_OUT};
	struct ipt_replace head = {
		.name = "filter",
		.valid_hooks = BF_FILTER_HOOKS,
		.num_entries = ARRAY_SIZE(hooks) + 1,
		.size = sizeof(struct empty_entries),
		.num_counters = ARRAY_SIZE(hooks) + 1,
	};
	struct empty_entries entries = {0};
	uint8_t value[sizeof(head) + sizeof(entries)];
	struct bf_table *table;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(hooks); i++) {
		head.hook_entry[hooks[i]] = i * sizeof(struct policy_entry);
		head.underflow[hooks[i]] = i * sizeof(struct policy_entry);
		policy_init(&entries.policy[i], hooks[i] == NF_INET_FORWARD ? policy : NF_ACCEPT);
	}
	end_init(&entries.end);
	memcpy(value, &head, sizeof(head));
	memcpy(value + sizeof(head), &entries, sizeof(entries));

	bf_table_check(value, sizeof(value), &table, NULL);
	return table;
}
