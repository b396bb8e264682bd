// SPDX-License-Identifier: GPL-2.0
#include "tally.h"

#include <errno.h>
#include <linux/netfilter.h>
#include <string.h>

const char *bf_tally_chain_name(unsigned int i)
{
	static const char *const names[BF_TALLY_CHAINS] = {"INPUT", "FORWARD", "OUTPUT"};

	return names[i];
}

static void add(struct xt_counters *sum, const struct xt_counters *c)
{
	sum->pcnt += c->pcnt;
	sum->bcnt += c->bcnt;
}

static const struct ipt_entry *entry_at(const void *entries, uint32_t size, uint32_t offset)
{
	const struct ipt_entry *e = entries + offset;
	const struct xt_entry_target *t;

	if (size - offset < sizeof(*e) + sizeof(*t) || e->next_offset > size - offset ||
	    e->next_offset < sizeof(*e) + sizeof(*t) || e->target_offset < sizeof(*e) ||
	    e->target_offset > e->next_offset - sizeof(*t))
		return NULL;
	return e;
}

static const struct xt_entry_target *target_of(const struct ipt_entry *e)
{
	return (const void *)e + e->target_offset;
}

static bool is_error(const struct ipt_entry *e)
{
	return !strcmp(target_of(e)->u.user.name, XT_ERROR_TARGET);
}

/* The policy of a chain, or NULL if there is none at this offset. */
static struct bf_tally_chain *policy_at(struct bf_tally *t, const uint32_t *underflow,
					uint32_t offset)
{
	unsigned int i;

	for (i = 0; i < BF_TALLY_CHAINS; i++)
		if (underflow[NF_INET_LOCAL_IN + i] == offset)
			return &t->chains[i];
	return NULL;
}

/* The built-in chain in which a rule at this offset is; NULL: a user chain. */
static struct bf_tally_chain *chain_at(struct bf_tally *t, const uint32_t *hook_entry,
				       const uint32_t *underflow, uint32_t offset)
{
	unsigned int i, h;

	for (i = 0; i < BF_TALLY_CHAINS; i++) {
		h = NF_INET_LOCAL_IN + i;
		if (offset >= hook_entry[h] && offset < underflow[h])
			return &t->chains[i];
	}
	return NULL;
}

int bf_tally(const uint32_t *hook_entry, const uint32_t *underflow, const void *entries,
	     uint32_t size, struct bf_tally *t)
{
	const struct ipt_entry *e, *next;
	unsigned int policies = 0;
	uint32_t offset;

	memset(t, 0, sizeof(*t));
	for (offset = 0; offset < size; offset += e->next_offset) {
		const struct xt_counters *c;
		struct bf_tally_chain *chain;

		e = entry_at(entries, size, offset);
		if (!e)
			return -EINVAL;
		c = &e->counters;
		chain = policy_at(t, underflow, offset);
		if (chain) {
			const struct xt_standard_target *s = (const void *)target_of(e);

			chain->policy = s->verdict == -NF_DROP - 1 ? NF_DROP : NF_ACCEPT;
			chain->fell = *c;
			policies++;
			continue;
		}
		/* The head of a user chain, or the RETURN at the end of one, is no rule. */
		next = offset + e->next_offset < size
			       ? entry_at(entries, size, offset + e->next_offset)
			       : NULL;
		if (is_error(e) || !next || is_error(next))
			continue;
		add(&t->rules, c);
		chain = chain_at(t, hook_entry, underflow, offset);
		if (chain)
			add(&chain->rules, c);
	}
	t->known = policies == BF_TALLY_CHAINS;
	return t->known ? 0 : -EINVAL;
}
