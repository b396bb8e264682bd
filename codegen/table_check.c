// SPDX-License-Identifier: GPL-2.0
/*
 * From an IPT_SO_SET_REPLACE option value to a checked table.
 *
 * The kernel's checks in the kernel's order (ip_tables.c and x_tables.c, Linux 6.1 to 6.18):
 * the head, every entry's layout, the entry points, which hook reaches which rule, and
 * last what each match and target says of itself. All of the layout is checked before
 * anything relies on it; after that, entries are walked by their own offsets.
 */
#include <errno.h>
#include <limits.h>
#include <stdlib.h>
#include <string.h>

#include "ext.h"
#include "table_check.h"

/* Limits that the kernel does not export. */
#define MAX_TABLE_SIZE	(512U * 1024 * 1024) /* XT_MAX_TABLE_SIZE */
#define TABLE_INFO_SIZE 64		     /* sizeof(struct xt_table_info) */

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
			      bf_place_of(c, index).text);
	match = bf_match_find(m->u.user.name, m->u.user.revision);
	if (!match)
		return bf_why(c->why, BF_NOT_TRANSLATABLE,
			      "match %s (revision %u) has no translation (%s)",
			      bf_label_of(m->u.user.name, XT_EXTENSION_MAXNAMELEN).text,
			      m->u.user.revision, bf_place_of(c, index).text);
	if (m->u.match_size != sizeof(*m) + XT_ALIGN(match->size))
		return bf_why(c->why, -EINVAL, "match %s has a wrong size (%s)", match->name,
			      bf_place_of(c, index).text);
	if (match->proto && (match->proto != e->ip.proto || e->ip.invflags & IPT_INV_PROTO))
		return bf_why(c->why, -EINVAL, "match %s without its protocol (%s)", match->name,
			      bf_place_of(c, index).text);
	err = bf_match_check(match, e, m->data, e->comefrom, &detail);
	if (err)
		return bf_why(c->why, err, "match %.120s (%s)",
			      detail.text[0] ? detail.text : match->name,
			      bf_place_of(c, index).text);

	c->t->tries |= match->tries;
	c->t->asks |= match->asks || (match->asks_if && match->asks_if(m->data));
	c->t->asks_instead |= match->asks_instead;
	used = match->usersize ? match->usersize : match->size;
	memset(m->data + used, 0, XT_ALIGN(match->size) - used);
	wipe_name(m->u.user.name);
	return 0;
}

/* A verdict or an ERROR target; @used: bytes of its data that the kernel gives back. */
static int check_builtin_target(struct table_check *c, uint32_t index, struct ipt_entry *e,
				uint32_t *used)
{
	if (target_is_error(e)) {
		/* The kernel logs each packet that comes here; iptables never does this. */
		if (e->comefrom)
			return bf_why(c->why, BF_NOT_TRANSLATABLE,
				      "a packet can reach an ERROR target (%s)",
				      bf_place_of(c, index).text);
		*used = XT_FUNCTION_MAXNAMELEN;
		return 0;
	}
	if (target_size(e) != sizeof(struct xt_standard_target))
		return bf_why(c->why, -EINVAL, "a verdict of the wrong size (%s)",
			      bf_place_of(c, index).text);
	if (target_verdict(e) == -NF_QUEUE - 1)
		return bf_why(c->why, BF_NOT_TRANSLATABLE, "target QUEUE has no translation (%s)",
			      bf_place_of(c, index).text);
	*used = sizeof(int);
	return 0;
}

/* The same for a target in the registry. */
static int check_extension(struct table_check *c, uint32_t index, struct ipt_entry *e,
			   uint32_t *used)
{
	const struct bf_target *ext = bf_target_find(target_name(e), target_revision(e));
	struct xt_entry_target *target = (void *)((char *)e + e->target_offset);
	struct bf_why detail = {""};
	int err;

	if (!ext)
		return bf_why(c->why, BF_NOT_TRANSLATABLE,
			      "target %s (revision %u) has no translation (%s)",
			      bf_label_of(target_name(e), XT_EXTENSION_MAXNAMELEN).text,
			      target_revision(e), bf_place_of(c, index).text);
	if (target_size(e) != sizeof(*target) + XT_ALIGN(ext->size))
		return bf_why(c->why, -EINVAL, "target %s has a wrong size (%s)", ext->name,
			      bf_place_of(c, index).text);
	if (ext->filter_only && strncmp(c->head->name, "filter", sizeof(c->head->name)))
		return bf_why(c->why, -EINVAL, "target %s outside of table filter (%s)", ext->name,
			      bf_place_of(c, index).text);
	if (ext->hooks && e->comefrom & BF_FILTER_HOOKS & ~ext->hooks)
		return bf_why(c->why, -EINVAL, "target %s in a hook that it is not for (%s)",
			      ext->name, bf_place_of(c, index).text);
	if (ext->proto && (ext->proto != e->ip.proto || e->ip.invflags & IPT_INV_PROTO))
		return bf_why(c->why, -EINVAL, "target %s without its protocol (%s)", ext->name,
			      bf_place_of(c, index).text);
	err = ext->check ? ext->check(e, target->data, e->comefrom, &detail) : 0;
	if (err)
		return bf_why(c->why, err, "target %.120s (%s)",
			      detail.text[0] ? detail.text : ext->name, bf_place_of(c, index).text);
	c->t->connection_marks |= ext->connection_marks;
	c->t->asks_targets |= ext->asks;
	c->t->asks |= ext->asks;
	*used = ext->usersize ? ext->usersize : ext->size;
	return 0;
}

static int check_target(struct table_check *c, uint32_t index, struct ipt_entry *e)
{
	struct xt_entry_target *target = (void *)((char *)e + e->target_offset);
	uint32_t used = 0;
	int err;

	if (strnlen(target_name(e), XT_EXTENSION_MAXNAMELEN) == XT_EXTENSION_MAXNAMELEN)
		return bf_why(c->why, -EINVAL, "a target name without end (%s)",
			      bf_place_of(c, index).text);
	if ((target_is_standard(e) || target_is_error(e)) && !target_revision(e))
		err = check_builtin_target(c, index, e, &used);
	else
		err = check_extension(c, index, e, &used);
	if (err)
		return err;
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

/* Of a match that the check may not have come to. */
static bool may_come_to_the_kernel(const struct ipt_entry *e, const struct xt_entry_match *m)
{
	const struct bf_match *match = bf_match_find(m->u.user.name, m->u.user.revision);
	struct bf_why detail = {""};

	if (!match || !match->check || m->u.match_size != sizeof(*m) + XT_ALIGN(match->size))
		return true;
	return match->check(e, m->data, e->comefrom, &detail) != -EPERM;
}

/*
 * A table that is not translated goes to ip_tables as it is, but from the helper: what means something else there must not,
 * wherever it stands.
 */
static int check_all_is_for_the_kernel(struct table_check *c)
{
	uint32_t i, pos;

	for (i = 0; i < c->t->num_entries; i++) {
		const struct ipt_entry *e = entry_at(c->t, c->t->offsets[i]);
		const struct xt_entry_match *m;

		for (pos = sizeof(*e); pos < e->target_offset; pos += m->u.match_size) {
			m = (const void *)((const char *)e + pos);
			if (!may_come_to_the_kernel(e, m))
				return bf_why(
					c->why, -EPERM,
					"match %s names what is the caller's alone (%s)",
					bf_label_of(m->u.user.name, XT_EXTENSION_MAXNAMELEN).text,
					bf_place_of(c, i).text);
		}
	}
	return BF_NOT_TRANSLATABLE;
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
			      bf_label_of(name, sizeof(name)).text);
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
		err = bf_table_check_paths(c);
	if (!err)
		err = check_extensions(c);
	if (!err)
		err = check_place(c);
	return err == BF_NOT_TRANSLATABLE ? check_all_is_for_the_kernel(c) : err;
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
