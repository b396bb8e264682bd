// SPDX-License-Identifier: GPL-2.0
/*
 * The checked table: making, finding, showing and keeping one. How an option value
 * becomes one is in table_check.c.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "squeeze.h"
#include "table.h"

/*
 * A saved table is this and the entries as bf_squeeze() writes them. Loading makes an option value of it
 * and checks that like any other, so that what was damaged or written by another release is refused
 * rather than believed.
 */
struct saved_table {
	char magic[8];
	struct ipt_replace head;
};

static const char saved_magic[8] = "bf-tbl2";

/* No entries become so many times smaller: for whatever says that it holds more, no memory is taken. */
#define MOST_SQUEEZED 2048

void bf_table_free(struct bf_table *t)
{
	if (!t)
		return;
	free(t->offsets);
	free(t->entries);
	free(t->saved);
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

/* Where the squeezed entries begin. */
static const uint8_t *squeezed(const struct bf_table *t, size_t *len)
{
	*len = t->saved_len - sizeof(struct saved_table);
	return (const uint8_t *)t->saved + sizeof(struct saved_table);
}

/* Checked, so that who follows the entries' sizes stays in @dst. */
static int copy_entries(const struct bf_table *t, uint8_t *dst)
{
	const uint8_t *src;
	size_t len;

	if (t->entries) {
		memcpy(dst, t->entries, t->size);
		return 0;
	}
	src = squeezed(t, &len);
	return bf_unsqueeze(src, len, dst, t->size);
}

int bf_table_show(const struct bf_table *t, const struct xt_counters *counters, void *dst)
{
	uint8_t *p = dst;
	uint16_t size;
	uint32_t i;
	int err;

	/* bf_table_check() has already wiped what the kernel would not copy out. */
	err = copy_entries(t, dst);
	if (err)
		return err;
	for (i = 0; i < t->num_entries; i++) {
		memcpy(p + offsetof(struct ipt_entry, counters), &counters[i], sizeof(counters[i]));
		memcpy(&size, p + offsetof(struct ipt_entry, next_offset), sizeof(size));
		p += size;
	}
	return 0;
}

size_t bf_table_replace_size(const struct bf_table *t)
{
	return sizeof(struct ipt_replace) + t->size;
}

static void make_head(const struct bf_table *t, struct ipt_replace *head)
{
	*head = (struct ipt_replace){
		.name = "filter",
		.valid_hooks = BF_FILTER_HOOKS,
		.num_entries = t->num_entries,
		.size = t->size,
		.num_counters = t->num_entries,
	};
	memcpy(head->hook_entry, t->hook_entry, sizeof(head->hook_entry));
	memcpy(head->underflow, t->underflow, sizeof(head->underflow));
}

int bf_table_to_replace(const struct bf_table *t, void *dst)
{
	struct ipt_replace head;

	make_head(t, &head);
	memcpy(dst, &head, sizeof(head));
	return copy_entries(t, (uint8_t *)dst + sizeof(head));
}

int bf_table_save(struct bf_table *t, const void **result, size_t *len)
{
	struct saved_table *saved = t->saved;

	if (!saved) {
		saved = malloc(sizeof(*saved) + bf_squeeze_bound(t->size, t->num_entries));
		if (!saved)
			return -ENOMEM;
		memcpy(saved->magic, saved_magic, sizeof(saved->magic));
		make_head(t, &saved->head);
		t->saved_len = sizeof(*saved) + bf_squeeze(t, (uint8_t *)(saved + 1));
		/* Becoming smaller, it need not move, but may. */
		t->saved = realloc(saved, t->saved_len) ?: saved;
	}
	*result = t->saved;
	*len = t->saved_len;
	return 0;
}

void bf_table_fold(struct bf_table *t)
{
	if (!t->saved)
		return;
	free(t->offsets);
	free(t->entries);
	t->offsets = NULL;
	t->entries = NULL;
}

int bf_table_load(const void *src, size_t len, struct bf_table **table)
{
	const uint8_t *entries = (const uint8_t *)src + sizeof(struct saved_table);
	struct saved_table saved;
	uint8_t *value;
	int err;

	*table = NULL;
	if (len < sizeof(saved))
		return -EINVAL;
	memcpy(&saved, src, sizeof(saved));
	len -= sizeof(saved);
	if (memcmp(saved.magic, saved_magic, sizeof(saved.magic)) ||
	    saved.head.size / MOST_SQUEEZED > len)
		return -EINVAL;

	value = malloc(sizeof(saved.head) + saved.head.size);
	if (!value)
		return -ENOMEM;
	memcpy(value, &saved.head, sizeof(saved.head));
	err = bf_unsqueeze(entries, len, value + sizeof(saved.head), saved.head.size);
	if (!err)
		err = bf_table_check(value, sizeof(saved.head) + saved.head.size, table, NULL);
	free(value);
	return !err || err == -ENOMEM ? err : -EINVAL;
}

int bf_table_copy(struct bf_table *t, struct bf_table **copy)
{
	const void *saved;
	size_t len;

	*copy = NULL;
	return bf_table_save(t, &saved, &len) ?: bf_table_load(saved, len, copy);
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
