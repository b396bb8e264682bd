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

/*
 * A later fragment does not match, where the kernel's match is one that skips them. Else its data is taken for a
 * header: what follows needs BF_FRAGMENTS.
 */
static inline void bf_skip_fragments(struct bf_rule *r, enum bf_trial trial)
{
	enum bf_fragments is = r->kernel ? r->kernel->tried[trial] : BF_FRAGMENTS_UNKNOWN;

	if (is == BF_FRAGMENTS_UNKNOWN)
		r->untried |= 1U << trial;
	if (is == BF_FRAGMENTS_SKIPPED)
		bf_eq(r, BF_FRAGOFF, UINT32_MAX, 0, false, BF_TO_NEXT);
}

/* The whole match is a question to the kernel: the compile() of matches that have @asks. */
void bf_ask_compile(struct bf_rule *r, const struct ipt_entry *e, const void *info);
/* The same for a target, as bf_ask_target(). @info is what the checked entry has for it. */
void bf_ask_for_target(struct bf_rule *r, const struct ipt_entry *e, const void *info, bool grows);

/* Is that one of those with @asks_instead? */
static inline bool bf_asks_instead(const struct bf_rule *r)
{
	return r->kernel && r->kernel->asks_instead;
}

/* Conntrack's state must be one of @mask, XT_CONNTRACK_STATE_*, or must not. */
void bf_ct_state(struct bf_rule *r, uint32_t mask, bool invert);

/* The place() of a match that programs at interfaces have nothing to tell by, and why. */
#define BF_ONLY_AT_HOOKS(match, reason)                                                            \
	static int match##_place(const void *info, enum bf_attach attach, struct bf_why *why)      \
	{                                                                                          \
		return bf_not_placed(why, #match, attach, reason);                                 \
	}

extern const struct bf_match bf_match_addrtype_0;
extern const struct bf_match bf_match_addrtype_1;
extern const struct bf_match bf_match_ah;
extern const struct bf_match bf_match_bpf_0;
extern const struct bf_match bf_match_bpf_1;
extern const struct bf_match bf_match_cgroup_0;
extern const struct bf_match bf_match_cgroup_1;
extern const struct bf_match bf_match_cgroup_2;
extern const struct bf_match bf_match_comment;
extern const struct bf_match bf_match_connbytes;
extern const struct bf_match bf_match_connlabel;
extern const struct bf_match bf_match_connlimit;
extern const struct bf_match bf_match_connmark;
extern const struct bf_match bf_match_conntrack_1;
extern const struct bf_match bf_match_conntrack_2;
extern const struct bf_match bf_match_conntrack_3;
extern const struct bf_match bf_match_cpu;
extern const struct bf_match bf_match_dccp;
extern const struct bf_match bf_match_devgroup;
extern const struct bf_match bf_match_dscp;
extern const struct bf_match bf_match_ecn;
extern const struct bf_match bf_match_esp;
extern const struct bf_match bf_match_hashlimit_1;
extern const struct bf_match bf_match_hashlimit_2;
extern const struct bf_match bf_match_hashlimit_3;
extern const struct bf_match bf_match_helper;
extern const struct bf_match bf_match_icmp;
extern const struct bf_match bf_match_ipcomp;
extern const struct bf_match bf_match_iprange;
extern const struct bf_match bf_match_length;
extern const struct bf_match bf_match_limit;
extern const struct bf_match bf_match_mac;
extern const struct bf_match bf_match_mark;
extern const struct bf_match bf_match_multiport;
extern const struct bf_match bf_match_nfacct_0;
extern const struct bf_match bf_match_nfacct_1;
extern const struct bf_match bf_match_osf;
extern const struct bf_match bf_match_owner;
extern const struct bf_match bf_match_physdev;
extern const struct bf_match bf_match_pkttype;
extern const struct bf_match bf_match_policy;
extern const struct bf_match bf_match_quota;
extern const struct bf_match bf_match_realm;
extern const struct bf_match bf_match_recent_0;
extern const struct bf_match bf_match_recent_1;
extern const struct bf_match bf_match_sctp;
extern const struct bf_match bf_match_set_1;
extern const struct bf_match bf_match_set_2;
extern const struct bf_match bf_match_set_3;
extern const struct bf_match bf_match_set_4;
extern const struct bf_match bf_match_socket_1;
extern const struct bf_match bf_match_socket_2;
extern const struct bf_match bf_match_socket_3;
extern const struct bf_match bf_match_state;
extern const struct bf_match bf_match_statistic;
extern const struct bf_match bf_match_string;
extern const struct bf_match bf_match_tcp;
extern const struct bf_match bf_match_tcpmss;
extern const struct bf_match bf_match_time;
extern const struct bf_match bf_match_tos;
extern const struct bf_match bf_match_ttl;
extern const struct bf_match bf_match_u32;
extern const struct bf_match bf_match_udp;

extern const struct bf_target bf_target_log;
extern const struct bf_target bf_target_connmark_1;
extern const struct bf_target bf_target_connmark_2;
extern const struct bf_target bf_target_mark;
extern const struct bf_target bf_target_synproxy;
extern const struct bf_target bf_target_tcpmss;
extern const struct bf_target bf_target_nflog;
extern const struct bf_target bf_target_reject;

#endif /* BPFILTER_MATCH_H */
