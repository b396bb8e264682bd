/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What matches that ask the kernel look at and leave behind: sets, which the rules name; and the lists and tables in
 * /proc/net of those that remember packets.
 */
#ifndef DIFFERENTIAL_ASKS_H
#define DIFFERENTIAL_ASKS_H

#include <stdbool.h>

#include "rng.h"
#include "ruleset.h"
#include "text.h"

/* Sets of the random rules: so many of each kind. */
#define ASKS_SETS 3

/* Has the rule, or one of the table, such a match? */
bool asks_line(const char *line);
bool asks_any(const struct ruleset *rs);

/*
 * May it be left to ip_tables because of those? Of such a table limits and quotas are asked as well, and one packet may be
 * asked 64 times; how often can be told only of few rules.
 */
bool asks_too_much(const struct ruleset *rs);

/* Make the sets that the rules name, in the namespace; their members follow from their names. */
void asks_make(int netns, const struct ruleset *rs);

/* What there is now, as text, without times. */
void asks_read(int netns, struct text *t);

/* Add such a match to a rule of a random table, which begins with @t. @hooks: FROM_* of clauses.h. */
void asks_add(struct rng *r, struct text *t, unsigned int hooks);

#endif /* DIFFERENTIAL_ASKS_H */
