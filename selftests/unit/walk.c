// SPDX-License-Identifier: GPL-2.0
#include "walk.h"

#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_mark.h>
#include <stdlib.h>
#include <string.h>

#include "ext.h"

static uint32_t load(const uint8_t *p, int bytes)
{
	uint32_t v = 0;

	while (bytes--)
		v = v << 8 | *p++;
	return v;
}

static void l4_key(const uint8_t *l4, uint32_t len, uint32_t *key)
{
	if (len >= 4) {
		key[BF_SPORT] = load(l4, 2);
		key[BF_DPORT] = load(l4 + 2, 2);
	}
	if (len >= 8)
		key[BF_ICMP] = load(l4, 2);
	if (len >= 20)
		key[BF_TCP_FLAGS] = l4[13];
}

void packet_key(const struct packet *p, uint32_t key[BF_NR_FIELDS])
{
	const uint8_t *ip = p->data;
	uint32_t header = (ip[0] & 15) * 4;

	memset(key, 0, BF_NR_FIELDS * sizeof(*key));
	key[BF_SADDR] = load(ip + 12, 4);
	key[BF_DADDR] = load(ip + 16, 4);
	key[BF_PROTO] = ip[9];
	key[BF_FRAGOFF] = load(ip + 6, 2) & 0x1fff;
	key[BF_LEN] = p->len;
	key[BF_L4LEN] = p->len > header ? p->len - header : 0;
	key[BF_HOOK] = p->hook;
	if (!key[BF_FRAGOFF])
		l4_key(ip + header, key[BF_L4LEN], key);
	memcpy(&key[BF_IIF], p->in, IFNAMSIZ);
	memcpy(&key[BF_OIF], p->out, IFNAMSIZ);
	key[BF_MARK] = p->mark;
	memcpy(&key[BF_CT_STATE], p->ct, sizeof(p->ct));
	key[BF_CT_STATE] = key[BF_CT_STATE] ?: XT_CONNTRACK_STATE_INVALID;
}

static enum bf_match_result match_entry(const struct ipt_entry *e, const uint32_t *key,
					int (*cond)(void *arg, const struct bf_cond *cond),
					void *arg)
{
	struct bf_rule r = {};
	enum bf_match_result result;

	bf_compile_rule(&r, e);
	if (r.error)
		abort();
	result = bf_rule_eval(&r, key, cond, arg);
	bf_rule_free(&r);
	return result;
}

int walk(const struct bf_table *t, unsigned int hook, uint32_t *key,
	 int (*cond)(void *arg, const struct bf_cond *cond), void *arg,
	 struct xt_counters *counters)
{
	uint32_t stack[t->stacksize + 1], depth = 0, at = t->hook_entry[hook];

	for (;;) {
		const struct ipt_entry *e = (const void *)(t->entries + at);
		const struct xt_standard_target *target = (const void *)e + e->target_offset;
		uint32_t next = at + e->next_offset;

		switch (match_entry(e, key, cond, arg)) {
		case BF_HOTDROP:
			return NF_DROP;
		case BF_NO_MATCH:
			at = next;
			continue;
		case BF_MATCH:
			break;
		}
		counters[bf_table_index(t, at)].pcnt++;
		counters[bf_table_index(t, at)].bcnt += key[BF_LEN];
		if (!strcmp(target->target.u.user.name, XT_ERROR_TARGET))
			return NF_DROP;
		if (!strcmp(target->target.u.user.name, "MARK")) {
			const struct xt_mark_tginfo2 *info = (const void *)target->target.data;

			key[BF_MARK] = (key[BF_MARK] & ~info->mask) ^ info->mark;
			at = next;
			continue;
		}
		if (target->verdict == XT_RETURN) {
			at = depth ? stack[--depth] : t->underflow[hook];
			continue;
		}
		if (target->verdict < 0)
			return -target->verdict - 1;
		if ((uint32_t)target->verdict != next && !(e->ip.flags & IPT_F_GOTO)) {
			if (depth >= t->stacksize)
				return NF_DROP;
			stack[depth++] = next;
		}
		at = target->verdict;
	}
}
