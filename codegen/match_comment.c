// SPDX-License-Identifier: GPL-2.0
/* -m comment, as xt_comment.c has it: always matches. */
#include <linux/netfilter/xt_comment.h>

#include "match.h"

const struct bf_match bf_match_comment = {
	.name = "comment",
	.size = sizeof(struct xt_comment_info),
	.options = "--comment",
};
