// SPDX-License-Identifier: GPL-2.0
/* The fixed heads of the iptables socket options. */
#include <errno.h>
#include <limits.h>
#include <string.h>

#include "sockopt.h"

/* XT_MAX_TABLE_SIZE of net/netfilter/x_tables.c */
#define MAX_TABLE_SIZE (512 * 1024 * 1024U)

bool bf_sockopt_is_ours(uint32_t op)
{
	switch (op) {
	case IPT_SO_SET_REPLACE:
	case IPT_SO_SET_ADD_COUNTERS:
	case BPFILTER_GET | IPT_SO_GET_INFO:
	case BPFILTER_GET | IPT_SO_GET_ENTRIES:
	case BPFILTER_GET | IPT_SO_GET_REVISION_MATCH:
	case BPFILTER_GET | IPT_SO_GET_REVISION_TARGET:
		return true;
	}
	return false;
}

bool bf_sockopt_is_revision(uint32_t op)
{
	return op == (BPFILTER_GET | IPT_SO_GET_REVISION_MATCH) ||
	       op == (BPFILTER_GET | IPT_SO_GET_REVISION_TARGET);
}

ssize_t bf_sockopt_head_len(uint32_t op, int optlen)
{
	ssize_t len;
	bool ok;

	switch (op) {
	case IPT_SO_SET_REPLACE:
		len = sizeof(struct ipt_replace);
		ok = optlen >= len;
		break;
	case IPT_SO_SET_ADD_COUNTERS:
		len = sizeof(struct xt_counters_info);
		ok = optlen > len;
		break;
	case BPFILTER_GET | IPT_SO_GET_INFO:
		/* The rest of it is only written: a fault there comes last. */
		len = XT_TABLE_MAXNAMELEN;
		ok = optlen == sizeof(struct ipt_getinfo);
		break;
	case BPFILTER_GET | IPT_SO_GET_ENTRIES:
		len = sizeof(struct ipt_get_entries);
		ok = optlen >= len;
		break;
	default:
		len = sizeof(struct xt_get_revision);
		ok = optlen == len;
	}
	return ok ? len : -EINVAL;
}

static ssize_t replace_len(const struct ipt_replace *r, int optlen)
{
	if (r->num_counters >= INT_MAX / sizeof(struct xt_counters))
		return -ENOMEM;
	if (r->num_counters == 0)
		return -EINVAL;
	if ((uint64_t)optlen < (uint64_t)r->size + sizeof(*r))
		return -EINVAL;
	if (r->size > MAX_TABLE_SIZE)
		return -ENOMEM;
	return sizeof(*r) + r->size;
}

static ssize_t counters_len(const struct xt_counters_info *info, int optlen)
{
	uint64_t size = (uint64_t)info->num_counters * sizeof(struct xt_counters);

	if (size != (uint64_t)optlen - sizeof(*info))
		return -EINVAL;
	/* No table has so many entries, and the kernel might not have the memory. */
	if (size > MAX_TABLE_SIZE)
		return -ENOMEM;
	return optlen;
}

ssize_t bf_sockopt_payload_len(uint32_t op, const union bf_sockopt_head *head, int optlen)
{
	switch (op) {
	case IPT_SO_SET_REPLACE:
		return replace_len(&head->replace, optlen);
	case IPT_SO_SET_ADD_COUNTERS:
		return counters_len(&head->counters, optlen);
	default:
		return bf_sockopt_head_len(op, optlen);
	}
}

bool bf_sockopt_is_filter(const union bf_sockopt_head *head)
{
	/* Seven bytes with the 0: the forced 0 at the end cannot make a longer name equal. */
	return memcmp(head->name, "filter", sizeof("filter")) == 0;
}
