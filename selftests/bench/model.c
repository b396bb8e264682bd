// SPDX-License-Identifier: GPL-2.0
#include "model.h"

#include <linux/netfilter/xt_mark.h>
#include <stdlib.h>
#include <string.h>

#include "ext.h"

enum action { GO_ON, VERDICT, RETURN, JUMP, GOTO, MARK };

/**
 * struct step - an entry
 * @value: verdict, or number of the entry that a jump leads to
 * @spent: its limit has given its credit
 */
struct step {
	struct bf_rule rule;
	enum action action;
	uint32_t value;
	struct xt_mark_tginfo2 mark;
	bool spent;
};

struct model {
	const struct bf_table *table;
	struct step *steps;
	uint32_t *stack;
	uint64_t count;
};

static void read_target(struct step *s, const struct bf_table *t, uint32_t i)
{
	const struct ipt_entry *e = bf_table_entry(t, i);
	const struct xt_standard_target *target = (const void *)e + e->target_offset;
	const char *name = target->target.u.user.name;

	if (!strcmp(name, "MARK")) {
		s->action = MARK;
		memcpy(&s->mark, target->target.data, sizeof(s->mark));
	} else if (*name) {
		s->action = VERDICT; /* ERROR */
		s->value = NF_DROP;
	} else if (target->verdict == XT_RETURN) {
		s->action = RETURN;
	} else if (target->verdict < 0) {
		s->action = VERDICT;
		s->value = -target->verdict - 1;
	} else {
		s->value = bf_table_index(t, target->verdict);
		s->action = s->value == i + 1 ? GO_ON : e->ip.flags & IPT_F_GOTO ? GOTO : JUMP;
	}
}

struct model *model_make(const struct bf_table *table)
{
	struct model *m = calloc(1, sizeof(*m));
	uint32_t i;

	if (!m)
		return NULL;
	m->table = table;
	m->steps = calloc(table->num_entries, sizeof(*m->steps));
	m->stack = calloc(table->stacksize + 1, sizeof(*m->stack));
	if (!m->steps || !m->stack)
		goto fail;
	for (i = 0; i < table->num_entries; i++) {
		bf_compile_rule(&m->steps[i].rule, bf_table_entry(table, i));
		if (m->steps[i].rule.error)
			goto fail;
		read_target(&m->steps[i], table, i);
	}
	return m;
fail:
	model_free(m);
	return NULL;
}

void model_free(struct model *m)
{
	uint32_t i;

	if (!m)
		return;
	for (i = 0; m->steps && i < m->table->num_entries; i++)
		bf_rule_free(&m->steps[i].rule);
	free(m->steps);
	free(m->stack);
	free(m);
}

static int has_credit(void *arg, const struct bf_cond *cond)
{
	struct step *s = arg;
	bool spent = s->spent;

	s->spent = true;
	return !spent;
}

int model_walk(struct model *m, uint32_t *key, struct xt_counters *counters)
{
	const struct bf_table *t = m->table;
	uint32_t at = bf_table_index(t, t->hook_entry[NF_INET_FORWARD]), depth = 0;

	for (;;) {
		struct step *s = &m->steps[at];

		m->count++;
		switch (bf_rule_eval(&s->rule, key, has_credit, s)) {
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
		switch (s->action) {
		case MARK:
			key[BF_MARK] = (key[BF_MARK] & ~s->mark.mask) ^ s->mark.mark;
			at++;
			break;
		case GO_ON:
			at++;
			break;
		case VERDICT:
			return s->value;
		case RETURN:
			at = depth ? m->stack[--depth]
				   : bf_table_index(t, t->underflow[NF_INET_FORWARD]);
			break;
		case JUMP:
			if (depth >= t->stacksize)
				return NF_DROP;
			m->stack[depth++] = at + 1;
			/* fallthrough */
		case GOTO:
			at = s->value;
			break;
		}
	}
}

uint64_t model_steps(const struct model *m)
{
	return m->count;
}
