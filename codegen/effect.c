// SPDX-License-Identifier: GPL-2.0
/* Effects as data: lists of them. See effect.h; their programs are in effect_program.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "effect.h"

/* FNV-1a, 32 bits, of all but the id itself. What only new kinds have does not change the ids of others. */
static uint32_t effect_id(const struct bf_effect *effect)
{
	size_t end = effect->kind == BF_EFFECT_CONNMARK ? sizeof(*effect)
							: offsetof(struct bf_effect, connmark);
	const uint8_t *p = (const uint8_t *)effect;
	uint32_t hash = 2166136261U;
	size_t i;

	for (i = offsetof(struct bf_effect, kind); i < end; i++)
		hash = (hash ^ p[i]) * 16777619U;
	return hash;
}

int bf_effects_add(struct bf_effects *effects, struct bf_effect *effect)
{
	uint32_t i, more = effects->max ? effects->max * 2 : 8;
	struct bf_effect *list;

	effect->id = effect_id(effect);
	for (i = 0; i < effects->nr; i++)
		if (effects->list[i].id == effect->id)
			return memcmp(&effects->list[i], effect, sizeof(*effect)) ? -EEXIST : 0;
	if (effects->nr == BF_EFFECTS_MAX)
		return -E2BIG;
	if (effects->nr == effects->max) {
		list = reallocarray(effects->list, more, sizeof(*list));
		if (!list)
			return -ENOMEM;
		effects->list = list;
		effects->max = more;
	}
	memcpy(&effects->list[effects->nr++], effect, sizeof(*effect));
	return 0;
}

int bf_effects_copy(struct bf_effects *to, const struct bf_effects *from)
{
	*to = (struct bf_effects){};
	if (!from->nr)
		return 0;
	to->list = calloc(from->nr, sizeof(*to->list));
	if (!to->list)
		return -ENOMEM;
	memcpy(to->list, from->list, from->nr * sizeof(*to->list));
	to->nr = to->max = from->nr;
	return 0;
}

bool bf_effects_equal(const struct bf_effects *a, const struct bf_effects *b)
{
	return a->nr == b->nr && (!a->nr || !memcmp(a->list, b->list, a->nr * sizeof(*a->list)));
}

const struct bf_effect *bf_effects_find(const struct bf_effects *effects, uint32_t id)
{
	uint32_t i;

	for (i = 0; i < effects->nr; i++)
		if (effects->list[i].id == id)
			return &effects->list[i];
	return NULL;
}

const struct bf_effect *bf_effects_must_be(const struct bf_effects *effects)
{
	uint32_t i;

	for (i = 0; i < effects->nr; i++)
		if (bf_effect_must_be(&effects->list[i]))
			return &effects->list[i];
	return NULL;
}

void bf_effects_free(struct bf_effects *effects)
{
	free(effects->list);
	*effects = (struct bf_effects){};
}

/* What an effect weighs more than a rule. */
#define EFFECT_WEIGHT (1U << 22)

/* None of those that end the packet's way, of which it has one at most. */
static bool goes_on(const struct bf_effects *effects, uint32_t id)
{
	const struct bf_effect *e = bf_effects_find(effects, id);

	return !e || !bf_effect_drops(e);
}

/* Along the way through the table that has most of them, and on which no rule is left out. */
int bf_effects_overflow(struct bf_rules *rules, uint32_t max)
{
	uint32_t n = rules->table->num_entries, i, j;
	uint32_t *weights = calloc(n, sizeof(*weights));
	int err;

	if (!weights)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		const struct bf_code *code = &rules->codes[i];

		weights[i] = 1;
		for (j = 0; j < code->nr_ops; j++) {
			const struct bf_op *op = &rules->ops[code->first_op + j];

			if (op->code == BF_OP_EFFECT && goes_on(&rules->scratch.effects, op->a) &&
			    weights[i] < BF_COST_MAX - EFFECT_WEIGHT)
				weights[i] += EFFECT_WEIGHT;
		}
	}
	err = bf_rules_measure(rules, weights);
	free(weights);
	return err ?: rules->max_cost / EFFECT_WEIGHT >= max;
}

int bf_effects_of(const struct bf_table *table, struct bf_effects *effects)
{
	struct bf_rules rules;
	int err = bf_rules_make(&rules, table, BF_ATTACH_LINK, NULL, NULL);

	*effects = (struct bf_effects){};
	if (err)
		return err;
	*effects = rules.scratch.effects;
	rules.scratch.effects = (struct bf_effects){};
	bf_rules_free(&rules);
	return 0;
}
