// SPDX-License-Identifier: GPL-2.0
/* What the programs do about questions. See question.h. */
#include <errno.h>
#include <linux/netfilter.h>
#include <stdlib.h>

#include "compile.h"
#include "question.h"
#include "note.h"

#define NOTE(member) offsetof(struct bf_question_note, member)

static const struct bf_note_maps maps = {BF_MAP_QUESTIONS, BF_MAP_QUESTION_STATE};

_Static_assert(offsetof(struct bf_question_state, empty) == sizeof(struct bf_note_state),
	       "what a note begins with");

_Static_assert(NOTE(asked) % 8 == 0 && NOTE(epoch) == NOTE(asked) + 4, "one word");
_Static_assert(BF_QUESTIONS_MAX <= UINT8_MAX + 1, "a number is a byte");
_Static_assert(BF_QUESTION_FRAME == BF_FRAME_PACKET + 8, "all that conditions may see");
_Static_assert(NOTE(frame) % 8 == 0 && BF_QUESTION_FRAME % 8 == 0, "copied by 8 bytes");

/* Of now. */
#define EPOCH (offsetof(struct bf_question_state, empty) + NOTE(epoch))

/* dst = what tells this table from all others that there are: the kernel's address of a map of its own. */
static void this_table(struct bf_asm *a, int dst)
{
	bf_map(a, dst, BF_MAP_COUNTERS);
}

/* --- the table's programs ------------------------------------------------------------------ */

/*
 * The prologue of the second program behind links: registers as in key_module.c, and r8 is the note.
 *
 *	if (!state->pending || !(note = lookup(skb)) || note->table != this || note->decided)
 *		return 0;
 *	if (note->asked != BF_QUESTION_PUT)
 *		return 1;
 *	frame->seen = note->asked = 0;
 *	frame->ahead = note->answers;
 *	frame = note->frame;
 *
 * All come from the note, so that the verifier knows nothing of them.
 */
void bf_emit_key_note(struct bf_asm *a, const struct bf_program *p)
{
	int none = bf_asm_label(a), waits = bf_asm_label(a), on = bf_asm_label(a);

	bf_mov(a, BPF_REG_7, BPF_REG_1);
	bf_mov(a, BPF_REG_6, BPF_REG_10);
	bf_alui(a, BPF_ADD, BPF_REG_6, BF_FRAME_BASE);
	bf_note_check(a, &maps, none);
	bf_stx(a, BPF_DW, BPF_REG_6, BF_FRAME_PACKET, BPF_REG_7);
	bf_note_lookup(a, &maps, BPF_REG_6, BF_FRAME_PACKET);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, none);
	bf_mov(a, BPF_REG_8, BPF_REG_0);
	this_table(a, BPF_REG_1);
	bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_8, NOTE(table));
	bf_jif(a, BPF_JNE, BPF_REG_2, BPF_REG_1, none);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_8, NOTE(decided));
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, none);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_8, NOTE(asked));
	bf_jifi(a, BPF_JNE, BPF_REG_1, BF_QUESTION_PUT, waits);
	bf_jmp(a, on);
	bf_asm_here(a, none);
	bf_note_end(a, 0);
	bf_asm_here(a, waits);
	bf_note_end(a, 1);

	bf_asm_here(a, on);
	bf_sti(a, BPF_W, BPF_REG_8, NOTE(asked), 0);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_8, NOTE(asked));
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_SEEN, BPF_REG_1);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_8, NOTE(answers));
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_AHEAD, BPF_REG_1);
	if (a->grows) {
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, offsetof(struct __sk_buff, len));
		bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_NOW, BPF_REG_1);
	}
	bf_mov(a, BPF_REG_1, BPF_REG_6);
	bf_movi(a, BPF_REG_2, BF_FRAME_PACKET);
	bf_mov(a, BPF_REG_3, BPF_REG_8);
	bf_alui(a, BPF_ADD, BPF_REG_3, NOTE(frame));
	bf_helper(a, BPF_FUNC_probe_read_kernel);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, none);
	bf_helper(a, BPF_FUNC_get_smp_processor_id);
	bf_alui(a, BPF_MUL, BPF_REG_0, p->stride);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_COUNTERS, BPF_REG_0);
}

/*
 * In the first of the two programs behind links:
 *
 *	if (state->pending && (note = lookup(skb))) {
 *		old = {note->asked, note->epoch};
 *		if (old.asked == BF_QUESTION_REAPED ||
 *		    cmpxchg(&note->{asked, epoch}, old, {BF_QUESTION_CLAIMED, state->empty.epoch}) != old) {
 *			state->lost++;
 *			return NF_DROP;
 *		}
 *		delete(skb);
 *	}
 *
 * A packet that is gone has left that note. Who reaps notes removes it by the same address, so that either we or he may:
 * whoever marks it, and the other leaves it alone.
 */
static void remove_old(struct bf_asm *a)
{
	int none = bf_asm_label(a), ours = bf_asm_label(a), lost = bf_asm_label(a);

	bf_note_check(a, &maps, none);
	bf_note_lookup(a, &maps, BPF_REG_6, BF_FRAME_PACKET);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, none);
	bf_mov(a, BPF_REG_4, BPF_REG_0);
	bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_4, NOTE(asked));
	bf_stx(a, BPF_DW, BPF_REG_6, BF_FRAME_BUF, BPF_REG_2);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_BUF);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_QUESTION_REAPED, lost);
	bf_map_value(a, BPF_REG_1, BF_MAP_QUESTION_STATE);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_1, EPOCH);
	bf_sti(a, BPF_W, BPF_REG_6, BF_FRAME_BUF, BF_QUESTION_CLAIMED);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_BUF + 4, BPF_REG_1);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_6, BF_FRAME_BUF);
	bf_mov(a, BPF_REG_0, BPF_REG_2);
	bf_atomic(a, BPF_DW, BPF_CMPXCHG, BPF_REG_4, NOTE(asked), BPF_REG_1);
	bf_jif(a, BPF_JEQ, BPF_REG_0, BPF_REG_2, ours);
	bf_asm_here(a, lost);
	bf_note_add_lost(a, &maps, 1);
	bf_note_end(a, NF_DROP);
	bf_asm_here(a, ours);
	bf_note_delete(a, &maps, BPF_REG_6, BF_FRAME_PACKET);
	bf_asm_here(a, none);
}

/* frame->seen = ctx->cb[4], which is 0, but the verifier knows nothing of it. */
static void begin_numbers(struct bf_asm *a)
{
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_6, BF_FRAME_SKB);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_1, offsetof(struct __sk_buff, cb[4]));
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_SEEN, BPF_REG_1);
}

/* frame->to = frame->from */
static void copy(struct bf_asm *a, int to, int from)
{
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, from);
	bf_stx(a, BPF_W, BPF_REG_6, to, BPF_REG_1);
}

/* In the first of the two programs behind links: the marks that the packet came with are kept for the second one. */
static void keep_marks(struct bf_asm *a, const struct bf_rules *rules)
{
	a->marks = bf_rules_change(rules, BF_MARK);
	a->ct_marks = bf_rules_change(rules, BF_CT_MARK);
	if (a->marks)
		copy(a, BF_FRAME_MARK, BF_FRAME_KEY + 4 * BF_MARK);
	if (a->ct_marks)
		copy(a, BF_FRAME_CT_MARK, BF_FRAME_KEY + 4 * BF_CT_MARK);
}

static void restore_marks(struct bf_asm *a)
{
	if (a->marks)
		copy(a, BF_FRAME_KEY + 4 * BF_MARK, BF_FRAME_MARK);
	if (a->ct_marks)
		copy(a, BF_FRAME_KEY + 4 * BF_CT_MARK, BF_FRAME_CT_MARK);
}

void bf_emit_no_question(struct bf_asm *a, const struct bf_rules *rules)
{
	if (!rules->scratch.questions.nr)
		return;
	if (a->attach == BF_ATTACH_MODULE) {
		begin_numbers(a);
		return;
	}
	if (a->behind)
		return;
	remove_old(a);
	keep_marks(a, rules);
}

void bf_emit_ahead(struct bf_asm *a, int frame, int label)
{
	bf_ldx(a, BPF_W, BPF_REG_3, frame, BF_FRAME_AHEAD);
	bf_jifi(a, BPF_JNE, BPF_REG_3, 0, label);
}

/*
 * r8 is the number, and 1 more; in the first of the two programs behind links.
 *
 *	if (update(skb, &state->empty, BPF_NOEXIST))
 *		goto lost;
 *	state->pending++;
 *	note = lookup(skb);
 *	note->table = this;
 *	note->asked = r8;
 *	note->frame = frame;	// with the marks that the packet came with
 *	return NF_ACCEPT;
 */
static void make_note(struct bf_asm *a, const struct bf_rules *rules)
{
	int lost = bf_asm_label(a), off;

	bf_note_create(a, &maps, BPF_REG_6, BF_FRAME_PACKET, lost);
	this_table(a, BPF_REG_1);
	bf_stx(a, BPF_DW, BPF_REG_0, NOTE(table), BPF_REG_1);
	bf_stx(a, BPF_W, BPF_REG_0, NOTE(asked), BPF_REG_8);
	restore_marks(a);
	for (off = 0; off < BF_FRAME_PACKET; off += 8) {
		bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_6, off);
		bf_stx(a, BPF_DW, BPF_REG_0, NOTE(frame) + off, BPF_REG_1);
	}
	bf_note_end(a, NF_ACCEPT);
	bf_asm_here(a, lost);
	bf_note_add_lost(a, &maps, 1);
	if (rules->has_effects)
		bf_emit_lose_effects(a, BPF_REG_6, BF_FRAME_PACKET);
	bf_note_end(a, NF_DROP);
}

void bf_emit_asked(struct bf_asm *a, const struct bf_rules *rules)
{
	int lost = bf_asm_label(a);

	if (a->attach == BF_ATTACH_MODULE) {
		bf_alui(a, BPF_SUB, BPF_REG_0, BF_ASK);
		bf_alui(a, BPF_AND, BPF_REG_0, BF_QUESTIONS_MAX - 1);
		bf_alui(a, BPF_OR, BPF_REG_0, BPFILTER_ASK);
		bf_exit(a);
		return;
	}
	bf_mov(a, BPF_REG_8, BPF_REG_0);
	bf_alui(a, BPF_SUB, BPF_REG_8, BF_ASK - 1);
	if (!a->behind) {
		make_note(a, rules);
		return;
	}
	bf_note_lookup(a, &maps, BPF_REG_6, BF_FRAME_PACKET);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, lost);
	bf_stx(a, BPF_W, BPF_REG_0, NOTE(asked), BPF_REG_8);
	bf_note_end(a, 1);
	/* The gate finds nothing either: nobody but us removes it. */
	bf_asm_here(a, lost);
	bf_note_end(a, 0);
}

void bf_emit_astray(struct bf_asm *a)
{
	int there = bf_asm_label(a);

	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_6, BF_FRAME_AHEAD);
	bf_jifi(a, BPF_JEQ, BPF_REG_3, 0, there);
	bf_note_end(a, 0);
	bf_asm_here(a, there);
}

/* In the program behind links, of a packet without other notes: what the gate finds is dropped. */
void bf_emit_note_verdict(struct bf_asm *a, int verdict)
{
	int none = bf_asm_label(a);

	if (verdict == NF_ACCEPT) {
		bf_note_delete(a, &maps, BPF_REG_6, BF_FRAME_PACKET);
		bf_note_end(a, 0);
		return;
	}
	bf_note_lookup(a, &maps, BPF_REG_6, BF_FRAME_PACKET);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, none);
	bf_sti(a, BPF_W, BPF_REG_0, NOTE(decided), 1);
	bf_asm_here(a, none);
	bf_note_end(a, 0);
}

/* --- the condition ------------------------------------------------------------------------- */

/* @to of the frame = the 4 bytes at @member of what r9 is the address of; or to @fail. */
static void read_told(struct bf_asm *a, size_t member, int to, int fail)
{
	bf_mov(a, BPF_REG_1, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_1, to);
	bf_movi(a, BPF_REG_2, 4);
	bf_mov(a, BPF_REG_3, BPF_REG_9);
	bf_alui(a, BPF_ADD, BPF_REG_3, member);
	bf_helper(a, BPF_FUNC_probe_read_kernel);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, fail);
}

/* dst = bit r8 % 32 of the 4 bytes at @from of the frame */
static void test_bit(struct bf_asm *a, int dst, int from)
{
	bf_ldx(a, BPF_W, dst, BPF_REG_6, from);
	bf_alu32(a, BPF_RSH, dst, BPF_REG_8);
	bf_alui(a, BPF_AND, dst, 1);
}

/* r8 = frame->seen++; Clobbers r1. */
static void take_number(struct bf_asm *a)
{
	bf_ldx(a, BPF_W, BPF_REG_8, BPF_REG_6, BF_FRAME_SEEN);
	bf_mov(a, BPF_REG_1, BPF_REG_8);
	bf_alui(a, BPF_ADD, BPF_REG_1, 1);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_SEEN, BPF_REG_1);
}

/*
 *	seen = frame->seen++;
 *	if (packet->known has seen)
 *		return packet->yes has seen;
 *	if (packet->yes has seen)
 *		return BF_HOTDROP;
 *
 * r8 is seen, r9 the address of word r8 / 32 of both, but for where they are.
 */
static void module_answer(struct bf_asm *a, int unknown)
{
	const int known = BF_FRAME_BUF + 8, yes = BF_FRAME_BUF + 12;
	int hotdrop = bf_asm_label(a), not_known = bf_asm_label(a);

	take_number(a);
	bf_jifi(a, BPF_JGE, BPF_REG_8, BPFILTER_QUESTIONS_MAX, hotdrop);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_6, BF_FRAME_SKB);
	bf_ldx(a, BPF_W, BPF_REG_9, BPF_REG_1, offsetof(struct __sk_buff, cb[1]));
	bf_alui(a, BPF_LSH, BPF_REG_9, 32);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_1, offsetof(struct __sk_buff, cb[0]));
	bf_alu(a, BPF_OR, BPF_REG_9, BPF_REG_2);
	bf_mov(a, BPF_REG_1, BPF_REG_8);
	bf_alui(a, BPF_RSH, BPF_REG_1, 5);
	bf_alui(a, BPF_LSH, BPF_REG_1, 2);
	bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_1);
	read_told(a, offsetof(struct bpfilter_packet, known), known, hotdrop);
	read_told(a, offsetof(struct bpfilter_packet, yes), yes, hotdrop);
	test_bit(a, BPF_REG_0, yes);
	test_bit(a, BPF_REG_1, known);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, not_known);
	bf_exit(a);
	bf_asm_here(a, not_known);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, unknown);
	bf_asm_here(a, hotdrop);
	bf_note_end(a, BF_HOTDROP);
}

/*
 *	seen = frame->seen++;
 *	if (seen < note->answers) {
 *		if (note->numbers[seen] != number)
 *			return BF_HOTDROP;
 *		frame->ahead = note->answers - seen - 1;
 *		return note->yes >> seen & 1;
 *	}
 *
 * Another question than before: a route or an address has changed meanwhile. See bf_emit_astray().
 */
static void note_answer(struct bf_asm *a, int unknown)
{
	int hotdrop = bf_asm_label(a), have = bf_asm_label(a);

	bf_note_lookup(a, &maps, BPF_REG_6, BF_FRAME_PACKET);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, have);
	bf_asm_here(a, hotdrop);
	bf_note_end(a, BF_HOTDROP);
	bf_asm_here(a, have);
	take_number(a);
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_0, NOTE(answers));
	bf_jif(a, BPF_JGE, BPF_REG_8, BPF_REG_3, unknown);
	bf_mov(a, BPF_REG_2, BPF_REG_8);
	bf_alui(a, BPF_AND, BPF_REG_2, BF_ROUNDS - 1);
	bf_alu(a, BPF_ADD, BPF_REG_2, BPF_REG_0);
	bf_ldx(a, BPF_B, BPF_REG_2, BPF_REG_2, NOTE(numbers));
	bf_jif(a, BPF_JNE, BPF_REG_2, BPF_REG_7, hotdrop);
	bf_alu(a, BPF_SUB, BPF_REG_3, BPF_REG_1);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_AHEAD, BPF_REG_3);
	bf_ldx(a, BPF_DW, BPF_REG_0, BPF_REG_0, NOTE(yes));
	bf_alu(a, BPF_RSH, BPF_REG_0, BPF_REG_8);
	bf_alui(a, BPF_AND, BPF_REG_0, 1);
	bf_exit(a);
}

/* Unknown: then it is asked. A program that only decides never comes here, or a route has changed meanwhile. */
static void ask_emit(struct bf_asm *a)
{
	int unknown = bf_asm_label(a);

	bf_mov(a, BPF_REG_6, BPF_REG_2);
	bf_ldx(a, BPF_W, BPF_REG_7, BPF_REG_1, 0);
	bf_alui(a, BPF_AND, BPF_REG_7, BF_QUESTIONS_MAX - 1);
	if (a->attach == BF_ATTACH_MODULE)
		module_answer(a, unknown);
	else if (a->behind)
		note_answer(a, unknown);
	bf_asm_here(a, unknown);
	if (a->asks) {
		bf_mov(a, BPF_REG_0, BPF_REG_7);
		bf_alui(a, BPF_ADD, BPF_REG_0, BF_ASK);
		bf_exit(a);
	} else {
		bf_note_end(a, BF_HOTDROP);
	}
}

const struct bf_cond_type bf_cond_ask = {
	.name = "asks the kernel",
	.emit = ask_emit,
};

/* --- the programs beside them -------------------------------------------------------------- */

/*
 * If r0 is the note of a packet that is gone, to @gone. Another one is at its address by now; if the table in force asked,
 * it would have removed the note. Clobbers r1.
 */
static void check_gone(struct bf_asm *a, int gone)
{
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_0, NOTE(asked));
	bf_jifi(a, BPF_JGE, BPF_REG_1, BF_QUESTION_GONE, gone);
}

/*
 *	if (!state->pending || !(note = lookup(ctx->skb)) || note->asked >= BF_QUESTION_GONE)
 *		return NF_ACCEPT;
 *	if (!note->decided) {
 *		state->lost++;
 *		its effects are lost;
 *	}
 *	delete(ctx->skb);
 *	return NF_DROP;
 */
int bf_compile_gate(const struct bf_kernel *kernel, struct bf_program **program)
{
	int accept, decided;
	struct bf_asm a;

	*program = NULL;
	bf_asm_init(&a, kernel);
	accept = bf_asm_label(&a);
	decided = bf_asm_label(&a);
	bf_note_find_at_link(&a, &maps, accept);
	check_gone(&a, accept);
	bf_ldx(&a, BPF_W, BPF_REG_1, BPF_REG_0, NOTE(decided));
	bf_jifi(&a, BPF_JNE, BPF_REG_1, 0, decided);
	bf_note_add_lost(&a, &maps, 1);
	bf_emit_lose_effects(&a, BPF_REG_10, BF_NOTE_KEY);
	bf_asm_here(&a, decided);
	bf_note_delete(&a, &maps, BPF_REG_10, BF_NOTE_KEY);
	bf_note_end(&a, NF_DROP);
	bf_asm_here(&a, accept);
	bf_note_end(&a, NF_ACCEPT);
	return bf_note_finish(&a, program);
}

int bf_compile_has_question(const struct bf_kernel *kernel, struct bf_program **program)
{
	struct bf_asm a;
	int none;

	*program = NULL;
	bf_asm_init(&a, kernel);
	none = bf_asm_label(&a);
	bf_note_find(&a, &maps, none);
	check_gone(&a, none);
	return bf_note_finish_match(&a, none, program);
}

/* Without room for the answer the question stays asked, and the packet is dropped. */
int bf_compile_is_question(const struct bf_kernel *kernel, uint32_t number,
			   struct bf_program **program)
{
	struct bf_asm a;
	int none;

	*program = NULL;
	bf_asm_init(&a, kernel);
	none = bf_asm_label(&a);
	bf_note_find(&a, &maps, none);
	bf_ldx(&a, BPF_W, BPF_REG_1, BPF_REG_0, NOTE(asked));
	bf_jif32i(&a, BPF_JNE, BPF_REG_1, number + 1, none);
	bf_ldx(&a, BPF_W, BPF_REG_1, BPF_REG_0, NOTE(answers));
	bf_jifi(&a, BPF_JGE, BPF_REG_1, BF_ROUNDS, none);
	bf_mov(&a, BPF_REG_2, BPF_REG_0);
	bf_alu(&a, BPF_ADD, BPF_REG_2, BPF_REG_1);
	bf_sti(&a, BPF_B, BPF_REG_2, NOTE(numbers), (int32_t)number);
	bf_alui(&a, BPF_ADD, BPF_REG_1, 1);
	bf_stx(&a, BPF_W, BPF_REG_0, NOTE(answers), BPF_REG_1);
	bf_map_value(&a, BPF_REG_2, BF_MAP_QUESTION_STATE);
	bf_ldx(&a, BPF_W, BPF_REG_2, BPF_REG_2, EPOCH);
	bf_stx(&a, BPF_W, BPF_REG_0, NOTE(epoch), BPF_REG_2);
	bf_sti(&a, BPF_W, BPF_REG_0, NOTE(asked), BF_QUESTION_PUT);
	return bf_note_finish_match(&a, none, program);
}

/* note->yes |= 1 << (note->answers - 1) */
int bf_compile_answer(const struct bf_kernel *kernel, struct bf_program **program)
{
	struct bf_asm a;
	int none;

	*program = NULL;
	bf_asm_init(&a, kernel);
	none = bf_asm_label(&a);
	bf_note_find(&a, &maps, none);
	bf_ldx(&a, BPF_W, BPF_REG_1, BPF_REG_0, NOTE(answers));
	bf_alui(&a, BPF_SUB, BPF_REG_1, 1);
	bf_alui(&a, BPF_AND, BPF_REG_1, BF_ROUNDS - 1);
	bf_movi(&a, BPF_REG_2, 1);
	bf_alu(&a, BPF_LSH, BPF_REG_2, BPF_REG_1);
	bf_ldx(&a, BPF_DW, BPF_REG_1, BPF_REG_0, NOTE(yes));
	bf_alu(&a, BPF_OR, BPF_REG_1, BPF_REG_2);
	bf_stx(&a, BPF_DW, BPF_REG_0, NOTE(yes), BPF_REG_1);
	return bf_note_finish_match(&a, none, program);
}

/*
 *	for each note:
 *		old = {note->asked, note->epoch};
 *		if (old.asked == BF_QUESTION_PUT && old.epoch != state->empty.epoch &&
 *		    cmpxchg(&note->{asked, epoch}, old, {BF_QUESTION_REAPED, old.epoch}) == old)
 *			delete(key);
 *
 * Another packet may be at that address by now, and have removed the note: see remove_old(). If its memory holds the
 * note of a third one, whose question is put, that has the epoch of now.
 */
int bf_compile_reap(const struct bf_kernel *kernel, struct bf_program **program)
{
	int each, keep;
	struct bf_asm a;

	*program = NULL;
	bf_asm_init(&a, kernel);
	each = bf_asm_label(&a);
	keep = bf_asm_label(&a);
	bf_map(&a, BPF_REG_1, BF_MAP_QUESTIONS);
	bf_function_addr(&a, BPF_REG_2, each);
	bf_movi(&a, BPF_REG_3, 0);
	bf_movi(&a, BPF_REG_4, 0);
	bf_helper(&a, BPF_FUNC_for_each_map_elem);
	bf_note_end(&a, 0);

	bf_function(&a, each);
	bf_mov(&a, BPF_REG_6, BPF_REG_2);
	bf_mov(&a, BPF_REG_7, BPF_REG_3);
	bf_ldx(&a, BPF_DW, BPF_REG_8, BPF_REG_7, NOTE(asked));
	bf_stx(&a, BPF_DW, BPF_REG_10, -8, BPF_REG_8);
	bf_ldx(&a, BPF_W, BPF_REG_1, BPF_REG_10, -8);
	bf_jifi(&a, BPF_JNE, BPF_REG_1, BF_QUESTION_PUT, keep);
	bf_ldx(&a, BPF_W, BPF_REG_1, BPF_REG_10, -4);
	bf_map_value(&a, BPF_REG_2, BF_MAP_QUESTION_STATE);
	bf_ldx(&a, BPF_W, BPF_REG_2, BPF_REG_2, EPOCH);
	bf_jif(&a, BPF_JEQ, BPF_REG_1, BPF_REG_2, keep);
	bf_sti(&a, BPF_W, BPF_REG_10, -8, BF_QUESTION_REAPED);
	bf_ldx(&a, BPF_DW, BPF_REG_1, BPF_REG_10, -8);
	bf_mov(&a, BPF_REG_0, BPF_REG_8);
	bf_atomic(&a, BPF_DW, BPF_CMPXCHG, BPF_REG_7, NOTE(asked), BPF_REG_1);
	bf_jif(&a, BPF_JNE, BPF_REG_0, BPF_REG_8, keep);
	bf_note_delete(&a, &maps, BPF_REG_6, 0);
	bf_asm_here(&a, keep);
	bf_note_end(&a, 0);
	return bf_note_finish(&a, program);
}
