/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the match_*.c and target_*.c files share.
 */
#ifndef BPFILTER_MATCH_H
#define BPFILTER_MATCH_H

#include <string.h>

#include "ext.h"
#include "table.h"

/*
 * The packet must not be a later fragment, and must have that many bytes behind the IP header:
 * otherwise the kernel, asked to look at what is not there, drops it.
 */
static inline void bf_need_header(struct bf_rule *r, uint32_t bytes)
{
	bf_eq(r, BF_FRAGOFF, UINT32_MAX, 0, false, BF_TO_NEXT);
	bf_range(r, BF_L4LEN, bytes, UINT32_MAX, false, BF_TO_DROP);
}

extern const struct bf_match bf_match_addrtype_0;
extern const struct bf_match bf_match_addrtype_1;
extern const struct bf_match bf_match_comment;
extern const struct bf_match bf_match_conntrack_1;
extern const struct bf_match bf_match_conntrack_2;
extern const struct bf_match bf_match_conntrack_3;
extern const struct bf_match bf_match_icmp;
extern const struct bf_match bf_match_limit;
extern const struct bf_match bf_match_mark;
extern const struct bf_match bf_match_multiport;
extern const struct bf_match bf_match_state;
extern const struct bf_match bf_match_tcp;
extern const struct bf_match bf_match_udp;

extern const struct bf_target bf_target_mark;

#endif /* BPFILTER_MATCH_H */
