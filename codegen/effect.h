/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Effects: what the targets REJECT, LOG and NFLOG do besides the verdict, and what the match nfacct and the target CONNMARK do; and
 * that a packet gets its mark, behind links and in tables with CONNMARK.
 *
 * No program can send a packet or write to a log, but the kernel's own code can, while the packet
 * is in the same netfilter hook. So the work is shared by three that see each packet one after the
 * other:
 *
 *	the table's program	notes which effects the packet has, in their order, and the verdict,
 *				and lets it pass. A packet without effects gets its verdict here
 *	a chain of nf_tables	runs those effects: by "log" and "reject", which are the kernel's
 *				code for LOG, NFLOG and REJECT as well, by the match "nfacct"
 *				and the target "CONNMARK"
 *	the guard		a program that gives the verdict that was noted
 *
 * If the chain is missing, effects are lost, and counted, but the verdict stands: what is to be
 * dropped never depends on nf_tables. umh/stage.h has the three put in place.
 *
 * This is so behind BPF netfilter links; at the module's hooks, the module does it all; at interfaces, the program does, of what
 * is there (reject.h).
 *
 * What is noted about a packet is a note (note.h).
 */
#ifndef BPFILTER_EFFECT_H
#define BPFILTER_EFFECT_H

#include <linux/netfilter/xt_connmark.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "bpfilter.h"

enum bf_effect_kind {
	BF_EFFECT_UNREACHABLE, /* an ICMP error; the packet is dropped */
	BF_EFFECT_RESET,       /* a TCP reset; the packet is dropped */
	BF_EFFECT_LOG,	       /* a line in the kernel's log */
	BF_EFFECT_NFLOG,       /* to who listens on a group of nfnetlink_log */
	BF_EFFECT_ACCOUNT,     /* counted in an accounting object */
	BF_EFFECT_MARK, /* gets another mark, where the program leaves that to who is behind it */
	BF_EFFECT_CONNMARK, /* the target CONNMARK is run */
};

/**
 * struct bf_effect - one of them
 * @id: what the program notes; made of the rest, so that an effect has the same one in all tables
 * @kind: enum bf_effect_kind
 * @code: UNREACHABLE: of ICMP
 * @level, @flags: LOG: of the line, and XT_LOG_*
 * @group, @threshold, @snaplen: NFLOG: as in struct xt_nflog_info
 * @snaps: NFLOG: there is a snaplen
 * @keep, @flip: MARK: becomes (mark & keep) ^ flip
 * @text: terminated. LOG, NFLOG: the prefix; ACCOUNT: the object's name
 * @connmark: CONNMARK: all of it
 */
struct bf_effect {
	uint32_t id;
	uint8_t kind;
	uint8_t code;
	uint8_t level, flags;
	uint16_t group, threshold;
	uint32_t snaplen;
	bool snaps;
	uint32_t keep, flip;
	char text[64];
	struct xt_connmark_tginfo2 connmark;
};

/* Each once, in the order of the table. */
struct bf_effects {
	struct bf_effect *list;
	uint32_t nr, max;
};

/* Is the packet dropped by it? Then it is the packet's last one. */
static inline bool bf_effect_drops(const struct bf_effect *e)
{
	return e->kind == BF_EFFECT_UNREACHABLE || e->kind == BF_EFFECT_RESET;
}

/* In one table: each is a program, of which the helper holds a descriptor, for all namespaces. */
#define BF_EFFECTS_MAX 256

/*
 * Add one, unless it is there, and set its id. Unused bytes must be zero. 0, -ENOMEM, -E2BIG if there
 * are BF_EFFECTS_MAX of them, or -EEXIST if another one has the same id.
 */
int bf_effects_add(struct bf_effects *effects, struct bf_effect *effect);

/* Copy all; *to is overwritten. 0 or -ENOMEM. */
int bf_effects_copy(struct bf_effects *to, const struct bf_effects *from);

bool bf_effects_equal(const struct bf_effects *a, const struct bf_effects *b);

/* The one with this id, or NULL. */
const struct bf_effect *bf_effects_find(const struct bf_effects *effects, uint32_t id);

/* The first that must not be lost, or NULL. */
const struct bf_effect *bf_effects_must_be(const struct bf_effects *effects);

void bf_effects_free(struct bf_effects *effects);

struct bf_table;
struct bf_rules;

/* May one packet have @max of them in this table, besides one that drops it? 1, 0 or -ENOMEM. Overwrites what was measured. */
int bf_effects_overflow(struct bf_rules *rules, uint32_t max);

/* Those of a checked table; *effects is overwritten. 0 or -errno. */
int bf_effects_of(const struct bf_table *table, struct bf_effects *effects);

/* Must none be lost? */
static inline bool bf_effect_must_be(const struct bf_effect *e)
{
	return e->kind == BF_EFFECT_ACCOUNT || e->kind == BF_EFFECT_MARK ||
	       e->kind == BF_EFFECT_CONNMARK;
}

/* More effects than that of one packet are lost; some are not for tables where that may be. A power of two. */
#define BF_MAX_EFFECTS 16

/**
 * struct bf_effect_note - about one packet: an element of the map of notes
 * @nr: effects noted
 * @done: how many of them have been run
 * @verdict: NF_ACCEPT or NF_DROP
 */
struct bf_effect_note {
	uint32_t nr, done;
	uint32_t verdict;
	uint32_t pad;
	uint32_t ids[BF_MAX_EFFECTS];
};

/**
 * struct bf_effect_state - the only element of the other map
 * @pending: notes in the map
 * @lost: effects that were not run
 * @empty: what a new note begins with; never written
 */
struct bf_effect_state {
	uint64_t pending;
	uint64_t lost;
	struct bf_effect_note empty;
};

/*
 * At the module's hooks it is the module that runs them, by the kernel's own target or match, when the program has ended: they
 * follow the table's questions (question.h), and the program notes their numbers, plus 1, in the packet's control block.
 */
#define BF_MODULE_EFFECTS 8 /* of one packet, the last ones; what was in front of them is lost */

struct bf_question;

/* Room for what follows the header of a target or match. */
struct bf_effect_info {
	uint8_t bytes[128];
};

/* As x_tables has it; @question points into @info. */
void bf_effect_question(const struct bf_effect *effect, struct bf_effect_info *info,
			struct bf_question *question);

struct bf_kernel;
struct bf_program;

/*
 * The programs beside the table's. The maps are BF_MAP_NOTES and BF_MAP_EFFECT_STATE of program.h. Free with
 * bf_program_free().
 *
 * bf_compile_guard() is for a netfilter link. The others are of type BPF_PROG_TYPE_SOCKET_FILTER, for the match
 * "bpf" in a chain of nf_tables: has the packet an effect that has not been run; is it this one, which then
 * counts as run; all have been run, and the note, which has no verdict yet, goes (this one never matches).
 */
int bf_compile_guard(const struct bf_kernel *kernel, struct bf_program **program);
int bf_compile_has_effect(const struct bf_kernel *kernel, struct bf_program **program);
int bf_compile_is_effect(const struct bf_kernel *kernel, const struct bf_effect *effect,
			 struct bf_program **program);
int bf_compile_forget_effects(const struct bf_kernel *kernel, struct bf_program **program);

#endif /* BPFILTER_EFFECT_H */
