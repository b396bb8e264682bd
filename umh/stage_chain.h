/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The chain of nf_tables that runs effects. Between stage.c and stage_chain.c alone.
 *
 *	table ip bpfilter-effects {
 *		chain input { type filter hook input priority 10;	// forward and output likewise
 *			match bpf HAS_QUESTION jump ask-input	// where a table has questions
 *			match bpf HAS jump packet
 *		}
 *		chain ask-input {		// for each such table 8 times:
 *			match bpf ASKING(table) jump rounds-ID-input
 *		}
 *		chain rounds-ID-input {		// 8 times, the second line if that chain has rules:
 *			match bpf ASKING(table) jump questions-ID
 *			match bpf HAS_QUESTION jump here-ID-input
 *		}
 *		chain questions-ID {		// where there are effects, the first two; one for each question
 *			match bpf HAS jump packet
 *			match bpf FORGET
 *			match bpf IS_QUESTION(number) match|target NAME ... match bpf ANSWER
 *		}
 *		chain packet {			// BF_MAX_EFFECTS times:
 *			match bpf HAS jump effects
 *		}
 *		chain effects {			// one for each
 *			match bpf IS(effect) log ... | reject ... | target CONNMARK ...
 *		}
 *	}
 *
 * A packet's effects mostly are in the order of the table, and then one pass through the last chain
 * runs all of them.
 *
 * The program ASKING goes on with the packet, if no question waits, and says whether one does; after fewer than BF_ROUNDS questions or
 * less it has decided, and finds nothing to do any more.
 */
#ifndef BPFILTER_STAGE_CHAIN_H
#define BPFILTER_STAGE_CHAIN_H

#include "stage.h"

/* In each of the two levels. */
#define BF_STAGE_ROUNDS 8

#define BF_STAGE_BASES 3

/* The chains at netfilter's hooks, of BF_FILTER_HOOKS. */
extern const struct bf_stage_base {
	const char *chain;
	unsigned int hook;
} bf_stage_bases[BF_STAGE_BASES];

/**
 * bf_stage_chain_make - in one transaction, the chain becomes the one for these effects and for stage->askers
 * @is: a match's program for each of them; stage->has is the one of all
 *
 * 0, and what stage->askers are is shown; or -errno: it is what it was.
 */
int bf_stage_chain_make(struct bf_stage *stage, const struct bf_effects *effects, const int *is,
			struct bf_why *why);

/* The table goes, if there is one. */
void bf_stage_chain_remove(struct bf_stage *stage);

/* Close the sockets. */
void bf_stage_chain_close(struct bf_stage *stage);

/*
 * stage_left.c: what a former helper has left.
 *
 * Of the programs that are pinned for tables with questions, all but that of number @id are unpinned.
 */
void bf_stage_unpin_asking(const char *dir, uint32_t id);
/* Are the rules of stage->askers there, and of whom else are there any (stage->left)? 0 or -errno. */
int bf_stage_look(struct bf_stage *stage, const char *table);

/* stage_ask.c: the list of tables with questions. */

/* Is it asked in all hooks, in the chain that they share? */
bool bf_stage_is_shared(const struct bf_question *q);
/* Is it asked at this hook, in a chain for that alone? */
bool bf_stage_is_here(const struct bf_question *q, unsigned int hook);

/* How many rules a table's chains have: questions-ID, here-ID-HOOK and rounds-ID-HOOK. */
uint32_t bf_stage_shared_rules(const struct bf_asker *asker);
uint32_t bf_stage_here_rules(const struct bf_asker *asker, unsigned int hook);
uint32_t bf_stage_rounds_rules(const struct bf_asker *asker, unsigned int hook);

/* All but the one with this id are to leave. Is there such a one? */
bool bf_stage_leave_askers(struct bf_stage *stage, uint32_t id);
/* Those that have left are forgotten. */
void bf_stage_drop_askers(struct bf_stage *stage);
/* All are. */
void bf_stage_forget_askers(struct bf_stage *stage);

/* stage.c: the chain as it is, with stage->askers as they are. 0 or -errno. */
int bf_stage_show_askers(struct bf_stage *stage, struct bf_why *why);
/* What is pinned under this name, or -errno. */
int bf_stage_open_pin(const struct bf_stage *stage, const char *name);
/* Pin @fd, which may be an error already. It is closed if it cannot be. */
int bf_stage_pin(const struct bf_stage *stage, const char *name, int fd);
/* A descriptor or -errno. @program is freed. */
int bf_stage_load_match(const struct bf_stage *stage, struct bf_program *program,
			struct bf_why *why);
/* What compiles a program alone. */
typedef int bf_stage_compiler(const struct bf_kernel *kernel, struct bf_program **program);
/* *@fd becomes a match's program, if it is negative. 0 or -errno: it is -1. */
int bf_stage_load(const struct bf_stage *stage, bf_stage_compiler *compile, int *fd,
		  struct bf_why *why);

#endif /* BPFILTER_STAGE_CHAIN_H */
