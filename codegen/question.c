// SPDX-License-Identifier: GPL-2.0
/* Questions as data, and which tables can have them. See question.h; their programs are in question_program.c. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "compile.h"
#include "question.h"

int bf_questions_add(struct bf_questions *questions, const struct bf_question *question)
{
	uint32_t more = questions->max ? questions->max * 2 : 8;
	struct bf_question *list;
	void *info;

	if (questions->nr == BF_QUESTIONS_MAX)
		return -ENOSPC;
	if (questions->nr == questions->max) {
		list = reallocarray(questions->list, more, sizeof(*list));
		if (!list)
			return -ENOMEM;
		questions->list = list;
		questions->max = more;
	}
	info = malloc(question->size ?: 1);
	if (!info)
		return -ENOMEM;
	memcpy(info, question->info, question->size);
	questions->list[questions->nr] = *question;
	questions->list[questions->nr++].info = info;
	return 0;
}

void bf_questions_free(struct bf_questions *questions)
{
	uint32_t i;

	for (i = 0; i < questions->nr; i++)
		free(questions->list[i].info);
	free(questions->list);
	*questions = (struct bf_questions){};
}

/* What a question weighs more than a rule. */
#define QUESTION_WEIGHT (1U << 22)

/* How many an entry has. */
static uint32_t count(const struct bf_rules *rules, uint32_t entry)
{
	const struct bf_code *code = &rules->codes[entry];
	uint32_t i, n = 0;

	for (i = 0; i < code->nr_ops; i++) {
		const struct bf_op *op = &rules->ops[code->first_op + i];

		if (op->code == BF_OP_COND && bf_rules_cond(rules, op->a)->type == &bf_cond_ask)
			n++;
	}
	return n;
}

/* How many of them a packet may meet, which takes the way that has most and is left out by no rule. Or -ENOMEM. */
static int most_on_a_way(struct bf_rules *rules)
{
	uint32_t n = rules->table->num_entries, i, k;
	uint32_t *weights = calloc(n, sizeof(*weights));
	int err;

	if (!weights)
		return -ENOMEM;
	for (i = 0; i < n; i++) {
		k = count(rules, i);
		weights[i] = 1 + (k < BF_QUESTIONS_MAX ? k : BF_QUESTIONS_MAX) * QUESTION_WEIGHT;
	}
	err = bf_rules_measure(rules, weights);
	free(weights);
	return err ?: (int)(rules->max_cost / QUESTION_WEIGHT);
}

int bf_questions_check(struct bf_rules *rules, struct bf_why *why)
{
	int n, max = rules->attach == BF_ATTACH_MODULE ? BPFILTER_QUESTIONS_MAX : BF_ROUNDS - 1;

	if (!rules->scratch.questions.nr)
		return 0;
	n = most_on_a_way(rules);
	if (n > max)
		return bf_why(why, -EOPNOTSUPP,
			      "a packet may meet more than %d matches that ask the kernel", max);
	return n < 0 ? n : 0;
}

int bf_questions_of(const struct bf_table *table, struct bf_questions *questions)
{
	struct bf_rules rules;
	int err = bf_rules_make(&rules, table, BF_ATTACH_LINK, NULL, NULL);

	*questions = (struct bf_questions){};
	if (err)
		return err;
	*questions = rules.scratch.questions;
	rules.scratch.questions = (struct bf_questions){};
	bf_rules_free(&rules);
	return 0;
}
