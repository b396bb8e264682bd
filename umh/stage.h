/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where the effects of a table's rules (effect.h of the compiler) are put into action, in one
 * network namespace, behind the hooks that run the table's program:
 *
 *	priority 10		nf_tables' table "bpfilter-effects", with a chain for each hook
 *	priority 11 to 19	the guard, at BPF netfilter links
 *
 * and beside the pins of the program (pins.h):
 *
 *	notes, effect_state	the maps that all of these share
 *	guard_input, guard_forward, guard_output
 *

 * For questions (question.h of the compiler) there are, likewise:
 *
 *	priority 10		rules in the same table, before those of the effects
 *	priority 11 to 19	the gate, at BPF netfilter links
 *	questions, question_state, gate_input, gate_forward, gate_output
 *	asking-ID		the second program of the table whose program is number ID
 *
 * The rules of a table's questions are its own, and so is what the kernel keeps for each: they come with it and go with
 * it, as those of ip_tables do. So they are named after its program.
 *
 * All of it is there before a table with effects is put in force, and goes after the last one is
 * out of force. It works on without a helper. Of the chain each change is one transaction of
 * nf_tables, and an effect has the same id in all tables, so that packets of the table before and
 * of the one after find theirs. "nft flush ruleset" passes over the table from Linux 6.9 on; before,
 * it is made again when that has happened, and effects between are lost, which changes no verdict.
 */
#ifndef BPFILTER_STAGE_H
#define BPFILTER_STAGE_H

#include <sys/types.h>

#include "bpfilter.h"
#include "effect.h"
#include "load.h"
#include "program.h"

struct bf_env;

/**
 * struct bf_asker - a table with questions
 * @id: of its program
 * @program: the other one, which the chain runs, and which is pinned as "asking-ID"
 * @questions: owned
 * @effects: it has some, too
 * @shown: the chain has its rules
 * @leaving: it is to lose them
 */
struct bf_asker {
	uint32_t id;
	int program;
	struct bf_questions questions;
	bool effects, shown, leaving;
};

/* The one in force, the next one, and what could not be removed. */
#define BF_MAX_ASKERS 4

/**
 * struct bf_stage - that of one namespace
 * @maps: descriptors of BF_MAP_NOTES and what follows; -1: there are none
 * @state, @asked: what is in BF_MAP_EFFECT_STATE and BF_MAP_QUESTION_STATE
 * @guards, @gates: the links; -1
 * @sk: owns nf_tables' table if @flags say so; -1: there is none that we know of
 * @events: receives all changes of nf_tables in the namespace
 * @port: of @sk; messages of changes that we made carry it
 * @shown: the effects that the chain has
 * @is: programs of its matches, one for each of @shown
 * @has, @forget: the ones that all share
 * @askers, @nr_askers: tables with questions
 * @left, @nr_left: ids of such that are not in force any more, and of which a former helper has left chains
 * @is_question: programs of matches, by the question's number, for all tables; @nr_is_question of them
 * @has_question, @answer: the ones that all questions share
 * @reap: the one that removes notes; -1 if it has not been needed yet
 * @reap_err: what it has failed with, as was logged; 0
 */
struct bf_stage {
	struct bf_env *env;
	char dir[200];
	int maps[BF_NR_ALL_MAPS - BF_NR_MAPS];
	struct bf_effect_state *state;
	struct bf_question_state *asked;
	int guards[3], gates[3];
	int sk, events;
	uint32_t port, flags;
	struct bf_effects shown;
	int *is, has, forget;
	struct bf_asker askers[BF_MAX_ASKERS];
	uint32_t nr_askers;
	uint32_t *left, nr_left;
	int *is_question;
	uint32_t nr_is_question;
	int has_question, answer, reap, reap_err;
};

/* All functions must be called in the namespace; @inode is its. */
void bf_stage_init(struct bf_stage *stage, struct bf_env *env, ino_t inode);

/**
 * bf_stage_prepare - make what is missing for a table with these effects
 * @now: those of the table in force, which stay
 *
 * 0 or -errno: what there was is still there. -ENOENT or -EOPNOTSUPP also if an object that the match nfacct counts
 * in is missing, or has a quota, so that what matches depends on it.
 */
int bf_stage_prepare(struct bf_stage *stage, const struct bf_effects *effects,
		     const struct bf_effects *now, struct bf_why *why);

/* Make what a table with questions needs before it is loaded. 0 or -errno. */
int bf_stage_prepare_questions(struct bf_stage *stage, struct bf_why *why);

/**
 * bf_stage_ask - make the rules of a table's questions
 * @loaded: the table
 * @questions: taken over on success
 *
 * 0 or -errno: there are none of them. What the kernel says to one of its matches is among those.
 */
int bf_stage_ask(struct bf_stage *stage, const struct bf_loaded *loaded,
		 struct bf_questions *questions, struct bf_why *why);

/*
 * The table in force was loaded, and its rules made, by a former helper. The next change of the chain makes them again if
 * they are not there any more. 0 or -errno: nothing is known of its questions, and must not be touched.
 */
int bf_stage_adopt(struct bf_stage *stage, const struct bf_loaded *loaded, struct bf_why *why);

/**
 * bf_stage_settle - there shall be these effects and questions and no others
 * @effects: those of the table in force
 * @loaded: it. If it has neither effects nor questions, all but the maps goes
 *
 * What cannot be done is logged, and harmless.
 */
void bf_stage_settle(struct bf_stage *stage, const struct bf_effects *effects,
		     const struct bf_loaded *loaded);

/* No table of ours is in force: everything goes. */
void bf_stage_remove(struct bf_stage *stage);

/* Close the descriptors; everything stays. */
void bf_stage_close(struct bf_stage *stage);

/* Remove the pins in a namespace that is not ours to be in. */
void bf_stage_unpin(ino_t inode);

/* A descriptor to poll for reading, or -1; when it is readable, call bf_stage_event(). */
int bf_stage_fd(const struct bf_stage *stage);
void bf_stage_event(struct bf_stage *stage);

/* Effects of packets that were not run since the maps were made. */
uint64_t bf_stage_lost(const struct bf_stage *stage);

/* To be called every second or so while a table with questions is in force: what is left of packets that are gone goes. */
void bf_stage_reap(struct bf_stage *stage);

/* Packets that were dropped because a question had no answer, likewise. */
uint64_t bf_stage_unanswered(const struct bf_stage *stage);

#endif /* BPFILTER_STAGE_H */
