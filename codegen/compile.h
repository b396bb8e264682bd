/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Between the parts of the compiler: the table as rules, and what the back ends share.
 */
#ifndef BPFILTER_COMPILE_H
#define BPFILTER_COMPILE_H

#include "asm.h"
#include "ext.h"
#include "program.h"

enum bf_action {
	BF_ACT_NEXT, /* count, go on with the next rule */
	BF_ACT_ACCEPT,
	BF_ACT_DROP,
	BF_ACT_RETURN, /* to the rule after the jump, or to the policy */
	BF_ACT_JUMP,
	BF_ACT_GOTO,
};

/**
 * struct bf_code - one entry of the table, compiled
 * @first_op, @nr_ops: its branches and effects in bf_rules.ops; bf_op.to is the number of an op of
 *	the same entry (nr_ops: matched), BF_TO_NEXT or BF_TO_DROP
 * @target: entry that JUMP and GOTO lead to
 * @cost: branches and actions run from here to the end of the chain in the worst case, those
 *	of the chains it jumps to included; it is also the size of the inlined code. Saturates.
 * @depth: return addresses that it needs at most
 */
struct bf_code {
	uint32_t first_op;
	uint32_t nr_ops;
	enum bf_action action;
	uint32_t target;
	uint32_t cost;
	uint32_t depth;
};

/* Does a packet that comes to this entry always leave the chain here? */
static inline bool bf_ends_chain(const struct bf_code *code)
{
	return !code->nr_ops && code->action != BF_ACT_NEXT && code->action != BF_ACT_JUMP;
}

#define BF_COST_MAX UINT32_MAX

/* Of the record form's program for one packet in one bpf_loop(), but for the last few: BPF_MAX_LOOPS. */
#define BF_LOOP_STEPS ((1U << 23) - 64)

/* Are these hooks at interfaces? */
static inline bool bf_at_interfaces(enum bf_attach attach)
{
	return attach == BF_ATTACH_TC || attach == BF_ATTACH_XDP;
}

#define BF_TYPES 16

/* All of BPFILTER_WANT_TYPE(). */
#define BF_WANT_TYPES (0x3fU << 4)

/**
 * struct bf_rules - a table as rules over the key; the index of an entry is that of its counters
 * @types: the condition types in use; bf_conds[].type is one of them
 * @want: BPFILTER_WANT_* of all conditions and fields
 * @attach: the hooks that it is for
 * @changed: the fields, marks, that targets change: a bit for each
 * @has_effects: a target has one (effect.h)
 */
struct bf_rules {
	const struct bf_table *table;
	struct bf_code *codes;
	struct bf_op *ops;
	uint32_t nr_ops, max_ops;
	struct bf_rule scratch;
	const struct bf_cond_type *types[BF_TYPES];
	uint32_t nr_types;
	uint64_t fields;
	uint32_t want;
	enum bf_attach attach;
	uint64_t changed;
	bool has_effects;
	uint32_t hook_entry[NF_INET_NUMHOOKS], underflow[NF_INET_NUMHOOKS]; /* indexes */
	uint32_t max_cost, max_depth;
};

/* For hooks of that kind; @kernel: see struct bf_rule. 0, -ENOMEM, or -EOPNOTSUPP with @why. */
int bf_rules_make(struct bf_rules *rules, const struct bf_table *table, enum bf_attach attach,
		  const struct bf_kernel *kernel, struct bf_why *why);
void bf_rules_free(struct bf_rules *rules);

/* May what rules see in this field of the key be another thing for later ones? */
static inline bool bf_rules_change(const struct bf_rules *rules, enum bf_field field)
{
	return rules->changed & BF_FIELD_BIT(field);
}

static inline const struct bf_cond *bf_rules_cond(const struct bf_rules *r, uint32_t i)
{
	return &r->scratch.conds[i];
}

/*
 * May LOG or NFLOG tell of a mark that a rule behind it sets? They are carried out behind the table.
 * (mark_order.c)
 */
bool bf_rules_tell_marks(const struct bf_rules *rules);

uint32_t bf_rules_type(const struct bf_rules *rules, const struct bf_cond_type *type);

/*
 * Room for @n elements and some more: the same for many n, so that a table may grow without new
 * code.
 */
uint32_t bf_with_room(uint32_t n);

/* The room that map @map of limits->like has, in elements of @size bytes, if that is right for @n. */
uint32_t bf_room_like(const struct bf_limits *limits, enum bf_program_map map, uint32_t size,
		      uint32_t n);

/*
 * The costs and depths of all entries that a packet can reach, and the totals. @weights: what each
 * costs by itself, at least 1; NULL: its ops and its action. 0 or -ENOMEM.
 */
int bf_rules_measure(struct bf_rules *rules, const uint32_t *weights);

/*
 * Fill the frame with what the program looks at (its fields and want). On entry r1 is the context;
 * afterwards r6 is the frame's address. @readable: bytes of the frame, a multiple of 8, that the
 * program reads even where there is no such field: of those the rest becomes 0. BF_FRAME_SHARED: a
 * condition may look at them.
 * @drop: where to go if the packet cannot be read.
 * @pass: where to go if it is none of the table's: it goes on, uncounted. At interfaces only.
 */
void bf_emit_key_link(struct bf_asm *a, const struct bf_program *p, int readable);
void bf_emit_key_module(struct bf_asm *a, const struct bf_program *p, int readable, int drop);
void bf_emit_key_packet(struct bf_asm *a, const struct bf_program *p, int readable, int pass,
			int drop);

/*
 * Bytes of the key up to the last field that the program looks at, LEN and HOOK included; a
 * multiple of 8.
 */
int bf_key_bytes(uint64_t fields);

/* emit.c: shared pieces. r6 is the frame's address. */

/* Whichever of them it is. */
void bf_emit_key(struct bf_asm *a, const struct bf_program *p, int readable, int pass, int drop);

/*
 * End with a verdict, NF_ACCEPT or NF_DROP, in the words of the program's type: one that is known, or
 * the one in r0.
 */
void bf_emit_plain_verdict(struct bf_asm *a, int verdict);
void bf_emit_return_verdict(struct bf_asm *a);

/* Unless the test of a field (BF_OP_EQ, BF_OP_RANGE) holds, go to @fail. Clobbers r1. */
void bf_emit_test(struct bf_asm *a, const struct bf_op *op, int fail);

/* The packet's mark is r1 from now on. Clobbers r2. Module's hooks only. */
void bf_emit_set_mark(struct bf_asm *a);

/*
 * The TCP options and their length to the frame, for a condition; of later fragments if @fields has
 * that. Clobbers r0 to r5 and r9.
 */
void bf_emit_tcp_options(struct bf_asm *a, uint64_t fields);

/* Add the packet to the counter whose number within the CPU's is in r1. Clobbers r0 to r5. */
void bf_emit_count(struct bf_asm *a);

/* BF_OP_GROW: in the program behind links, which alone comes there. Clobbers r1 to r3. */
void bf_emit_grow(struct bf_asm *a, const struct bf_rules *rules);

/*
 * Run condition number r1, 32 bits, of type @type; r0 is 0, 1 or BF_HOTDROP; of a program that asks also BF_ASK or more.
 * Clobbers r1 to r5. @functions: labels of the conditions' functions, by type.
 */
void bf_emit_cond(struct bf_asm *a, const int *functions, uint32_t type);
void bf_emit_cond_functions(struct bf_asm *a, const struct bf_rules *rules, const int *functions);

/*
 * effect_program.c. Each emits nothing but the plain thing for a table without effects.
 *
 * In the main program, behind the key: there is no note about the packet, even if another one has
 * left one at the same address. Clobbers r0 to r5.
 */
void bf_emit_no_note(struct bf_asm *a, const struct bf_rules *rules, const struct bf_program *p);
/* A function, to be called with the frame's address in r1 and an effect's id in r2. r0 becomes 1 if there was no room, else 0. */
void bf_emit_note_function(struct bf_asm *a, const struct bf_rules *rules,
			   const struct bf_program *p, int label);
/*
 * Call that function, at @note; r2 is the id. To @drop, if there is no room, and some of the table's effects must not be
 * lost. Clobbers r0 to r5.
 */
void bf_emit_note(struct bf_asm *a, const struct bf_rules *rules, int note, int drop);
/* The main program drops a packet that could not be read; nothing leads to it without effects. */
void bf_emit_unread(struct bf_asm *a, const struct bf_rules *rules, int label);
/* The packet whose address is the key (note.h) is dropped: what it has noted is lost. Clobbers r0 to r5. */
void bf_emit_lose_effects(struct bf_asm *a, int base, int off);
/* The main program ends with this verdict; or with NF_ACCEPT, and the note has the verdict. */
void bf_emit_verdict(struct bf_asm *a, const struct bf_rules *rules, int verdict);

/*
 * reject.c: the same at interfaces, of tables with REJECT; no other effect is there.
 */
void bf_emit_reject_init(struct bf_asm *a);
void bf_emit_reject_functions(struct bf_asm *a, int note);
/* Ends the program: the packet is dropped, and answered if its rule wants that. */
void bf_emit_reject(struct bf_asm *a, const struct bf_rules *rules);

/*
 * question_program.c.
 *
 * The prologue of a program behind links. The frame's shared part is filled, as the program at the link had it.
 */
void bf_emit_key_note(struct bf_asm *a, const struct bf_program *p);
/* As bf_emit_no_note(), about questions, of which none has been met. */
void bf_emit_no_question(struct bf_asm *a, const struct bf_rules *rules);
/*
 * Behind links: go to @label if the packet has been here before, with fewer answers, and what is done here is done. @frame
 * is a register with the frame's address. Clobbers r3.
 */
void bf_emit_ahead(struct bf_asm *a, int frame, int label);
/* Ends the program: a question has no answer, and r0 is what its function has returned. */
void bf_emit_asked(struct bf_asm *a, const struct bf_rules *rules);
/*
 * Behind links, in front of a verdict: a packet that has come another way than before, and has not passed each question
 * that it has an answer to, gets none, and so is dropped and counted by the gate. Clobbers r3.
 */
void bf_emit_astray(struct bf_asm *a);
/* Ends the program behind links: the verdict of a packet without effects. */
void bf_emit_note_verdict(struct bf_asm *a, int verdict);

/* Write the program in the form that is the better one for rules that have been measured. 0 or -errno. */
int bf_emit_auto_form(struct bf_rules *rules, const struct bf_kernel *kernel,
		      const struct bf_limits *limits, struct bf_program *p);

/* Back ends: write the program, and fill in the maps that only this form has. 0 or -errno. */
int bf_emit_straight(struct bf_asm *a, const struct bf_rules *rules, struct bf_program *p);
int bf_emit_records(struct bf_asm *a, struct bf_rules *rules, const struct bf_limits *limits,
		    struct bf_program *p);

#endif /* BPFILTER_COMPILE_H */
