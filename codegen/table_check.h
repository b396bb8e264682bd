/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the steps of the check share: table_check.c, table_paths.c and table_place.c.
 */
#ifndef BPFILTER_TABLE_CHECK_H
#define BPFILTER_TABLE_CHECK_H

#include <string.h>

#include "table.h"

/* An entry point or underflow at which no entry starts, or of an unused hook. */
#define NO_OFFSET UINT32_MAX

/**
 * struct table_check - a table on its way through the checks
 * @head: as the caller sent it
 * @t: what has been found out so far; entries is a copy that may be written
 */
struct table_check {
	const struct ipt_replace *head;
	struct bf_table *t;
	struct bf_why *why;
};

static inline struct ipt_entry *entry_at(const struct bf_table *t, uint32_t offset)
{
	return (struct ipt_entry *)(t->entries + offset);
}

static inline bool hook_is_valid(const struct table_check *c, unsigned int hook)
{
	return c->head->valid_hooks & (1U << hook);
}

/*
 * A target may start anywhere until its rule's matches have been looked at one by one,
 * so these go through memory that need not be aligned.
 */
static inline const char *target_at(const struct ipt_entry *e)
{
	return (const char *)e + e->target_offset;
}

static inline uint16_t target_size(const struct ipt_entry *e)
{
	uint16_t size;

	memcpy(&size, target_at(e) + offsetof(struct xt_entry_target, u.target_size), sizeof(size));
	return size;
}

static inline const char *target_name(const struct ipt_entry *e)
{
	return target_at(e) + offsetof(struct xt_entry_target, u.user.name);
}

static inline uint8_t target_revision(const struct ipt_entry *e)
{
	return *(target_at(e) + offsetof(struct xt_entry_target, u.user.revision));
}

static inline bool target_is_standard(const struct ipt_entry *e)
{
	return strcmp(target_name(e), XT_STANDARD_TARGET) == 0;
}

/* Hardly any is, which the first letter tells. */
static inline bool target_is_error(const struct ipt_entry *e)
{
	const char *name = target_name(e);

	return *name == *XT_ERROR_TARGET && strcmp(name, XT_ERROR_TARGET) == 0;
}

/* Only for standard targets: others may end before. */
static inline int32_t target_verdict(const struct ipt_entry *e)
{
	int32_t verdict;

	memcpy(&verdict, target_at(e) + offsetof(struct xt_standard_target, verdict),
	       sizeof(verdict));
	return verdict;
}

static inline bool is_unconditional(const struct ipt_entry *e)
{
	static const struct ipt_ip any;

	return e->target_offset == sizeof(*e) && memcmp(&e->ip, &any, sizeof(any)) == 0;
}

/* A name out of the table, fit for a message: it may hold anything, and no end. */
struct bf_label {
	char text[XT_FUNCTION_MAXNAMELEN + 1];
};

struct bf_label bf_label_of(const char *name, size_t max);

/* Where in the table, for messages: "rule 7 of chain INPUT". O(n). */
struct bf_place {
	char text[64];
};

struct bf_place bf_place_of(const struct table_check *c, uint32_t index);

/**
 * bf_table_check_paths - which hook reaches which rule
 *
 * The layout and the hooks have been checked. Fills in comefrom. -ELOOP for a loop, and for
 * anything that leads out of the table or between two rules (mark_source_chains()).
 */
int bf_table_check_paths(struct table_check *c);

#endif /* BPFILTER_TABLE_CHECK_H */
