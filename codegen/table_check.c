// SPDX-License-Identifier: GPL-2.0
/*
 * From an IPT_SO_SET_REPLACE option value to a checked table.
 *
 * The kernel's checks in the kernel's order (ip_tables.c and x_tables.c, Linux 6.1 to 6.18):
 * the head, every entry's layout, the entry points, which hook reaches which rule, and
 * last what each match and target says of itself. All of the layout is checked before
 * anything relies on it; after that, entries are walked by their own offsets.
 */
#include <ctype.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "ext.h"
#include "table.h"

/* Limits that the kernel does not export. */
#define MAX_TABLE_SIZE	(512U * 1024 * 1024) /* XT_MAX_TABLE_SIZE */
#define TABLE_INFO_SIZE 64		     /* sizeof(struct xt_table_info) */

/* In comefrom while an entry is on the path that is being followed. */
#define ON_PATH (1U << NF_INET_NUMHOOKS)

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

static struct ipt_entry *entry_at(const struct bf_table *t, uint32_t offset)
{
	return (struct ipt_entry *)(t->entries + offset);
}

static bool hook_is_valid(const struct table_check *c, unsigned int hook)
{
	return c->head->valid_hooks & (1U << hook);
}

/*
 * A target may start anywhere until its rule's matches have been looked at one by one,
 * so these go through memory that need not be aligned.
 */
static const char *target_at(const struct ipt_entry *e)
{
	return (const char *)e + e->target_offset;
}

static uint16_t target_size(const struct ipt_entry *e)
{
	uint16_t size;

	memcpy(&size, target_at(e) + offsetof(struct xt_entry_target, u.target_size), sizeof(size));
	return size;
}

static const char *target_name(const struct ipt_entry *e)
{
	return target_at(e) + offsetof(struct xt_entry_target, u.user.name);
}

static uint8_t target_revision(const struct ipt_entry *e)
{
	return *(target_at(e) + offsetof(struct xt_entry_target, u.user.revision));
}

static bool target_is_standard(const struct ipt_entry *e)
{
	return strcmp(target_name(e), XT_STANDARD_TARGET) == 0;
}

static bool target_is_error(const struct ipt_entry *e)
{
	return strcmp(target_name(e), XT_ERROR_TARGET) == 0;
}

/* Only for standard targets: others may end before. */
static int32_t target_verdict(const struct ipt_entry *e)
{
	int32_t verdict;

	memcpy(&verdict, target_at(e) + offsetof(struct xt_standard_target, verdict),
	       sizeof(verdict));
	return verdict;
}

static bool is_unconditional(const struct ipt_entry *e)
{
	static const struct ipt_ip any;

	return e->target_offset == sizeof(*e) && memcmp(&e->ip, &any, sizeof(any)) == 0;
}

/* Ends whatever chain it is in: a policy, or the end of a user chain. */
static bool is_chain_end(const struct ipt_entry *e)
{
	return is_unconditional(e) && target_is_standard(e) && target_verdict(e) < 0;
}

/* A name out of the table, fit for a message: it may hold anything, and no end. */
struct label {
	char text[XT_FUNCTION_MAXNAMELEN + 1];
};

static struct label label_of(const char *name, size_t max)
{
	struct label label = {""};
	size_t i;

	for (i = 0; i < max && i < sizeof(label.text) - 1 && name[i]; i++)
		label.text[i] = isprint((unsigned char)name[i]) ? name[i] : '?';
	return label;
}

/* Where in the table, for messages: "rule 7 of chain INPUT". */
struct place {
	char text[64];
};

static struct place place_of(const struct table_check *c, uint32_t index)
{
	static const char *const hook_names[NF_INET_NUMHOOKS] = {"PREROUTING", "INPUT", "FORWARD",
								 "OUTPUT", "POSTROUTING"};
	const struct bf_table *t = c->t;
	const char *chain = NULL;
	struct place place;
	uint32_t first = 0, i;
	unsigned int h;

	for (i = 0; i <= index; i++) {
		const struct ipt_entry *e = bf_table_entry(t, i);

		for (h = 0; h < NF_INET_NUMHOOKS; h++) {
			if (hook_is_valid(c, h) && t->hook_entry[h] == t->offsets[i]) {
				chain = hook_names[h];
				first = i;
			}
		}
		if (target_is_error(e) && i < index) {
			chain = target_at(e) + offsetof(struct xt_error_target, errorname);
			first = i + 1;
		}
	}

	if (chain)
		snprintf(place.text, sizeof(place.text), "rule %u of chain %s", index - first + 1,
			 label_of(chain, XT_FUNCTION_MAXNAMELEN).text);
	else
		snprintf(place.text, sizeof(place.text), "entry %u", index + 1);
	return place;
}

int bf_table_check_head(const void *replace, size_t len, struct bf_why *why)
{
	struct ipt_replace head;

	if (len < sizeof(head))
		return bf_why(why, -EINVAL, "the table is shorter than its header");
	memcpy(&head, replace, sizeof(head));

	if (head.num_counters >= INT_MAX / sizeof(struct xt_counters))
		return bf_why(why, -ENOMEM, "%u counters are too many", head.num_counters);
	if (head.num_counters == 0)
		return bf_why(why, -EINVAL, "no room for the old counters");
	if (len < (uint64_t)head.size + sizeof(head))
		return bf_why(why, -EINVAL, "the table is cut off: %zu bytes of %zu", len,
			      sizeof(head) + head.size);
	if (head.size >= MAX_TABLE_SIZE - TABLE_INFO_SIZE)
		return bf_why(why, -ENOMEM, "a table of %u bytes is too large", head.size);
	return 0;
}

/* The matches must fill the room between the entry and its target. */
static bool matches_fit(const struct ipt_entry *e)
{
	uint32_t pos = sizeof(*e);

	while (pos < e->target_offset) {
		const struct xt_entry_match *m = (const void *)((const char *)e + pos);
		uint32_t room = e->target_offset - pos;

		if (pos % __alignof__(*m) || room < sizeof(*m))
			return false;
		if (m->u.match_size < sizeof(*m) || m->u.match_size > room)
			return false;
		pos += m->u.match_size;
	}
	return true;
}

/* A jump, or one of the verdicts that ip_tables knows. Where jumps lead comes later. */
static bool verdict_is_sound(int32_t verdict)
{
	switch (verdict) {
	case -NF_ACCEPT - 1:
	case -NF_DROP - 1:
	case -NF_QUEUE - 1:
	case XT_RETURN:
		return true;
	default:
		return verdict > 0;
	}
}

/* NULL, or what is wrong with the standard target. */
static const char *standard_target_fault(const struct ipt_entry *e)
{
	if (XT_ALIGN(e->target_offset + sizeof(struct xt_standard_target)) != e->next_offset)
		return "its verdict does not end where the rule does";
	if (!verdict_is_sound(target_verdict(e)))
		return "unknown verdict";
	return NULL;
}

static const char *error_target_fault(const struct ipt_entry *e)
{
	const char *name = target_at(e) + offsetof(struct xt_error_target, errorname);

	if (target_size(e) != sizeof(struct xt_error_target))
		return "an ERROR target of the wrong size";
	if (strnlen(name, XT_FUNCTION_MAXNAMELEN) == XT_FUNCTION_MAXNAMELEN)
		return "a chain name without end";
	return NULL;
}

/* NULL, or what is wrong with the layout of the entry at @offset. */
static const char *entry_fault(const struct bf_table *t, uint32_t offset)
{
	const struct ipt_entry *e = entry_at(t, offset);
	uint32_t room = t->size - offset;

	if (offset % __alignof__(struct ipt_entry))
		return "not aligned";
	if (room <= sizeof(*e) || e->next_offset > room)
		return "longer than the table";
	if (e->next_offset < sizeof(*e) + sizeof(struct xt_entry_target))
		return "shorter than a rule can be";
	if (e->ip.flags & ~IPT_F_MASK)
		return "unknown flags";
	if (e->ip.invflags & ~IPT_INV_MASK)
		return "unknown inversion flags";
	if (e->target_offset < sizeof(*e) ||
	    e->target_offset + sizeof(struct xt_entry_target) > e->next_offset)
		return "its target lies outside of it";
	if (target_size(e) < sizeof(struct xt_entry_target) ||
	    e->target_offset + target_size(e) > e->next_offset)
		return "its target has a wrong size";
	if (!matches_fit(e))
		return "its matches do not fill the room before the target";
	if (target_is_standard(e))
		return standard_target_fault(e);
	if (target_is_error(e))
		return error_target_fault(e);
	return NULL;
}

/* What may be at an underflow. */
static bool is_policy(const struct ipt_entry *e)
{
	int32_t verdict;

	if (!is_unconditional(e) || !target_is_standard(e))
		return false;
	verdict = target_verdict(e);
	return verdict == -NF_ACCEPT - 1 || verdict == -NF_DROP - 1;
}

static int note_hooks(struct table_check *c, uint32_t offset)
{
	struct bf_table *t = c->t;
	unsigned int h;

	for (h = 0; h < NF_INET_NUMHOOKS; h++) {
		if (!hook_is_valid(c, h))
			continue;
		if (c->head->hook_entry[h] == offset)
			t->hook_entry[h] = offset;
		if (c->head->underflow[h] != offset)
			continue;
		if (!is_policy(entry_at(t, offset)))
			return bf_why(c->why, -EINVAL, "the entry at offset %u is no policy",
				      offset);
		t->underflow[h] = offset;
	}
	return 0;
}

/* Walk the entries once: layout, where they start, entry points. */
static int check_layout(struct table_check *c)
{
	struct bf_table *t = c->t;
	const char *fault;
	uint32_t offset = 0, n = 0;
	int err;

	for (; offset < t->size; offset += entry_at(t, offset)->next_offset, n++) {
		struct ipt_entry *e = entry_at(t, offset);

		fault = entry_fault(t, offset);
		if (fault)
			return bf_why(c->why, -EINVAL, "entry %u at offset %u: %s", n + 1, offset,
				      fault);
		err = note_hooks(c, offset);
		if (err)
			return err;
		memset(&e->counters, 0, sizeof(e->counters));
		e->comefrom = 0;
		if (n < t->num_entries)
			t->offsets[n] = offset;
		if (target_is_error(e))
			t->stacksize++;
	}
	if (n != t->num_entries)
		return bf_why(c->why, -EINVAL, "%u entries instead of the %u announced", n,
			      t->num_entries);
	return 0;
}

/* Every hook in use must have its chain, and the chains must lie in the hooks' order. */
static int check_hooks(const struct table_check *c)
{
	const struct bf_table *t = c->t;
	unsigned int h, last = NF_INET_NUMHOOKS;

	for (h = 0; h < NF_INET_NUMHOOKS; h++) {
		if (!hook_is_valid(c, h))
			continue;
		if (t->hook_entry[h] == NO_OFFSET || t->underflow[h] == NO_OFFSET)
			return bf_why(c->why, -EINVAL, "hook %u has no chain or no policy", h);
		if (last < NF_INET_NUMHOOKS && (t->underflow[last] >= t->underflow[h] ||
						t->hook_entry[last] >= t->hook_entry[h]))
			return bf_why(c->why, -EINVAL, "the chain of hook %u is out of order", h);
		last = h;
	}
	return 0;
}

/*
 * The entry to look at after @pos, which does not end its chain: where it jumps to, or the
 * one behind it. NO_OFFSET if there is none.
 */
static uint32_t successor(const struct bf_table *t, uint32_t pos)
{
	const struct ipt_entry *e = entry_at(t, pos);

	if (target_is_standard(e) && target_verdict(e) >= 0) {
		uint32_t to = target_verdict(e);

		return bf_table_index(t, to) < t->num_entries ? to : NO_OFFSET;
	}
	return pos + e->next_offset < t->size ? pos + e->next_offset : NO_OFFSET;
}

/*
 * Go back along the path from @pos to the last jump. On return *@pos is that jump; false if
 * the start of the path was reached instead.
 */
static bool back_to_jump(const struct bf_table *t, uint32_t *pos)
{
	uint32_t from;

	do {
		struct ipt_entry *e = entry_at(t, *pos);

		e->comefrom ^= ON_PATH;
		from = *pos;
		*pos = e->counters.pcnt;
		e->counters.pcnt = 0;
		if (*pos == from)
			return false;
	} while (from == *pos + entry_at(t, *pos)->next_offset);
	return true;
}

/*
 * Follow every path from the entry point of @hook and mark what it reaches in comefrom.
 * The way back is kept in the packet counters, so neither depth nor jumps cost memory.
 * An entry that this hook has reached before is not followed again, which keeps this
 * linear in the number of entries.
 */
static int mark_reachable(struct table_check *c, unsigned int hook)
{
	struct bf_table *t = c->t;
	uint32_t pos = t->hook_entry[hook], next;

	entry_at(t, pos)->counters.pcnt = pos;
	for (;;) {
		struct ipt_entry *e = entry_at(t, pos);
		bool visited = e->comefrom & (1U << hook);

		if (e->comefrom & ON_PATH)
			return bf_why(c->why, -ELOOP, "%s is part of a loop",
				      place_of(c, bf_table_index(t, pos)).text);
		e->comefrom |= (1U << hook) | ON_PATH;

		if (visited || is_chain_end(e)) {
			if (!back_to_jump(t, &pos))
				return 0;
			next = pos + entry_at(t, pos)->next_offset;
			if (next >= t->size)
				next = NO_OFFSET;
		} else {
			next = successor(t, pos);
		}
		if (next == NO_OFFSET)
			return bf_why(c->why, -ELOOP, "%s leads nowhere",
				      place_of(c, bf_table_index(t, pos)).text);

		entry_at(t, next)->counters.pcnt = pos;
		pos = next;
	}
}

static int check_paths(struct table_check *c)
{
	unsigned int h;
	int err;

	for (h = 0; h < NF_INET_NUMHOOKS; h++) {
		if (!hook_is_valid(c, h))
			continue;
		err = mark_reachable(c, h);
		if (err)
			return err;
	}
	return 0;
}

/* Zero what follows the name in its field: the kernel writes the name only. */
static void wipe_name(char *name)
{
	size_t len = strlen(name);

	memset(name + len, 0, XT_EXTENSION_MAXNAMELEN - len);
}

static int check_match(struct table_check *c, uint32_t index, struct ipt_entry *e,
		       struct xt_entry_match *m)
{
	const struct bf_match *match;
	struct bf_why detail = {""};
	uint32_t used;
	int err;

	if (strnlen(m->u.user.name, XT_EXTENSION_MAXNAMELEN) == XT_EXTENSION_MAXNAMELEN)
		return bf_why(c->why, -EINVAL, "a match name without end (%s)",
			      place_of(c, index).text);
	match = bf_match_find(m->u.user.name, m->u.user.revision);
	if (!match)
		return bf_why(c->why, BF_NOT_TRANSLATABLE, "match %s revision %u (%s)",
			      label_of(m->u.user.name, XT_EXTENSION_MAXNAMELEN).text,
			      m->u.user.revision, place_of(c, index).text);
	if (m->u.match_size != sizeof(*m) + XT_ALIGN(match->size))
		return bf_why(c->why, -EINVAL, "match %s has a wrong size (%s)", match->name,
			      place_of(c, index).text);
	if (match->proto && (match->proto != e->ip.proto || e->ip.invflags & IPT_INV_PROTO))
		return bf_why(c->why, -EINVAL, "match %s without its protocol (%s)", match->name,
			      place_of(c, index).text);

	err = match->check ? match->check(e, m->data, e->comefrom, &detail) : 0;
	if (err)
		return bf_why(c->why, err, "match %s%s%.100s (%s)", match->name,
			      detail.text[0] ? ": " : "", detail.text, place_of(c, index).text);

	used = match->usersize ? match->usersize : match->size;
	memset(m->data + used, 0, XT_ALIGN(match->size) - used);
	wipe_name(m->u.user.name);
	return 0;
}

static int check_target(struct table_check *c, uint32_t index, struct ipt_entry *e)
{
	struct xt_entry_target *target = (void *)((char *)e + e->target_offset);
	uint32_t used;

	if (strnlen(target_name(e), XT_EXTENSION_MAXNAMELEN) == XT_EXTENSION_MAXNAMELEN)
		return bf_why(c->why, -EINVAL, "a target name without end (%s)",
			      place_of(c, index).text);
	if ((!target_is_standard(e) && !target_is_error(e)) || target_revision(e))
		return bf_why(c->why, BF_NOT_TRANSLATABLE, "target %s revision %u (%s)",
			      label_of(target_name(e), XT_EXTENSION_MAXNAMELEN).text,
			      target_revision(e), place_of(c, index).text);

	if (target_is_standard(e)) {
		if (target_size(e) != sizeof(struct xt_standard_target))
			return bf_why(c->why, -EINVAL, "a verdict of the wrong size (%s)",
				      place_of(c, index).text);
		if (target_verdict(e) == -NF_QUEUE - 1)
			return bf_why(c->why, BF_NOT_TRANSLATABLE, "target QUEUE (%s)",
				      place_of(c, index).text);
		used = sizeof(int);
	} else {
		/* The kernel logs each packet that comes here; iptables never does this. */
		if (e->comefrom)
			return bf_why(c->why, BF_NOT_TRANSLATABLE, "reachable ERROR target (%s)",
				      place_of(c, index).text);
		used = XT_FUNCTION_MAXNAMELEN;
	}
	memset(target->data + used, 0, e->next_offset - e->target_offset - sizeof(*target) - used);
	wipe_name(target->u.user.name);
	return 0;
}

/* Each match and target must be known, fit its structure, and agree. */
static int check_extensions(struct table_check *c)
{
	uint32_t i, pos;
	int err;

	for (i = 0; i < c->t->num_entries; i++) {
		struct ipt_entry *e = entry_at(c->t, c->t->offsets[i]);
		struct xt_entry_match *m;

		for (pos = sizeof(*e); pos < e->target_offset; pos += m->u.match_size) {
			m = (void *)((char *)e + pos);
			err = check_match(c, i, e, m);
			if (err)
				return err;
		}
		err = check_target(c, i, e);
		if (err)
			return err;
	}
	return 0;
}

/* What the kernel asks only when it is about to put the table in force. */
static int check_place(const struct table_check *c)
{
	char name[XT_TABLE_MAXNAMELEN];

	if (c->head->num_counters > MAX_TABLE_SIZE / sizeof(struct xt_counters))
		return bf_why(c->why, -ENOMEM, "%u counters are too many", c->head->num_counters);
	memcpy(name, c->head->name, sizeof(name));
	name[sizeof(name) - 1] = '\0';
	if (strcmp(name, "filter"))
		return bf_why(c->why, -ENOENT, "there is no table %s here",
			      label_of(name, sizeof(name)).text);
	if (c->head->valid_hooks != BF_FILTER_HOOKS)
		return bf_why(c->why, -EINVAL, "the filter table has other hooks than 0x%x",
			      c->head->valid_hooks);
	return 0;
}

static int check_all(struct table_check *c)
{
	int err;

	err = check_layout(c);
	if (!err)
		err = check_hooks(c);
	if (!err)
		err = check_paths(c);
	if (!err)
		err = check_extensions(c);
	if (!err)
		err = check_place(c);
	return err;
}

/* A table with a copy of the entries, nothing of it checked yet. */
static struct bf_table *table_alloc(const struct ipt_replace *head, const void *entries)
{
	const uint32_t smallest = sizeof(struct ipt_entry) + sizeof(struct xt_entry_target);
	struct bf_table *t = calloc(1, sizeof(*t));
	uint32_t n = head->num_entries;

	if (!t)
		return NULL;
	t->size = head->size;
	t->num_entries = n;
	memset(t->hook_entry, 0xff, sizeof(t->hook_entry));
	memset(t->underflow, 0xff, sizeof(t->underflow));

	/* What is announced may be anything; no more than this can be there. */
	if (n > t->size / smallest)
		n = t->size / smallest;
	t->offsets = calloc((size_t)n + 1, sizeof(*t->offsets));
	t->entries = malloc((size_t)t->size + 1);
	if (!t->offsets || !t->entries) {
		bf_table_free(t);
		return NULL;
	}
	memcpy(t->entries, entries, t->size);
	return t;
}

int bf_table_check(const void *replace, size_t len, struct bf_table **table, struct bf_why *why)
{
	struct table_check c = {.why = why};
	struct ipt_replace head;
	int err;

	*table = NULL;
	err = bf_table_check_head(replace, len, why);
	if (err)
		return err;
	memcpy(&head, replace, sizeof(head));
	if (head.num_entries > MAX_TABLE_SIZE / sizeof(unsigned int))
		return bf_why(why, -ENOMEM, "%u entries are too many", head.num_entries);

	c.head = &head;
	c.t = table_alloc(&head, (const uint8_t *)replace + sizeof(head));
	if (!c.t)
		return bf_why(why, -ENOMEM, "no memory for a table of %u bytes", head.size);

	err = check_all(&c);
	if (err)
		bf_table_free(c.t);
	else
		*table = c.t;
	return err;
}
