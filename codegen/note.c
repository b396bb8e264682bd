// SPDX-License-Identifier: GPL-2.0
/* See note.h. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "note.h"

#define STATE(member) offsetof(struct bf_note_state, member)

/* r1 = the map, r2 = the key's address */
static void put_key(struct bf_asm *a, const struct bf_note_maps *maps, int base, int off)
{
	bf_map(a, BPF_REG_1, maps->notes);
	bf_mov(a, BPF_REG_2, base);
	bf_alui(a, BPF_ADD, BPF_REG_2, off);
}

/* state->@member += r2 */
static void add_r2(struct bf_asm *a, const struct bf_note_maps *maps, int member)
{
	bf_map_value(a, BPF_REG_1, maps->state);
	bf_atomic(a, BPF_DW, BPF_ADD, BPF_REG_1, member, BPF_REG_2);
}

static void add(struct bf_asm *a, const struct bf_note_maps *maps, int member, int n)
{
	bf_movi(a, BPF_REG_2, n);
	add_r2(a, maps, member);
}

void bf_note_lookup(struct bf_asm *a, const struct bf_note_maps *maps, int base, int off)
{
	put_key(a, maps, base, off);
	bf_helper(a, BPF_FUNC_map_lookup_elem);
}

/*
 *	if (update(key, &state->empty, BPF_NOEXIST))
 *		goto lost;
 *	state->pending++;
 *	note = lookup(key);
 *	if (!note)
 *		goto lost;
 */
void bf_note_create(struct bf_asm *a, const struct bf_note_maps *maps, int base, int off, int lost)
{
	put_key(a, maps, base, off);
	bf_map_value(a, BPF_REG_3, maps->state);
	bf_alui(a, BPF_ADD, BPF_REG_3, sizeof(struct bf_note_state));
	bf_movi(a, BPF_REG_4, BPF_NOEXIST);
	bf_helper(a, BPF_FUNC_map_update_elem);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, lost);
	add(a, maps, STATE(pending), 1);
	bf_note_lookup(a, maps, base, off);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, lost);
}

void bf_note_delete(struct bf_asm *a, const struct bf_note_maps *maps, int base, int off)
{
	int none = bf_asm_label(a);

	put_key(a, maps, base, off);
	bf_helper(a, BPF_FUNC_map_delete_elem);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, none);
	add(a, maps, STATE(pending), -1);
	bf_asm_here(a, none);
}

void bf_note_check(struct bf_asm *a, const struct bf_note_maps *maps, int none)
{
	bf_map_value(a, BPF_REG_1, maps->state);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_1, STATE(pending));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, none);
}

void bf_note_add_lost(struct bf_asm *a, const struct bf_note_maps *maps, int n)
{
	add(a, maps, STATE(lost), n);
}

void bf_note_add_lost_r2(struct bf_asm *a, const struct bf_note_maps *maps)
{
	add_r2(a, maps, STATE(lost));
}

void bf_note_end(struct bf_asm *a, int value)
{
	bf_movi(a, BPF_REG_0, value);
	bf_exit(a);
}

/* r2 is the packet's address. */
static void find(struct bf_asm *a, const struct bf_note_maps *maps, int none)
{
	bf_stx(a, BPF_DW, BPF_REG_10, BF_NOTE_KEY, BPF_REG_2);
	bf_note_lookup(a, maps, BPF_REG_10, BF_NOTE_KEY);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, none);
}

void bf_note_find(struct bf_asm *a, const struct bf_note_maps *maps, int none)
{
	bf_mov(a, BPF_REG_6, BPF_REG_1);
	bf_note_check(a, maps, none);
	bf_mov(a, BPF_REG_2, BPF_REG_6);
	find(a, maps, none);
}

void bf_note_find_at_link(struct bf_asm *a, const struct bf_note_maps *maps, int none)
{
	bf_mov(a, BPF_REG_6, BPF_REG_1);
	bf_note_check(a, maps, none);
	bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_6, a->kernel->nf_ctx_skb);
	find(a, maps, none);
}

int bf_note_finish_match(struct bf_asm *a, int none, struct bf_program **program)
{
	bf_note_end(a, 1);
	bf_asm_here(a, none);
	bf_note_end(a, 0);
	return bf_note_finish(a, program);
}

int bf_note_finish(struct bf_asm *a, struct bf_program **program)
{
	struct bf_program *p = calloc(1, sizeof(*p));
	int err = p ? bf_asm_finish(a) : -ENOMEM;

	if (!err) {
		p->insns = a->insns;
		p->nr_insns = a->nr_insns;
		memcpy(p->functions, a->functions, sizeof(a->functions));
		p->nr_functions = a->nr_functions;
		a->insns = NULL;
	}
	bf_asm_free(a);
	if (err) {
		free(p);
		return err;
	}
	*program = p;
	return 0;
}
