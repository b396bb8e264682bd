// SPDX-License-Identifier: GPL-2.0
/* -m realm, as xt_realm.c has it: the route that the kernel has found tells. */
#include <linux/netfilter/xt_realm.h>

#include "match.h"

BF_ONLY_AT_HOOKS(realm, "the kernel's own route is looked at, behind its hooks")

const struct bf_match bf_match_realm = {
	.name = "realm",
	.size = sizeof(struct xt_realm_info),
	.options = "all",
	.asks = true,
	.place = realm_place,
	.compile = bf_ask_compile,
};
