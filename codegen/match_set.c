// SPDX-License-Identifier: GPL-2.0
/* -m set, as xt_set.c has it: sets are the kernel's, which knows them by the numbers that iptables has asked it for. */
#include <linux/netfilter/ipset/ip_set.h>
#include <linux/netfilter/xt_set.h>

#include "match.h"

BF_ONLY_AT_HOOKS(set, "only the kernel's own match can look into a set")

#define SET_MATCH(n)                                                                               \
	.name = "set", .revision = n, .asks = true, .place = set_place, .compile = bf_ask_compile

_Static_assert(sizeof(struct xt_set_info_match_v1) == 4 &&
		       sizeof(struct xt_set_info_match_v4) == 48,
	       "as the kernel has them");

const struct bf_match bf_match_set_1 = {SET_MATCH(1), .size = sizeof(struct xt_set_info_match_v1)};
/* The same structure; --return-nomatch. */
const struct bf_match bf_match_set_2 = {SET_MATCH(2), .size = sizeof(struct xt_set_info_match_v1)};
const struct bf_match bf_match_set_3 = {SET_MATCH(3), .size = sizeof(struct xt_set_info_match_v3)};
const struct bf_match bf_match_set_4 = {
	SET_MATCH(4),
	.size = sizeof(struct xt_set_info_match_v4),
	.options = "all",
};
