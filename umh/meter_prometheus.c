// SPDX-License-Identifier: GPL-2.0
/* Single rules in the format of Prometheus: as many as were asked for, and no more. */
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "exposition.h"
#include "meter.h"

/* The how-manieth rule with this text it is in its chain. */
static unsigned int number_of(const struct bf_ruleset *rules, const struct bf_chain *c,
			      uint32_t entry)
{
	unsigned int number = 1;
	uint32_t i;

	for (i = c->first; rules->texts[entry] && i < entry; i++)
		number += rules->texts[i] && !strcmp(rules->texts[i], rules->texts[entry]);
	return number;
}

/*
 * A rule keeps its series when others come and go before it: the text tells it from those, and the number two with
 * the same text apart. Without texts its place is in the name.
 */
static void put_rule(const struct bf_series *s, const struct bf_rate *r, uint64_t value)
{
	const struct bf_ruleset *rules = &r->table->rules;
	const struct bf_chain *c = &rules->chains[rules->chain_of[r->entry]];
	const struct bf_rate_name name = bf_rate_name(r);
	struct bf_series one = *s;
	char inode[24], number[12];

	if (r->table->due)
		return;
	snprintf(inode, sizeof(inode), "%" PRIu64, r->table->inode);
	snprintf(number, sizeof(number), "%u", number_of(rules, c, r->entry));
	bf_series_label(&one, "netns", r->table->name);
	bf_series_label(&one, "inode", inode);
	bf_series_label(&one, "chain", c->name);
	bf_series_label(&one, "number", number);
	bf_series_label(&one, "rule", name.text);
	bf_series_number(&one, value);
}

int bf_meter_prometheus(FILE *f, const struct bf_meter *m, size_t max)
{
	struct bf_rate *top = calloc(max ?: 1, sizeof(*top));
	struct bf_series s = {.f = f};
	size_t n, i;

	if (!top)
		return -ENOMEM;
	n = bf_meter_top(m, false, top, max);
	bf_series_family(&s, "bpfilter_rule_packets_total", "counter",
			 "Packets that a rule has counted, of the rules with the most.");
	for (i = 0; i < n; i++)
		put_rule(&s, &top[i], top[i].total.pcnt);
	bf_series_family(&s, "bpfilter_rule_bytes_total", "counter", "Bytes of those.");
	for (i = 0; i < n; i++)
		put_rule(&s, &top[i], top[i].total.bcnt);
	free(top);
	return 0;
}
