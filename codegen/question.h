/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Questions: matches that only the kernel can answer, because what they look at is the kernel's own (sets, lists of
 * addresses, connections), or because no program could (a search through the packet).
 *
 * Such a match is the kernel's, asked about a packet when a rule that has it is reached, and not before: it may count
 * the packet, remember it, or give it a token. A program cannot call it: where there is no answer yet it ends with the
 * question, this is put to the kernel, and a program walks the rules again, with one more answer.
 *
 * At the module's hooks one program only asks, again and again, without counting anything; then the table's own one
 * decides, and the module asks (uapi/bpfilter.h). Behind netfilter links three take part, which see each packet one after
 * the other:
 *
 *	the table's program	goes on to the first question, or to the verdict. With a question it notes
 *				that and the key, and lets the packet pass
 *	a chain of nf_tables	has a rule for each question, which is the match itself, and the table's second
 *				program. That walks from the beginning, counts and has effects only behind the last
 *				question with an answer, and comes to the next one or to the verdict
 *	the gate		a program that drops what has not been decided: the verdict is DROP, or the chain is missing
 *
 * Targets that may take the packet, or change its length, are questions as well, behind links alone: their rule has counted it when
 * they are run. The second program then goes on with the length that the packet has.
 *
 * So what lies in front of a question has counted the packet when that is put to the kernel, whose match may drop it.
 *
 * For the answers to hold until the packet is decided, the rest of the table must have no state of its own: limit, quota
 * and statistic are questions, too, in such a table.
 *
 * What is known of a packet meanwhile is a note (note.h).
 */
#ifndef BPFILTER_QUESTION_H
#define BPFILTER_QUESTION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpfilter.h"

/**
 * struct bf_question - a match of a rule, or its target
 * @name: of the match, terminated
 * @revision: of the structure in @info
 * @proto, @invflags: of the rule: struct ipt_ip
 * @hooks: from which the rule is reached, a bit for each
 * @target: it is a target. At the module's hooks that is never asked, but run when the packet has been decided (effect.h); a
 *	match may be, too. Behind links it is asked in its turn: the answer is yes, or it has taken the packet
 * @size: bytes of @info, a multiple of 8
 * @info: what the rule has for the match; owned by the list
 */
struct bf_question {
	char name[32];
	uint8_t revision;
	uint8_t invflags;
	uint16_t proto;
	uint32_t hooks;
	bool target;
	uint32_t size;
	void *info;
};

/* In the order of the table: their numbers. */
struct bf_questions {
	struct bf_question *list;
	uint32_t nr, max;
};

/* In one table. */
#define BF_QUESTIONS_MAX 256

/*
 * Behind links: how often the table's second program may be run for one packet, which meets fewer questions than that. At
 * the module's hooks it may meet BPFILTER_QUESTIONS_MAX.
 */
#define BF_ROUNDS 64

/* Add one: all of it is copied. 0, -ENOMEM, or -ENOSPC if there are BF_QUESTIONS_MAX. */
int bf_questions_add(struct bf_questions *questions, const struct bf_question *question);
void bf_questions_free(struct bf_questions *questions);

struct bf_table;
/* Those of a checked table, at netfilter's hooks; *questions is overwritten. 0 or -errno. */
int bf_questions_of(const struct bf_table *table, struct bf_questions *questions);

/* The condition that is a question; its state is the number, uint32_t. */
struct bf_cond_type;
extern const struct bf_cond_type bf_cond_ask;

struct bf_rules;
struct bf_why;

/* Can the questions of these rules be asked at their hooks? 0, -EOPNOTSUPP with @why, or -ENOMEM. Overwrites what was measured. */
int bf_questions_check(struct bf_rules *rules, struct bf_why *why);

/* The key, and what follows it in the frame (asm.h) that conditions see. */
#define BF_QUESTION_FRAME 296

/* In place of a number: */
#define BF_QUESTION_GONE    0x10000 /* from here on: whose note it is does not come to another hook */
#define BF_QUESTION_CLAIMED 0x10000 /* the packet is gone, another one is at its address */
#define BF_QUESTION_PUT	    0x10001 /* the question is put to the kernel, which may drop the packet */
#define BF_QUESTION_REAPED  0x10002 /* it has, and the note is being removed */

/**
 * struct bf_question_note - about one packet
 * @table: address of a map of the table that asks: whose question it is
 * @asked: the number of the question that waits for its answer, and 1 more; 0: none does; or BF_QUESTION_*
 * @epoch: when it was put to the kernel last: see bf_compile_reap(). Elements of the map are used again at once, so that
 *	who removes a note of another packet than his own changes both as one
 * @answers: how many have been answered
 * @decided: there is a verdict, which is to drop it
 * @yes: the answers, the first in bit 0
 * @numbers: of their questions
 * @frame: the key
 */
struct bf_question_note {
	uint64_t table;
	uint32_t asked, epoch;
	uint32_t answers, decided;
	uint64_t yes;
	uint8_t numbers[BF_ROUNDS];
	uint8_t frame[BF_QUESTION_FRAME];
};

/**
 * struct bf_question_state - the only element of the other map
 * @pending: notes in the map
 * @lost: packets that were dropped without an answer
 * @empty: what a new note begins with. Its epoch is the one of now, counted by who reaps
 */
struct bf_question_state {
	uint64_t pending;
	uint64_t lost;
	struct bf_question_note empty;
};

struct bf_kernel;
struct bf_program;

/*
 * The programs beside the table's two. The maps are BF_MAP_QUESTIONS and BF_MAP_QUESTION_STATE of program.h. Free with
 * bf_program_free().
 *
 * bf_compile_gate() is for a netfilter link. The others are for the match "bpf" in a chain of nf_tables: has the packet a
 * note; does it wait for the answer of question number @number, which then is "no"; that answer becomes "yes".
 */
int bf_compile_gate(const struct bf_kernel *kernel, struct bf_program **program);
int bf_compile_has_question(const struct bf_kernel *kernel, struct bf_program **program);
int bf_compile_is_question(const struct bf_kernel *kernel, uint32_t number,
			   struct bf_program **program);
int bf_compile_answer(const struct bf_kernel *kernel, struct bf_program **program);

/**
 * bf_compile_reap - a program to be run by bpf(2), of type BPF_PROG_TYPE_SOCKET_FILTER
 *
 * A packet that a match drops by itself leaves its note, with the question put. This program removes those of another
 * epoch than now: a grace period after that has begun, their packets are gone.
 */
int bf_compile_reap(const struct bf_kernel *kernel, struct bf_program **program);

#endif /* BPFILTER_QUESTION_H */
