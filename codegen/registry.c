// SPDX-License-Identifier: GPL-2.0
/*
 * The only lists of matches and targets, in the order of the support tables.
 */
#include <string.h>

#include "match.h"

static const struct bf_match *const matches[] = {
	&bf_match_addrtype_0,  &bf_match_addrtype_1,  &bf_match_comment, &bf_match_conntrack_1,
	&bf_match_conntrack_2, &bf_match_conntrack_3, &bf_match_icmp,	 &bf_match_limit,
	&bf_match_mark,	       &bf_match_multiport,   &bf_match_state,	 &bf_match_tcp,
	&bf_match_udp,
};

static const struct bf_target *const targets[] = {
	&bf_target_mark,
};

const struct bf_match *bf_match_find(const char *name, uint8_t revision)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(matches); i++)
		if (matches[i]->revision == revision &&
		    !strncmp(matches[i]->name, name, XT_EXTENSION_MAXNAMELEN))
			return matches[i];
	return NULL;
}

const struct bf_match *bf_match_at(unsigned int i)
{
	return i < ARRAY_SIZE(matches) ? matches[i] : NULL;
}

const struct bf_target *bf_target_find(const char *name, uint8_t revision)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(targets); i++)
		if (targets[i]->revision == revision &&
		    !strncmp(targets[i]->name, name, XT_EXTENSION_MAXNAMELEN))
			return targets[i];
	return NULL;
}

const struct bf_target *bf_target_at(unsigned int i)
{
	return i < ARRAY_SIZE(targets) ? targets[i] : NULL;
}
