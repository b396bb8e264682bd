// SPDX-License-Identifier: GPL-2.0
/*
 * The only lists of matches and targets, in the order of the support tables: that of the alphabet, by which matches are
 * found.
 */
#include <errno.h>
#include <string.h>

#include "match.h"
#include "program.h"

static const struct bf_match *const matches[] = {
	&bf_match_addrtype_0,  &bf_match_addrtype_1,  &bf_match_ah,	     &bf_match_bpf_0,
	&bf_match_bpf_1,       &bf_match_cgroup_0,    &bf_match_cgroup_1,    &bf_match_cgroup_2,
	&bf_match_comment,     &bf_match_connbytes,   &bf_match_connlabel,   &bf_match_connlimit,
	&bf_match_connmark,    &bf_match_conntrack_1, &bf_match_conntrack_2, &bf_match_conntrack_3,
	&bf_match_cpu,	       &bf_match_dccp,	      &bf_match_devgroup,    &bf_match_dscp,
	&bf_match_ecn,	       &bf_match_esp,	      &bf_match_hashlimit_1, &bf_match_hashlimit_2,
	&bf_match_hashlimit_3, &bf_match_helper,      &bf_match_icmp,	     &bf_match_ipcomp,
	&bf_match_iprange,     &bf_match_length,      &bf_match_limit,	     &bf_match_mac,
	&bf_match_mark,	       &bf_match_multiport,   &bf_match_nfacct_0,    &bf_match_nfacct_1,
	&bf_match_osf,	       &bf_match_owner,	      &bf_match_physdev,     &bf_match_pkttype,
	&bf_match_policy,      &bf_match_quota,	      &bf_match_realm,	     &bf_match_recent_0,
	&bf_match_recent_1,    &bf_match_sctp,	      &bf_match_set_1,	     &bf_match_set_2,
	&bf_match_set_3,       &bf_match_set_4,	      &bf_match_socket_1,    &bf_match_socket_2,
	&bf_match_socket_3,    &bf_match_state,	      &bf_match_statistic,   &bf_match_string,
	&bf_match_tcp,	       &bf_match_tcpmss,      &bf_match_time,	     &bf_match_tos,
	&bf_match_ttl,	       &bf_match_u32,	      &bf_match_udp,
};

static const struct bf_target *const targets[] = {
	&bf_target_connmark_1, &bf_target_connmark_2, &bf_target_log,	   &bf_target_mark,
	&bf_target_nflog,      &bf_target_reject,     &bf_target_synproxy, &bf_target_tcpmss,
};

/* The first letter tells most of them apart. */
static bool is_name(const char *a, const char *b)
{
	return *a == *b && !strncmp(a, b, XT_EXTENSION_MAXNAMELEN);
}

int bf_not_placed(struct bf_why *why, const char *name, enum bf_attach attach, const char *reason)
{
	return bf_why(why, -EOPNOTSUPP, "match %s is not available in the %s placement: %s", name,
		      bf_attach_name(attach), reason);
}

const struct bf_match *bf_match_find(const char *name, uint8_t revision)
{
	unsigned int low = 0, high = ARRAY_SIZE(matches);

	/* The first one of its letter. */
	while (low < high) {
		unsigned int mid = (low + high) / 2;

		if (*matches[mid]->name < *name)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < ARRAY_SIZE(matches) && *matches[low]->name == *name; low++)
		if (matches[low]->revision == revision && is_name(matches[low]->name, name))
			return matches[low];
	return NULL;
}

int bf_match_check(const struct bf_match *match, const struct ipt_entry *e, const void *info,
		   unsigned int hook_mask, struct bf_why *why)
{
	if (match->hooks && hook_mask & ~match->hooks)
		return bf_why(why, -EINVAL, "%s: not in this chain", match->name);
	return match->check ? match->check(e, info, hook_mask, why) : 0;
}

const struct bf_match *bf_match_at(unsigned int i)
{
	return i < ARRAY_SIZE(matches) ? matches[i] : NULL;
}

const struct bf_target *bf_target_find(const char *name, uint8_t revision)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(targets); i++)
		if (targets[i]->revision == revision && is_name(targets[i]->name, name))
			return targets[i];
	return NULL;
}

const struct bf_target *bf_target_at(unsigned int i)
{
	return i < ARRAY_SIZE(targets) ? targets[i] : NULL;
}
