// SPDX-License-Identifier: GPL-2.0
/*
 * Which hook reaches which rule: the kernel's mark_source_chains().
 */
#include <errno.h>

#include "table_check.h"

/* In comefrom while an entry is on the path that is being followed. */
#define ON_PATH (1U << NF_INET_NUMHOOKS)

/* Ends whatever chain it is in: a policy, or the end of a user chain. */
static bool is_chain_end(const struct ipt_entry *e)
{
	return is_unconditional(e) && target_is_standard(e) && target_verdict(e) < 0;
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
				      bf_place_of(c, bf_table_index(t, pos)).text);
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
				      bf_place_of(c, bf_table_index(t, pos)).text);

		entry_at(t, next)->counters.pcnt = pos;
		pos = next;
	}
}

int bf_table_check_paths(struct table_check *c)
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
