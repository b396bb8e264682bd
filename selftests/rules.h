/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The filter table by its socket options, for programs that call them more often than iptables
 * could be started: tables whose chain INPUT has rules "-s ADDRESS -j DROP", and all policies
 * ACCEPT.
 */
#ifndef SELFTESTS_RULES_H
#define SELFTESTS_RULES_H

#include <errno.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#define MAX_RULES    48
#define END_ENTRIES  4 /* three policies, and the entry that ends a table */
#define ENTRY_SIZE   (sizeof(struct ipt_entry) + sizeof(struct xt_standard_target))
#define LAST_SIZE    (sizeof(struct ipt_entry) + sizeof(struct xt_error_target))
#define MAX_ENTRIES  (MAX_RULES + END_ENTRIES)
#define MAX_REPLACE  (sizeof(struct ipt_replace) + MAX_ENTRIES * ENTRY_SIZE + LAST_SIZE)
#define VERDICT_DROP (-1)
#define VERDICT_PASS (-2)

/* @saddr in host byte order; the counters are those of the rule. */
struct rule {
	uint32_t saddr;
	uint64_t packets, bytes;
};

struct rules {
	uint32_t nr;
	struct rule rule[MAX_RULES];
};

static inline bool rules_equal(const struct rules *a, const struct rules *b)
{
	return a->nr == b->nr && !memcmp(a->rule, b->rule, a->nr * sizeof(a->rule[0]));
}

static inline size_t rules_size(const struct rules *r)
{
	return (r->nr + END_ENTRIES - 1) * ENTRY_SIZE + LAST_SIZE;
}

static inline void rules_entry(void *at, uint32_t saddr, int verdict)
{
	struct xt_standard_target *target = at + sizeof(struct ipt_entry);
	struct ipt_entry *e = at;

	if (saddr) {
		e->ip.src.s_addr = __builtin_bswap32(saddr);
		e->ip.smsk.s_addr = UINT32_MAX;
	}
	e->target_offset = sizeof(*e);
	e->next_offset = ENTRY_SIZE;
	target->target.u.target_size = sizeof(*target);
	target->verdict = verdict;
}

/*
 * The option value of an IPT_SO_SET_REPLACE, in MAX_REPLACE bytes. Returns how many are used. The
 * caller sets num_counters and counters. Counters are not in there: the kernel begins with 0.
 */
static inline size_t rules_write(const struct rules *r, void *buf)
{
	struct ipt_replace *replace = buf;
	struct ipt_entry *last;
	struct xt_error_target *error;
	void *at = replace->entries;
	uint32_t i;

	memset(buf, 0, MAX_REPLACE);
	strcpy(replace->name, "filter");
	replace->valid_hooks = 1 << NF_INET_LOCAL_IN | 1 << NF_INET_FORWARD |
			       1 << NF_INET_LOCAL_OUT;
	replace->num_entries = r->nr + END_ENTRIES;
	replace->size = rules_size(r);
	for (i = 0; i < r->nr; i++, at += ENTRY_SIZE)
		rules_entry(at, r->rule[i].saddr, VERDICT_DROP);
	for (i = NF_INET_LOCAL_IN; i <= NF_INET_LOCAL_OUT; i++, at += ENTRY_SIZE) {
		replace->hook_entry[i] = replace->underflow[i] = at - (void *)replace->entries;
		rules_entry(at, 0, VERDICT_PASS);
	}
	replace->hook_entry[NF_INET_LOCAL_IN] = 0;
	last = at;
	error = at + sizeof(*last);
	last->target_offset = sizeof(*last);
	last->next_offset = LAST_SIZE;
	error->target.u.target_size = sizeof(*error);
	strcpy(error->target.u.user.name, "ERROR");
	strcpy(error->errorname, "ERROR");
	return sizeof(*replace) + replace->size;
}

/* 0 or -errno. */
static inline int rules_info(int sk, const char *table, struct ipt_getinfo *info)
{
	socklen_t len = sizeof(*info);

	memset(info, 0, sizeof(*info));
	strcpy(info->name, table);
	return getsockopt(sk, IPPROTO_IP, IPT_SO_GET_INFO, info, &len) ? -errno : 0;
}

/* What is in a table of that form; -EBADMSG if it is of another. */
static inline int rules_parse(const void *entries, uint32_t size, struct rules *r)
{
	const void *end = entries + size, *at = entries;

	memset(r, 0, sizeof(*r));
	if (size < 3 * ENTRY_SIZE + LAST_SIZE)
		return -EBADMSG;
	for (; at + 3 * ENTRY_SIZE + LAST_SIZE < end; at += ENTRY_SIZE) {
		const struct ipt_entry *e = at;
		const struct xt_standard_target *t = at + sizeof(*e);
		struct rule *rule = &r->rule[r->nr];

		if (r->nr == MAX_RULES || e->next_offset != ENTRY_SIZE ||
		    e->target_offset != sizeof(*e) || t->target.u.user.name[0] ||
		    t->verdict != VERDICT_DROP || e->ip.smsk.s_addr != UINT32_MAX)
			return -EBADMSG;
		rule->saddr = __builtin_bswap32(e->ip.src.s_addr);
		rule->packets = e->counters.pcnt;
		rule->bytes = e->counters.bcnt;
		r->nr++;
	}
	return size == rules_size(r) ? 0 : -EBADMSG;
}

/* The table in force. 0, -errno, or -EBADMSG if it is not of that form. */
static inline int rules_read(int sk, struct rules *r)
{
	char buf[sizeof(struct ipt_get_entries) + MAX_REPLACE];
	struct ipt_get_entries *get = (void *)buf;
	struct ipt_getinfo info;
	socklen_t len;
	int err = rules_info(sk, "filter", &info);

	if (err)
		return err;
	if (info.size > MAX_REPLACE)
		return -EBADMSG;
	memset(buf, 0, sizeof(buf));
	strcpy(get->name, "filter");
	get->size = info.size;
	len = sizeof(*get) + info.size;
	if (getsockopt(sk, IPPROTO_IP, IPT_SO_GET_ENTRIES, get, &len))
		return -errno;
	return rules_parse(get->entrytable, info.size, r);
}

/*
 * Put @next in the place of a table with @old_nr rules. @old, if not NULL, receives the old counters,
 * one for each of its entries. 0 or -errno.
 */
static inline int rules_replace(int sk, const struct rules *next, uint32_t old_nr,
				struct xt_counters old[MAX_ENTRIES])
{
	struct xt_counters unused[MAX_ENTRIES];
	char buf[MAX_REPLACE];
	struct ipt_replace *replace = (void *)buf;
	size_t len = rules_write(next, buf);

	replace->num_counters = old_nr + END_ENTRIES;
	replace->counters = old ? old : unused;
	return setsockopt(sk, IPPROTO_IP, IPT_SO_SET_REPLACE, buf, len) ? -errno : 0;
}

/* Add the counters in @r to those of the table in force, which has as many rules. 0 or -errno. */
static inline int rules_add_counters(int sk, const struct rules *r)
{
	char buf[sizeof(struct xt_counters_info) + MAX_ENTRIES * sizeof(struct xt_counters)];
	struct xt_counters_info *info = (void *)buf;
	uint32_t i;

	memset(buf, 0, sizeof(buf));
	strcpy(info->name, "filter");
	info->num_counters = r->nr + END_ENTRIES;
	for (i = 0; i < r->nr; i++) {
		info->counters[i].pcnt = r->rule[i].packets;
		info->counters[i].bcnt = r->rule[i].bytes;
	}
	return setsockopt(sk, IPPROTO_IP, IPT_SO_SET_ADD_COUNTERS, buf,
			  sizeof(*info) + info->num_counters * sizeof(info->counters[0]))
		       ? -errno
		       : 0;
}

#endif /* SELFTESTS_RULES_H */
