// SPDX-License-Identifier: GPL-2.0
/* What the programs do about effects. See effect.h. */
#include <errno.h>
#include <linux/netfilter.h>
#include <stdlib.h>

#include "compile.h"
#include "effect.h"
#include "note.h"

#define NOTE(member) offsetof(struct bf_effect_note, member)

static const struct bf_note_maps maps = {BF_MAP_NOTES, BF_MAP_EFFECT_STATE};

_Static_assert(offsetof(struct bf_effect_state, empty) == sizeof(struct bf_note_state),
	       "what a note begins with");

void bf_emit_no_note(struct bf_asm *a, const struct bf_rules *rules, const struct bf_program *p)
{
	int none = bf_asm_label(a);

	if (rules->has_effects && bf_at_interfaces(p->attach)) {
		bf_emit_reject_init(a);
		return;
	}
	if (!rules->has_effects || a->behind || !p->decides || p->attach == BF_ATTACH_MODULE)
		return;
	/* r7 still is the sk_buff, or the context, which is the same address. */
	bf_stx(a, BPF_DW, BPF_REG_6, BF_FRAME_PACKET, BPF_REG_7);
	bf_note_check(a, &maps, none);
	bf_note_delete(a, &maps, BPF_REG_6, BF_FRAME_PACKET);
	bf_asm_here(a, none);
}

/*
 *	ctx->cb[2..3] = ctx->cb[2..3] << 8 | id;
 *	ctx->cb[4]++;
 */
static void emit_module_note(struct bf_asm *a)
{
	const int list = offsetof(struct __sk_buff, cb[2]), nr = offsetof(struct __sk_buff, cb[4]);

	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_1, BF_FRAME_SKB);
	bf_ldx(a, BPF_DW, BPF_REG_3, BPF_REG_1, list);
	bf_alui(a, BPF_LSH, BPF_REG_3, 8);
	bf_alu(a, BPF_OR, BPF_REG_3, BPF_REG_2);
	bf_stx(a, BPF_DW, BPF_REG_1, list, BPF_REG_3);
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_1, nr);
	bf_alui(a, BPF_ADD, BPF_REG_3, 1);
	bf_stx(a, BPF_W, BPF_REG_1, nr, BPF_REG_3);
	bf_note_end(a, 0);
}

/*
 *	note = lookup(frame->packet);
 *	if (!note) {
 *		if (update(frame->packet, &state->empty, BPF_NOEXIST))
 *			goto lost;
 *		state->pending++;
 *		note = lookup(frame->packet);
 *	}
 *	if (!note || note->nr >= BF_MAX_EFFECTS)
 *		goto lost;
 *	note->ids[note->nr++] = id;
 *	return 0;
 * lost:
 *	state->lost++;
 *	return 1;
 */
void bf_emit_note_function(struct bf_asm *a, const struct bf_rules *rules,
			   const struct bf_program *p, int label)
{
	int have = bf_asm_label(a), lost = bf_asm_label(a), done = bf_asm_label(a);

	if (!rules->has_effects || !p->decides)
		return;
	bf_asm_note(a, BF_PART_EFFECT, 0, 0);
	if (bf_at_interfaces(p->attach)) {
		bf_emit_reject_functions(a, label);
		return;
	}
	bf_function(a, label);
	if (p->attach == BF_ATTACH_MODULE) {
		emit_module_note(a);
		return;
	}
	if (a->behind)
		bf_emit_ahead(a, BPF_REG_1, done);
	bf_mov(a, BPF_REG_6, BPF_REG_1);
	bf_mov(a, BPF_REG_7, BPF_REG_2);
	bf_note_lookup(a, &maps, BPF_REG_6, BF_FRAME_PACKET);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, have);
	bf_note_create(a, &maps, BPF_REG_6, BF_FRAME_PACKET, lost);
	bf_asm_here(a, have);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_0, NOTE(nr));
	bf_jifi(a, BPF_JGE, BPF_REG_1, BF_MAX_EFFECTS, lost);
	bf_mov(a, BPF_REG_2, BPF_REG_1);
	bf_alui(a, BPF_ADD, BPF_REG_2, 1);
	bf_stx(a, BPF_W, BPF_REG_0, NOTE(nr), BPF_REG_2);
	bf_alui(a, BPF_LSH, BPF_REG_1, 2);
	bf_alu(a, BPF_ADD, BPF_REG_0, BPF_REG_1);
	bf_stx(a, BPF_W, BPF_REG_0, NOTE(ids), BPF_REG_7);
	bf_asm_here(a, done);
	bf_note_end(a, 0);
	bf_asm_here(a, lost);
	bf_note_add_lost(a, &maps, 1);
	bf_note_end(a, 1);
}

void bf_emit_note(struct bf_asm *a, const struct bf_rules *rules, int note, int drop)
{
	bf_mov(a, BPF_REG_1, BPF_REG_6);
	bf_call(a, note);
	if (a->attach == BF_ATTACH_LINK && bf_effects_must_be(&rules->scratch.effects))
		bf_jifi(a, BPF_JNE, BPF_REG_0, 0, drop);
}

/* Without a note, as one that there was no room for, the verdict is the program's own. */
void bf_emit_verdict(struct bf_asm *a, const struct bf_rules *rules, int verdict)
{
	int none = bf_asm_label(a);

	if (a->behind)
		bf_emit_astray(a);
	if (rules->has_effects && bf_at_interfaces(a->attach)) {
		if (verdict == NF_DROP)
			bf_emit_reject(a, rules);
		else
			bf_emit_plain_verdict(a, verdict);
		return;
	}
	if (rules->has_effects && a->attach != BF_ATTACH_MODULE) {
		bf_note_check(a, &maps, none);
		bf_note_lookup(a, &maps, BPF_REG_6, BF_FRAME_PACKET);
		bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, none);
		bf_sti(a, BPF_W, BPF_REG_0, NOTE(verdict), verdict);
		if (a->behind)
			bf_emit_note_verdict(a, NF_ACCEPT);
		bf_movi(a, BPF_REG_0, NF_ACCEPT);
		bf_exit(a);
	}
	bf_asm_here(a, none);
	if (a->behind)
		bf_emit_note_verdict(a, verdict);
	else
		bf_emit_plain_verdict(a, verdict);
}

/*
 *	note = lookup(key);
 *	if (note) {
 *		state->lost += note->nr - note->done;
 *		delete(key);
 *	}
 */
void bf_emit_lose_effects(struct bf_asm *a, int base, int off)
{
	int none = bf_asm_label(a);

	bf_note_check(a, &maps, none);
	bf_note_lookup(a, &maps, base, off);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, none);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_0, NOTE(nr));
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_0, NOTE(done));
	bf_alu(a, BPF_SUB, BPF_REG_2, BPF_REG_1);
	bf_note_add_lost_r2(a, &maps);
	bf_note_delete(a, &maps, base, off);
	bf_asm_here(a, none);
}

void bf_emit_unread(struct bf_asm *a, const struct bf_rules *rules, int label)
{
	if (!rules->has_effects)
		return;
	bf_asm_here(a, label);
	bf_emit_plain_verdict(a, NF_DROP);
}

/* --- the programs beside it ------------------------------------------------------------------- */

/*
 *	if (!state->pending)
 *		return NF_ACCEPT;
 *	note = lookup(ctx->skb);
 *	if (!note)
 *		return NF_ACCEPT;
 *	verdict = note->verdict;
 *	state->lost += note->nr - note->done;
 *	delete(ctx->skb);
 *	return verdict;
 */
int bf_compile_guard(const struct bf_kernel *kernel, struct bf_program **program)
{
	struct bf_asm a;
	int accept;

	*program = NULL;
	bf_asm_init(&a, kernel);
	accept = bf_asm_label(&a);
	bf_note_find_at_link(&a, &maps, accept);
	bf_ldx(&a, BPF_W, BPF_REG_7, BPF_REG_0, NOTE(verdict));
	bf_alui(&a, BPF_AND, BPF_REG_7, NF_ACCEPT);
	bf_emit_lose_effects(&a, BPF_REG_10, BF_NOTE_KEY);
	bf_mov(&a, BPF_REG_0, BPF_REG_7);
	bf_exit(&a);
	bf_asm_here(&a, accept);
	bf_note_end(&a, NF_ACCEPT);
	return bf_note_finish(&a, program);
}

/* r0 = the packet's note, r1 = note->done, if there is an effect to be run; or to @none. */
static void find_effect(struct bf_asm *a, int none)
{
	bf_note_find(a, &maps, none);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_0, NOTE(done));
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_0, NOTE(nr));
	bf_jif(a, BPF_JGE, BPF_REG_1, BPF_REG_2, none);
}

int bf_compile_has_effect(const struct bf_kernel *kernel, struct bf_program **program)
{
	struct bf_asm a;
	int none;

	*program = NULL;
	bf_asm_init(&a, kernel);
	none = bf_asm_label(&a);
	find_effect(&a, none);
	return bf_note_finish_match(&a, none, program);
}

/* The last effect of a packet that is dropped by it never comes to the guard. */
int bf_compile_is_effect(const struct bf_kernel *kernel, const struct bf_effect *effect,
			 struct bf_program **program)
{
	struct bf_asm a;
	int none;

	*program = NULL;
	bf_asm_init(&a, kernel);
	none = bf_asm_label(&a);
	find_effect(&a, none);
	bf_mov(&a, BPF_REG_2, BPF_REG_1);
	bf_alui(&a, BPF_AND, BPF_REG_2, BF_MAX_EFFECTS - 1);
	bf_alui(&a, BPF_LSH, BPF_REG_2, 2);
	bf_alu(&a, BPF_ADD, BPF_REG_2, BPF_REG_0);
	bf_ldx(&a, BPF_W, BPF_REG_2, BPF_REG_2, NOTE(ids));
	bf_jif32i(&a, BPF_JNE, BPF_REG_2, effect->id, none);
	bf_alui(&a, BPF_ADD, BPF_REG_1, 1);
	bf_stx(&a, BPF_W, BPF_REG_0, NOTE(done), BPF_REG_1);
	if (bf_effect_drops(effect))
		bf_note_delete(&a, &maps, BPF_REG_10, BF_NOTE_KEY);
	return bf_note_finish_match(&a, none, program);
}

int bf_compile_forget_effects(const struct bf_kernel *kernel, struct bf_program **program)
{
	struct bf_asm a;
	int none;

	*program = NULL;
	bf_asm_init(&a, kernel);
	none = bf_asm_label(&a);
	bf_note_find(&a, &maps, none);
	bf_ldx(&a, BPF_W, BPF_REG_1, BPF_REG_0, NOTE(done));
	bf_ldx(&a, BPF_W, BPF_REG_2, BPF_REG_0, NOTE(nr));
	bf_jif(&a, BPF_JLT, BPF_REG_1, BPF_REG_2, none);
	bf_note_delete(&a, &maps, BPF_REG_10, BF_NOTE_KEY);
	bf_asm_here(&a, none);
	bf_note_end(&a, 0);
	return bf_note_finish(&a, program);
}
