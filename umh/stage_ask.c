// SPDX-License-Identifier: GPL-2.0
/* Tables with questions, and the programs by which their chains are found. See stage.h. */
#include <bpf/bpf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "env.h"
#include "ext.h"
#include "rcu.h"
#include "stage_chain.h"

static void free_asker(struct bf_asker *asker)
{
	if (asker->program >= 0)
		close(asker->program);
	bf_questions_free(&asker->questions);
}

/* --- what a table's chains have -------------------------------------------------------------- */

const struct bf_stage_base bf_stage_bases[BF_STAGE_BASES] = {
	{"input", NF_INET_LOCAL_IN},
	{"forward", NF_INET_FORWARD},
	{"output", NF_INET_LOCAL_OUT},
};

/* The hooks that the question's match or target is for, a bit for each; 0: all. */
static uint32_t hooks_of(const struct bf_question *q)
{
	const struct bf_target *target = q->target ? bf_target_find(q->name, q->revision) : NULL;
	const struct bf_match *match = q->target ? NULL : bf_match_find(q->name, q->revision);

	if (target && target->hooks_of)
		return target->hooks_of(q->info) & BF_FILTER_HOOKS;
	if (target)
		return target->hooks & BF_FILTER_HOOKS;
	return match ? match->hooks & BF_FILTER_HOOKS : 0;
}

bool bf_stage_is_shared(const struct bf_question *q)
{
	return !hooks_of(q);
}

/* One that is in a chain that no hook reaches is at the first of them: what the kernel says to it, it says there. */
bool bf_stage_is_here(const struct bf_question *q, unsigned int hook)
{
	uint32_t hooks = hooks_of(q), reached = hooks & q->hooks ?: hooks & -hooks;

	return reached & 1U << hook;
}

/* What a packet has done so far is two more. */
uint32_t bf_stage_shared_rules(const struct bf_asker *asker)
{
	uint32_t i, n = asker->effects ? 2 : 0;

	for (i = 0; i < asker->questions.nr; i++)
		n += bf_stage_is_shared(&asker->questions.list[i]);
	return n;
}

uint32_t bf_stage_here_rules(const struct bf_asker *asker, unsigned int hook)
{
	uint32_t i, n = 0;

	for (i = 0; i < asker->questions.nr; i++)
		n += bf_stage_is_here(&asker->questions.list[i], hook);
	return n;
}

uint32_t bf_stage_rounds_rules(const struct bf_asker *asker, unsigned int hook)
{
	return bf_stage_here_rules(asker, hook) ? 2 * BF_STAGE_ROUNDS : BF_STAGE_ROUNDS;
}

/* --- the list of tables ---------------------------------------------------------------------- */

/* Programs that all tables share, and for questions up to @nr. */
static int load_shared(struct bf_stage *s, uint32_t nr, struct bf_why *why)
{
	struct bf_program *program;
	struct bf_kernel kernel;
	int err;

	bf_env_kernel(s->env, &kernel);
	err = bf_stage_load(s, bf_compile_has_question, &s->has_question, why)
		      ?: bf_stage_load(s, bf_compile_answer, &s->answer, why);
	while (s->nr_is_question < nr && !err) {
		int *more = reallocarray(s->is_question, s->nr_is_question + 1, sizeof(*more)), fd;

		if (!more)
			return -ENOMEM;
		s->is_question = more;
		fd = bf_compile_is_question(&kernel, s->nr_is_question, &program)
			     ?: bf_stage_load_match(s, program, why);
		if (fd < 0)
			err = fd;
		else
			s->is_question[s->nr_is_question++] = fd;
	}
	return err;
}

struct pin_name {
	char text[32];
};

static struct pin_name pin_name(uint32_t id)
{
	struct pin_name name;

	snprintf(name.text, sizeof(name.text), "asking-%u", id);
	return name;
}

static void unpin(const struct bf_stage *s, const struct bf_asker *asker)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/%s", s->dir, pin_name(asker->id).text);
	unlink(path);
}

/* 1, 0, or -ENOMEM */
static int has_effects(const struct bf_table *table)
{
	struct bf_effects effects;
	int err = bf_effects_of(table, &effects), nr = effects.nr;

	bf_effects_free(&effects);
	return err ?: nr > 0;
}

int bf_stage_ask(struct bf_stage *s, const struct bf_loaded *loaded, struct bf_questions *questions,
		 struct bf_why *why)
{
	struct bf_asker *asker = &s->askers[s->nr_askers];
	int err = load_shared(s, questions->nr, why), effects, program;

	if (err)
		return err;
	effects = has_effects(loaded->table);
	if (effects < 0)
		return effects;
	if (s->nr_askers == BF_MAX_ASKERS)
		return bf_why(why, -EBUSY, "the questions of former tables could not be removed");
	program = fcntl(loaded->asking, F_DUPFD_CLOEXEC, 0);
	if (program < 0)
		return -errno;
	program = bf_stage_pin(s, pin_name(loaded->prog_id).text, program);
	if (program < 0)
		return program;
	*asker = (struct bf_asker){
		.id = loaded->prog_id,
		.program = program,
		.questions = *questions,
		.effects = effects,
	};
	s->nr_askers++;
	err = bf_stage_show_askers(s, why);
	if (err) {
		s->nr_askers--;
		unpin(s, asker);
		close(program);
		return err;
	}
	*questions = (struct bf_questions){};
	return 0;
}

/* One that a helper has pinned, who was killed before the table was in force, is nobody's. */
int bf_stage_adopt(struct bf_stage *s, const struct bf_loaded *loaded, struct bf_why *why)
{
	struct bf_asker *asker = &s->askers[s->nr_askers];
	int err = bf_stage_prepare_questions(s, why), effects;

	if (err)
		return err;
	effects = has_effects(loaded->table);
	if (effects < 0)
		return effects;
	*asker = (struct bf_asker){.id = loaded->prog_id, .effects = effects, .shown = true};
	asker->program = bf_stage_open_pin(s, pin_name(asker->id).text);
	if (asker->program < 0)
		return asker->program;
	err = bf_questions_of(loaded->table, &asker->questions)
		      ?: load_shared(s, asker->questions.nr, why);
	if (err) {
		free_asker(asker);
		return err;
	}
	s->nr_askers++;
	bf_stage_unpin_asking(s->dir, asker->id);
	return 0;
}

bool bf_stage_leave_askers(struct bf_stage *s, uint32_t id)
{
	bool leave = false;
	uint32_t i;

	for (i = 0; i < s->nr_askers; i++) {
		s->askers[i].leaving = s->askers[i].id != id;
		leave |= s->askers[i].leaving;
	}
	return leave;
}

void bf_stage_drop_askers(struct bf_stage *s)
{
	uint32_t i, n = 0;

	for (i = 0; i < s->nr_askers; i++) {
		if (s->askers[i].leaving) {
			unpin(s, &s->askers[i]);
			free_asker(&s->askers[i]);
		} else {
			s->askers[n++] = s->askers[i];
		}
	}
	s->nr_askers = n;
}

void bf_stage_forget_askers(struct bf_stage *s)
{
	uint32_t i;

	for (i = 0; i < s->nr_askers; i++)
		free_asker(&s->askers[i]);
	for (i = 0; i < s->nr_is_question; i++)
		close(s->is_question[i]);
	free(s->is_question);
	free(s->left);
	if (s->has_question >= 0)
		close(s->has_question);
	if (s->answer >= 0)
		close(s->answer);
	s->nr_askers = s->nr_is_question = s->nr_left = 0;
	s->is_question = NULL;
	s->left = NULL;
	s->has_question = s->answer = -1;
}

/* --- notes of packets that are gone ---------------------------------------------------------- */

/* So many may stay: most are removed by the next packet at their address. */
#define MAX_OLD 1024

/* The kernel wants a frame to run a program on. */
static int run(int prog)
{
	uint8_t frame[64] = {};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = sizeof(frame));

	return bpf_prog_test_run_opts(prog, &opts) ? -errno : 0;
}

/*
 * A question is put to the kernel, and answered, within one hook: when all packets that were in one have left it, the notes
 * of those that have got no answer are nobody's.
 */
void bf_stage_reap(struct bf_stage *s)
{
	struct bf_why why = {};
	int err;

	if (!s->asked || __atomic_load_n(&s->asked->pending, __ATOMIC_RELAXED) <= MAX_OLD)
		return;
	err = bf_stage_load(s, bf_compile_reap, &s->reap, &why);
	if (!err) {
		__atomic_add_fetch(&s->asked->empty.epoch, 1, __ATOMIC_SEQ_CST);
		err = bf_rcu_wait(bf_env_rcu(s->env), bf_env_device(s->env));
	}
	err = err ?: run(s->reap);
	/* Each reason once, and not each second. */
	if (err && err != s->reap_err)
		bf_log(BF_LOG_WARN, "notes of packets that are gone stay: %s",
		       why.text[0] ? why.text : strerror(-err));
	s->reap_err = err;
}
