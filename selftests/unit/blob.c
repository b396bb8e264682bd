// SPDX-License-Identifier: GPL-2.0
#include "blob.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void blob_free(struct blob *b)
{
	free(b->data);
	memset(b, 0, sizeof(*b));
}

/* @size zero bytes at the end. A test without memory has nothing to tell. */
static void *grow(struct blob *b, size_t size)
{
	if (!b->len)
		size += sizeof(struct ipt_replace);
	if (b->len + size > b->max) {
		b->max = 2 * (b->len + size);
		b->data = realloc(b->data, b->max);
		if (!b->data)
			abort();
	}
	memset(b->data + b->len, 0, size);
	b->len += size;
	return b->data + b->len - size;
}

static void need_head(struct blob *b)
{
	if (!b->len)
		grow(b, 0);
}

uint32_t blob_here(struct blob *b)
{
	need_head(b);
	return b->len - sizeof(struct ipt_replace);
}

struct ipt_entry *blob_entry(struct blob *b, uint32_t offset)
{
	return (struct ipt_entry *)(b->data + sizeof(struct ipt_replace) + offset);
}

struct ipt_ip *blob_begin(struct blob *b)
{
	struct ipt_entry *e;

	b->rule = blob_here(b);
	e = grow(b, sizeof(*e));
	e->target_offset = sizeof(*e);
	return &e->ip;
}

void blob_match(struct blob *b, const char *name, uint8_t revision, const void *info, size_t size)
{
	size_t room = XT_ALIGN(sizeof(struct xt_entry_match) + size);
	struct xt_entry_match *m = grow(b, room);

	strcpy(m->u.user.name, name);
	m->u.user.revision = revision;
	m->u.match_size = room;
	memcpy(m->data, info, size);
	blob_entry(b, b->rule)->target_offset += room;
}

static void end_entry(struct blob *b)
{
	struct ipt_entry *e = blob_entry(b, b->rule);

	e->next_offset = blob_here(b) - b->rule;
	blob_head(b)->num_entries++;
	blob_head(b)->size = blob_here(b);
}

uint32_t blob_end(struct blob *b, int verdict)
{
	struct xt_standard_target *t = grow(b, sizeof(*t));

	t->target.u.user.target_size = sizeof(*t);
	t->verdict = verdict == BLOB_NEXT ? (int)blob_here(b) : verdict;
	end_entry(b);
	return b->rule;
}

uint32_t blob_end_target(struct blob *b, const char *name, uint8_t revision, const void *info,
			 size_t size)
{
	size_t room = XT_ALIGN(sizeof(struct xt_entry_target) + size);
	struct xt_entry_target *t = grow(b, room);

	strcpy(t->u.user.name, name);
	t->u.user.revision = revision;
	t->u.user.target_size = room;
	memcpy(t->data, info, size);
	end_entry(b);
	return b->rule;
}

uint32_t blob_rule(struct blob *b, int verdict)
{
	blob_begin(b);
	return blob_end(b, verdict);
}

void blob_set_verdict(struct blob *b, uint32_t offset, int verdict)
{
	struct ipt_entry *e = blob_entry(b, offset);
	struct xt_standard_target *t = (void *)((char *)e + e->target_offset);

	t->verdict = verdict;
}

void blob_hook(struct blob *b, unsigned int hook)
{
	uint32_t here = blob_here(b);

	blob_head(b)->hook_entry[hook] = here;
	blob_head(b)->valid_hooks |= 1U << hook;
}

uint32_t blob_policy(struct blob *b, unsigned int hook, int verdict)
{
	uint32_t here = blob_here(b);

	blob_head(b)->underflow[hook] = here;
	return blob_rule(b, verdict);
}

void blob_empty_hook(struct blob *b, unsigned int hook, int verdict)
{
	blob_hook(b, hook);
	blob_policy(b, hook, verdict);
}

uint32_t blob_chain(struct blob *b, const char *name)
{
	struct xt_error_target *t;

	blob_begin(b);
	t = grow(b, sizeof(*t));
	t->target.u.user.target_size = sizeof(*t);
	strcpy(t->target.u.user.name, XT_ERROR_TARGET);
	strcpy(t->errorname, name);
	end_entry(b);
	return blob_here(b);
}

void blob_finish(struct blob *b)
{
	blob_chain(b, XT_ERROR_TARGET);
	strcpy(blob_head(b)->name, "filter");
	blob_head(b)->num_counters = blob_head(b)->num_entries;
}

void blob_empty(struct blob *b, int policy)
{
	blob_empty_hook(b, NF_INET_LOCAL_IN, policy);
	blob_empty_hook(b, NF_INET_FORWARD, policy);
	blob_empty_hook(b, NF_INET_LOCAL_OUT, policy);
	blob_finish(b);
}

struct bf_table *blob_table(struct blob *b)
{
	struct bf_table *table;
	struct bf_why why = {};
	int err = bf_table_check(b->data, b->len, &table, &why);

	if (err) {
		bf_table_free(table);
		printf("# table refused: %d %s\n", err, why.text);
		return NULL;
	}
	return table;
}
