// SPDX-License-Identifier: GPL-2.0
/*
 * Naming a rule to a person.
 */
#include <ctype.h>
#include <stdio.h>

#include "table_check.h"

struct bf_label bf_label_of(const char *name, size_t max)
{
	struct bf_label label = {""};
	size_t i;

	for (i = 0; i < max && i < sizeof(label.text) - 1 && name[i]; i++)
		label.text[i] = isprint((unsigned char)name[i]) ? name[i] : '?';
	return label;
}

struct bf_place bf_place_of(const struct table_check *c, uint32_t index)
{
	static const char *const hook_names[NF_INET_NUMHOOKS] = {"PREROUTING", "INPUT", "FORWARD",
								 "OUTPUT", "POSTROUTING"};
	const struct bf_table *t = c->t;
	const char *chain = NULL;
	struct bf_place place;
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
			 bf_label_of(chain, XT_FUNCTION_MAXNAMELEN).text);
	else
		snprintf(place.text, sizeof(place.text), "entry %u", index + 1);
	return place;
}
