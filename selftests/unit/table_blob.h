/* SPDX-License-Identifier: GPL-2.0 */
/* An option value that is built entry by entry, and the check of it: for tests of tables. */
#ifndef SELFTESTS_TABLE_BLOB_H
#define SELFTESTS_TABLE_BLOB_H

#include <stdlib.h>
#include <string.h>

#include "bpfilter.h"
#include "kselftest_harness.h"
#include "table.h"

#define HEAD	      sizeof(struct ipt_replace)
#define ENTRY	      sizeof(struct ipt_entry)
#define STANDARD_SIZE (ENTRY + sizeof(struct xt_standard_target))
#define ERROR_SIZE    (ENTRY + sizeof(struct xt_error_target))
#define ACCEPT	      (-NF_ACCEPT - 1)
#define DROP	      (-NF_DROP - 1)

/* An option value under construction. */
struct blob {
	uint8_t *data;
	size_t len, max;
};

static inline struct ipt_replace *head_of(struct blob *b)
{
	return (struct ipt_replace *)b->data;
}

/* Where the next entry goes, in bytes from the first. */
static inline uint32_t here(const struct blob *b)
{
	return b->len - HEAD;
}

static inline struct ipt_entry *entry_at(struct blob *b, uint32_t offset)
{
	return (struct ipt_entry *)(b->data + HEAD + offset);
}

static inline struct ipt_entry *add_entry(struct blob *b, size_t size)
{
	struct ipt_entry *e = (void *)(b->data + b->len);

	if (b->len + size > b->max)
		abort();
	memset(e, 0, size);
	e->target_offset = ENTRY;
	e->next_offset = size;
	b->len += size;
	head_of(b)->size += size;
	head_of(b)->num_entries++;
	return e;
}

static inline void *target_of(struct ipt_entry *e)
{
	return (char *)e + e->target_offset;
}

/* A rule without conditions. Returns its offset. */
static inline uint32_t add_rule(struct blob *b, int verdict)
{
	uint32_t offset = here(b);
	struct ipt_entry *e = add_entry(b, STANDARD_SIZE);
	struct xt_standard_target *t = target_of(e);

	t->target.u.user.target_size = sizeof(*t);
	t->verdict = verdict;
	return offset;
}

/* One that does not always match. */
static inline uint32_t add_condition(struct blob *b, int verdict)
{
	uint32_t offset = add_rule(b, verdict);

	entry_at(b, offset)->ip.src.s_addr = 1;
	entry_at(b, offset)->ip.smsk.s_addr = UINT32_MAX;
	return offset;
}

static inline uint32_t add_match_rule(struct blob *b, int verdict, const char *name,
				      unsigned int revision, const void *info, size_t size,
				      unsigned int proto)
{
	size_t room = sizeof(struct xt_entry_match) + XT_ALIGN(size);
	uint32_t offset = here(b);
	struct ipt_entry *e = add_entry(b, STANDARD_SIZE + room);
	struct xt_entry_match *m = (void *)e->elems;
	struct xt_standard_target *t;

	m->u.match_size = room;
	strcpy(m->u.user.name, name);
	m->u.user.revision = revision;
	memcpy(m->data, info, size);
	e->target_offset += room;
	e->ip.proto = proto;
	t = target_of(e);
	t->target.u.user.target_size = sizeof(*t);
	t->verdict = verdict;
	return offset;
}

/* The head of a user chain, or the end of the table. Returns where the chain's rules begin. */
static inline uint32_t add_chain(struct blob *b, const char *name)
{
	struct ipt_entry *e = add_entry(b, ERROR_SIZE);
	struct xt_error_target *t = target_of(e);

	t->target.u.user.target_size = sizeof(*t);
	strcpy(t->target.u.user.name, XT_ERROR_TARGET);
	strcpy(t->errorname, name);
	return here(b);
}

static inline void hook_here(struct blob *b, unsigned int hook)
{
	head_of(b)->hook_entry[hook] = here(b);
}

static inline void policy_here(struct blob *b, unsigned int hook, int verdict)
{
	head_of(b)->underflow[hook] = here(b);
	add_rule(b, verdict);
}

static inline void blob_init(struct blob *b, size_t max)
{
	b->max = max;
	b->data = calloc(1, max);
	b->len = HEAD;
	strcpy(head_of(b)->name, "filter");
	head_of(b)->valid_hooks = BF_FILTER_HOOKS;
	head_of(b)->num_counters = 4;
}

/*
 * The table most tests change:
 *	INPUT: conditional jump to "one", conditional DROP; FORWARD: nothing; OUTPUT: conditional
 *	goto "two"; one: jump to "two", RETURN; two: conditional ACCEPT; idle: nothing calls it
 */
FIXTURE(table)
{
	struct blob b;
	uint32_t in_jump, in_drop, out_goto, one, one_jump, two, idle, end;
	struct bf_table *t;
	struct bf_why why;
};

static inline void fill(FIXTURE_DATA(table) * self)
{
	struct blob *b = &self->b;
	struct xt_standard_target *t;

	hook_here(b, NF_INET_LOCAL_IN);
	self->in_jump = add_condition(b, 0);
	self->in_drop = add_condition(b, DROP);
	policy_here(b, NF_INET_LOCAL_IN, DROP);
	hook_here(b, NF_INET_FORWARD);
	policy_here(b, NF_INET_FORWARD, ACCEPT);
	hook_here(b, NF_INET_LOCAL_OUT);
	self->out_goto = add_condition(b, 0);
	entry_at(b, self->out_goto)->ip.flags = IPT_F_GOTO;
	policy_here(b, NF_INET_LOCAL_OUT, ACCEPT);
	self->one = add_chain(b, "one");
	self->one_jump = add_rule(b, 0);
	add_rule(b, XT_RETURN);
	self->two = add_chain(b, "two");
	add_condition(b, ACCEPT);
	add_rule(b, XT_RETURN);
	self->idle = add_chain(b, "idle");
	add_rule(b, XT_RETURN);
	self->end = here(b);
	add_chain(b, XT_ERROR_TARGET);

	t = target_of(entry_at(b, self->in_jump));
	t->verdict = self->one;
	t = target_of(entry_at(b, self->out_goto));
	t->verdict = self->two;
	t = target_of(entry_at(b, self->one_jump));
	t->verdict = self->two;
}

FIXTURE_SETUP(table)
{
	blob_init(&self->b, 65536);
	fill(self);
}

FIXTURE_TEARDOWN(table)
{
	bf_table_free(self->t);
	free(self->b.data);
}

/* Check it in memory of exactly its length, so that a sanitizer sees a read beyond. */
static inline int check(FIXTURE_DATA(table) * self)
{
	size_t len = self->b.len;
	void *exact = malloc(len ? len : 1);
	int err;

	bf_table_free(self->t);
	memcpy(exact, self->b.data, len);
	memset(&self->why, 0, sizeof(self->why));
	err = bf_table_check(exact, len, &self->t, &self->why);
	free(exact);
	return err;
}

static inline void set_verdict(FIXTURE_DATA(table) * self, uint32_t offset, int verdict)
{
	struct xt_standard_target *t = target_of(entry_at(&self->b, offset));

	t->verdict = verdict;
}

#endif /* SELFTESTS_TABLE_BLOB_H */
