// SPDX-License-Identifier: GPL-2.0
/* How much memory requests may take. */
#include <unistd.h>

#include "budget.h"

bool bf_budget_reserve(struct bf_budget *b, size_t len)
{
	if (__atomic_add_fetch(&b->used, len, __ATOMIC_SEQ_CST) <= b->limit)
		return true;
	__atomic_sub_fetch(&b->used, len, __ATOMIC_SEQ_CST);
	return false;
}

bool bf_budget_reserve_or_starve(struct bf_budget *b, size_t len, bool *starved)
{
	bool reserved = bf_budget_reserve(b, len);

	if (!reserved) {
		if (!*starved)
			__atomic_add_fetch(&b->starving, 1, __ATOMIC_SEQ_CST);
		*starved = true;
		/* What was released before we said that we starve was not announced. */
		reserved = bf_budget_reserve(b, len);
	}
	if (reserved)
		bf_budget_fed(b, starved);
	return reserved;
}

void bf_budget_fed(struct bf_budget *b, bool *starved)
{
	if (*starved)
		__atomic_sub_fetch(&b->starving, 1, __ATOMIC_SEQ_CST);
	*starved = false;
}

void bf_budget_release(struct bf_budget *b, size_t len)
{
	const uint64_t one = 1;

	if (!len)
		return;
	__atomic_sub_fetch(&b->used, len, __ATOMIC_SEQ_CST);
	/* Cannot fail: the counter does not overflow. */
	if (__atomic_load_n(&b->starving, __ATOMIC_SEQ_CST) &&
	    write(b->wake, &one, sizeof(one)) < 0)
		return;
}
