// SPDX-License-Identifier: GPL-2.0
/* -m connbytes, as xt_connbytes.c has it: the kernel counts each connection's packets and bytes. */
#include <linux/netfilter/xt_connbytes.h>

#include "match.h"

BF_ONLY_AT_HOOKS(connbytes, "what a connection has counted is not known there")

const struct bf_match bf_match_connbytes = {
	.name = "connbytes",
	.size = sizeof(struct xt_connbytes_info),
	.options = "all",
	.conntrack = true,
	.asks = true,
	.place = connbytes_place,
	.compile = bf_ask_compile,
};
