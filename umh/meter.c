// SPDX-License-Identifier: GPL-2.0
#include "meter.h"

#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* --- one table -------------------------------------------------------------------------------- */

static void free_table(struct bf_metered *t)
{
	bf_ruleset_free(&t->rules);
	free(t->counts);
	memset(t, 0, sizeof(*t));
}

/* Are two entries the same rule, whatever they have counted? */
static bool same_entry(const struct ipt_entry *a, const struct ipt_entry *b)
{
	const size_t head = offsetof(struct ipt_entry, counters);

	return a->next_offset == b->next_offset && !memcmp(a, b, head) &&
	       !memcmp(a->elems, b->elems, a->next_offset - sizeof(*a));
}

/* Has the record the rules that the table has? */
static bool is_unchanged(const struct bf_metered *t, const struct bf_table_record *r)
{
	const struct ipt_entry *e;
	uint32_t offset = 0, i;

	if (!t->rules.replace || t->rules.replace->size != r->info.size ||
	    t->rules.nr_entries != r->info.num_entries)
		return false;
	for (i = 0; i < t->rules.nr_entries; i++) {
		e = (const void *)r->entries + offset;
		if (!same_entry(t->rules.entries[i], e))
			return false;
		offset += e->next_offset;
	}
	return true;
}

/* The rules are those that are known already: what have they counted? */
static void count_on(struct bf_metered *t, const struct bf_table_record *r)
{
	const struct ipt_entry *e;
	uint32_t offset = 0, i;

	t->taken_ns = r->taken_ns;
	t->due = r->due;
	for (i = 0; i < t->rules.nr_entries; i++) {
		e = (const void *)r->entries + offset;
		t->counts[i].now = e->counters;
		offset += e->next_offset;
	}
}

static int read_table(struct bf_metered *t, const struct bf_table_record *r)
{
	struct bf_why why = {};
	uint32_t i, n;
	int err, exit_code;

	memset(t, 0, sizeof(*t));
	t->inode = r->inode;
	t->taken_ns = r->taken_ns;
	t->due = r->due;
	memcpy(t->name, r->name, sizeof(t->name) - 1);
	err = r->info.size ? bf_ruleset_copy(&t->rules, &r->info, r->entries, &why) : 0;
	n = err ? 0 : t->rules.nr_entries;
	t->counts = calloc(n ?: 1, sizeof(*t->counts));
	if (err || !t->counts) {
		free_table(t);
		return err == -EINVAL ? -EPROTO : err ?: -ENOMEM;
	}
	for (i = 0; i < n; i++)
		t->counts[i].now = t->rules.entries[i]->counters;
	/* Without iptables its rules have no names but their numbers. */
	if (n && bf_ruleset_rules(&t->rules))
		bf_ruleset_print(&t->rules, &exit_code, &why);
	return 0;
}

/* --- what came to it -------------------------------------------------------------------------- */

static bool is_less(const struct xt_counters *a, const struct xt_counters *b)
{
	return a->pcnt < b->pcnt || a->bcnt < b->bcnt;
}

static void measure(struct bf_count *c, uint64_t now_ns, const struct xt_counters *base,
		    uint64_t base_ns)
{
	c->seconds = now_ns > base_ns ? (now_ns - base_ns) / 1e9 : 0;
	c->delta.pcnt = c->now.pcnt - base->pcnt;
	c->delta.bcnt = c->now.bcnt - base->bcnt;
}

/* @before: what the rule had counted at @before_ns. */
static void compare(struct bf_metered *t, uint32_t entry, const struct bf_count *before,
		    uint64_t before_ns)
{
	struct bf_count *c = &t->counts[entry];
	const struct xt_counters *base = &before->now;
	uint64_t base_ns = before_ns;

	/* What it had has been given back meanwhile. */
	if (before->base_ns && !is_less(&c->now, &before->base)) {
		base = &before->base;
		base_ns = before->base_ns;
	}
	c->base_ns = 0;
	c->seconds = 0;
	if (!is_less(&c->now, base)) {
		measure(c, t->taken_ns, base, base_ns);
	} else {
		c->base = *base;
		c->base_ns = base_ns;
	}
}

/* The same rule in the table as it was. */
static void compare_to(struct bf_metered *t, uint32_t entry, const struct bf_metered *old,
		       uint32_t old_entry)
{
	compare(t, entry, &old->counts[old_entry], old->taken_ns);
}

static bool same_text(const struct bf_metered *a, uint32_t i, const struct bf_metered *b,
		      uint32_t j)
{
	return a->rules.texts[i] && b->rules.texts[j] &&
	       !strcmp(a->rules.texts[i], b->rules.texts[j]);
}

/* A rule between those that are alike at both ends. */
struct middle {
	const char *text;
	uint32_t entry;
};

static int by_text(const void *a, const void *b)
{
	const struct middle *x = a, *y = b;

	return strcmp(x->text, y->text) ?: (x->entry > y->entry) - (x->entry < y->entry);
}

/* @nr rules from @first on, those with the same text one behind the other. NULL without memory or texts. */
static struct middle *sort_middle(const struct bf_metered *t, uint32_t first, uint32_t nr)
{
	struct middle *m = calloc(nr ?: 1, sizeof(*m));
	uint32_t i;

	for (i = 0; m && i < nr; i++) {
		m[i] = (struct middle){t->rules.texts[first + i], first + i};
		if (!m[i].text) {
			free(m);
			return NULL;
		}
	}
	if (m && nr)
		qsort(m, nr, sizeof(*m), by_text);
	return m;
}

/* Rules have come and gone in more than one place: the first with a text is the first with that, and so on. */
static void compare_middle(struct bf_metered *t, uint32_t first, uint32_t nr,
			   const struct bf_metered *old, uint32_t old_first, uint32_t old_nr)
{
	struct middle *m = sort_middle(t, first, nr), *o = sort_middle(old, old_first, old_nr);
	uint32_t i = 0, j = 0;
	int order;

	while (m && o && i < nr && j < old_nr) {
		order = strcmp(m[i].text, o[j].text);
		if (!order)
			compare_to(t, m[i].entry, old, o[j].entry);
		i += order <= 0;
		j += order >= 0;
	}
	free(m);
	free(o);
}

/* Rules that were there before: mostly a few have come or gone in one place. */
static void compare_chain(struct bf_metered *t, const struct bf_chain *c,
			  const struct bf_metered *old, const struct bf_chain *o)
{
	uint32_t least = c->nr < o->nr ? c->nr : o->nr, head, tail;

	for (head = 0; head < least && same_text(t, c->first + head, old, o->first + head); head++)
		compare_to(t, c->first + head, old, o->first + head);
	for (tail = 0; tail < least - head; tail++) {
		uint32_t i = c->first + c->nr - 1 - tail, j = o->first + o->nr - 1 - tail;

		if (!same_text(t, i, old, j))
			break;
		compare_to(t, i, old, j);
	}
	compare_middle(t, c->first + head, c->nr - head - tail, old, o->first + head,
		       o->nr - head - tail);
	/* The policy */
	compare_to(t, c->first + c->nr, old, o->first + o->nr);
}

/* Chains mostly stay in their order. */
static void compare_changed(struct bf_metered *t, const struct bf_metered *old)
{
	uint32_t i, n = 0, tries;

	for (i = 0; i < t->rules.nr_chains; i++) {
		for (tries = 0; tries < old->rules.nr_chains; tries++) {
			const struct bf_chain *c = &t->rules.chains[i];
			const struct bf_chain *o = &old->rules.chains[n];

			n = (n + 1) % old->rules.nr_chains;
			if (c->hook != o->hook || strcmp(c->name, o->name))
				continue;
			compare_chain(t, c, old, o);
			break;
		}
	}
}

/* Take what there is of the table before. */
static int sample_table(struct bf_metered *t, struct bf_metered *old,
			const struct bf_table_record *r)
{
	struct bf_count *before;
	uint64_t before_ns;
	uint32_t i;
	int err;

	if (!old || !is_unchanged(old, r)) {
		err = read_table(t, r);
		if (!err && old)
			compare_changed(t, old);
		return err;
	}
	before = malloc((old->rules.nr_entries ?: 1) * sizeof(*before));
	if (!before)
		return -ENOMEM;
	*t = *old;
	memset(old, 0, sizeof(*old));
	memcpy(before, t->counts, t->rules.nr_entries * sizeof(*before));
	before_ns = t->taken_ns;
	count_on(t, r);
	for (i = 0; i < t->rules.nr_entries; i++)
		compare(t, i, &before[i], before_ns);
	free(before);
	return 0;
}

/* --- all tables ------------------------------------------------------------------------------- */

static struct bf_metered *find(const struct bf_meter *m, uint64_t inode)
{
	size_t i;

	for (i = 0; i < m->nr; i++)
		if (m->tables[i].inode == inode)
			return &m->tables[i];
	return NULL;
}

/* The record at @offset if there is one, all of it, with entries that are ones. */
static const struct bf_table_record *record_at(const void *records, size_t len, size_t offset)
{
	const struct bf_table_record *r = records + offset;
	const struct ipt_entry *e;
	uint32_t at, n = 0;

	if (len - offset < sizeof(*r) || r->skip < sizeof(*r) || r->skip > len - offset ||
	    r->skip % __alignof__(*r) || r->info.size > r->skip - sizeof(*r))
		return NULL;
	for (at = 0; at < r->info.size; at += e->next_offset, n++) {
		e = (const void *)r->entries + at;
		if (r->info.size - at < sizeof(*e) || e->next_offset < sizeof(*e) ||
		    e->next_offset > r->info.size - at)
			return NULL;
	}
	return n == r->info.num_entries ? r : NULL;
}

static int by_name(const void *a, const void *b)
{
	const struct bf_metered *x = a, *y = b;

	return strcmp(x->name, y->name) ?: (x->inode > y->inode) - (x->inode < y->inode);
}

int bf_meter_take(struct bf_meter *m, const void *records, size_t len)
{
	struct bf_meter next = {};
	const struct bf_table_record *r;
	size_t offset, room = 0;
	int err = 0;

	for (offset = 0; offset < len; offset += r->skip, room++) {
		r = record_at(records, len, offset);
		if (!r)
			return -EPROTO;
	}
	next.tables = calloc(room ?: 1, sizeof(*next.tables));
	if (!next.tables)
		return -ENOMEM;
	for (offset = 0; offset < len && !err; offset += r->skip) {
		r = records + offset;
		err = sample_table(&next.tables[next.nr], find(m, r->inode), r);
		next.nr += !err;
	}
	if (next.nr)
		qsort(next.tables, next.nr, sizeof(*next.tables), by_name);
	bf_meter_free(m);
	*m = next;
	return err;
}

void bf_meter_free(struct bf_meter *m)
{
	while (m->nr)
		free_table(&m->tables[--m->nr]);
	free(m->tables);
	memset(m, 0, sizeof(*m));
}

/* --- the busiest ------------------------------------------------------------------------------ */

static bool is_busier(const struct bf_rate *a, const struct bf_rate *b)
{
	if (a->packets != b->packets)
		return a->packets > b->packets;
	if (a->bytes != b->bytes)
		return a->bytes > b->bytes;
	return a->total.pcnt > b->total.pcnt;
}

/* Put it where it belongs among the @n that are there; the last one may have to go. */
static size_t insert(struct bf_rate *top, size_t n, size_t max, const struct bf_rate *rate)
{
	size_t i;

	if (n == max && (!max || !is_busier(rate, &top[n - 1])))
		return n;
	for (i = n < max ? n : n - 1; i && is_busier(rate, &top[i - 1]); i--)
		top[i] = top[i - 1];
	top[i] = *rate;
	return n < max ? n + 1 : n;
}

static struct bf_rate rate_of(const struct bf_metered *t, uint32_t entry)
{
	const struct bf_count *c = &t->counts[entry];
	struct bf_rate r = {.table = t, .entry = entry, .total = c->now};

	if (c->seconds > 0) {
		r.known = true;
		r.packets = c->delta.pcnt / c->seconds;
		r.bytes = c->delta.bcnt / c->seconds;
	}
	return r;
}

size_t bf_meter_top(const struct bf_meter *m, bool policies, struct bf_rate *top, size_t max)
{
	size_t n = 0, t;
	uint32_t c, i;

	for (t = 0; t < m->nr; t++) {
		const struct bf_metered *table = &m->tables[t];

		for (c = 0; c < table->rules.nr_chains; c++) {
			const struct bf_chain *chain = &table->rules.chains[c];
			uint32_t end = chain->nr + (policies && chain->hook >= 0);

			for (i = 0; i < end; i++) {
				struct bf_rate r = rate_of(table, chain->first + i);

				n = insert(top, n, max, &r);
			}
		}
	}
	return n;
}

bool bf_rate_is_policy(const struct bf_rate *r)
{
	const struct bf_chain *c = &r->table->rules.chains[r->table->rules.chain_of[r->entry]];

	return r->entry - c->first == c->nr;
}

struct bf_rate_name bf_rate_name(const struct bf_rate *r)
{
	const struct bf_ruleset *rules = &r->table->rules;
	const struct bf_chain *c = &rules->chains[rules->chain_of[r->entry]];
	struct bf_rate_name name;

	if (bf_rate_is_policy(r))
		snprintf(name.text, sizeof(name.text), "-P %s %s", c->name,
			 bf_ruleset_text(rules, r->entry) + strlen("policy "));
	else if (rules->texts[r->entry])
		snprintf(name.text, sizeof(name.text), "%s", rules->texts[r->entry]);
	else
		snprintf(name.text, sizeof(name.text), "%s",
			 bf_ruleset_entry(rules, r->entry).text);
	return name;
}
