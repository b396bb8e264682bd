// SPDX-License-Identifier: GPL-2.0
#include "walk.h"

#include <linux/netfilter/xt_conntrack.h>
#include <linux/netfilter/xt_connmark.h>
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

void model_open(struct model *m, const struct bf_table *t)
{
	m->table = t;
	m->rules = calloc(t->num_entries, sizeof(*m->rules));
	m->met = calloc(t->num_entries, sizeof(*m->met));
	m->stack = calloc((size_t)t->stacksize + 1, sizeof(*m->stack));
	if (!m->rules || !m->met || !m->stack)
		abort();
}

void model_close(struct model *m)
{
	uint32_t i;

	for (i = 0; m->rules && i < m->table->num_entries; i++)
		bf_rule_free(&m->rules[i]);
	free(m->rules);
	free(m->met);
	free(m->stack);
	memset(m, 0, sizeof(*m));
}

const struct bf_rule *model_rule(struct model *m, uint32_t index)
{
	struct bf_rule *r = &m->rules[index];

	if (!m->met[index]) {
		bf_compile_rule(r, bf_table_entry(m->table, index));
		if (r->error)
			abort();
		m->met[index] = true;
	}
	return r;
}

static uint32_t shifted(uint32_t mark, const struct xt_connmark_tginfo2 *info)
{
	return info->shift_dir == D_SHIFT_RIGHT ? mark >> info->shift_bits
						: mark << info->shift_bits;
}

/* As connmark_tg_shift() of xt_connmark.c. */
static void connmark(uint32_t *key, const struct xt_connmark_tginfo2 *info)
{
	uint32_t *ct = &key[BF_CT_MARK], *mark = &key[BF_MARK];

	if (key[BF_CT_STATE] & (XT_CONNTRACK_STATE_INVALID | XT_CONNTRACK_STATE_UNTRACKED))
		return;
	switch (info->mode) {
	case XT_CONNMARK_SET:
		*ct = shifted((*ct & ~info->ctmask) ^ info->ctmark, info);
		break;
	case XT_CONNMARK_SAVE:
		*ct = (*ct & ~info->ctmask) ^ shifted(*mark & info->nfmask, info);
		break;
	case XT_CONNMARK_RESTORE:
		*mark = (*mark & ~info->nfmask) ^ shifted(*ct & info->ctmask, info);
		break;
	}
}

/* What a target does that is no verdict; false: it is one. */
static bool changes_marks(const struct xt_standard_target *target, uint32_t *key)
{
	const void *data = target->target.data;

	if (!strcmp(target->target.u.user.name, "MARK")) {
		const struct xt_mark_tginfo2 *info = data;

		key[BF_MARK] = (key[BF_MARK] & ~info->mask) ^ info->mark;
		return true;
	}
	if (!strcmp(target->target.u.user.name, "CONNMARK")) {
		connmark(key, data);
		return true;
	}
	return false;
}

int model_walk(struct model *m, unsigned int hook, uint32_t *key,
	       int (*cond)(void *arg, const struct bf_cond *cond), void *arg,
	       struct xt_counters *counters)
{
	const struct bf_table *t = m->table;
	uint32_t depth = 0, at = bf_table_index(t, t->hook_entry[hook]);

	for (;;) {
		const struct ipt_entry *e = bf_table_entry(t, at);
		const struct xt_standard_target *target = (const void *)e + e->target_offset;

		switch (bf_rule_eval(model_rule(m, at), key, cond, arg)) {
		case BF_HOTDROP:
			return NF_DROP;
		case BF_NO_MATCH:
			at++;
			continue;
		case BF_MATCH:
			break;
		}
		counters[at].pcnt++;
		counters[at].bcnt += key[BF_LEN];
		if (!strcmp(target->target.u.user.name, XT_ERROR_TARGET))
			return NF_DROP;
		if (changes_marks(target, key)) {
			at++;
			continue;
		}
		if (target->verdict == XT_RETURN) {
			at = depth ? m->stack[--depth] : bf_table_index(t, t->underflow[hook]);
			continue;
		}
		if (target->verdict < 0)
			return -target->verdict - 1;
		if ((uint32_t)target->verdict == t->offsets[at] + e->next_offset) {
			at++;
			continue;
		}
		if (!(e->ip.flags & IPT_F_GOTO)) {
			if (depth >= t->stacksize)
				return NF_DROP;
			m->stack[depth++] = at + 1;
		}
		at = bf_table_index(t, target->verdict);
	}
}

int walk(const struct bf_table *t, unsigned int hook, uint32_t *key,
	 int (*cond)(void *arg, const struct bf_cond *cond), void *arg,
	 struct xt_counters *counters)
{
	struct model m;
	int verdict;

	model_open(&m, t);
	verdict = model_walk(&m, hook, key, cond, arg, counters);
	model_close(&m);
	return verdict;
}
