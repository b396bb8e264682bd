/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Notes about packets, kept between programs that see a packet one after the other in the same netfilter hook: of its
 * effects (effect.h), and of its questions (question.h).
 *
 * A note is an element of a hash map with the packet's address as the key, so that it belongs to this packet alone,
 * whatever interrupts it meanwhile. How many there are is in another map, for all to see at once that there are none.
 */
#ifndef BPFILTER_NOTE_H
#define BPFILTER_NOTE_H

#include "asm.h"
#include "program.h"

/**
 * struct bf_note_state - how the only element of the other map begins
 * @pending: notes in the map
 * @lost: what could not be noted, or was not done
 *
 * What a new note begins with follows.
 */
struct bf_note_state {
	uint64_t pending;
	uint64_t lost;
};

/**
 * struct bf_note_maps - the two maps of one kind of notes
 * @notes: hash by the packet's address
 * @state: begins with struct bf_note_state
 */
struct bf_note_maps {
	enum bf_program_map notes, state;
};

/*
 * Pieces of programs. All clobber r0 to r5; the key, uint64_t, is at @off of the memory at register @base, which is
 * r6 to r10.
 */

/* r0 = the note, or NULL. */
void bf_note_lookup(struct bf_asm *a, const struct bf_note_maps *maps, int base, int off);
/* r0 = a new note, as an empty one is; to @lost if there is no room, or if there is one. */
void bf_note_create(struct bf_asm *a, const struct bf_note_maps *maps, int base, int off, int lost);
/* It goes, if it is there. */
void bf_note_delete(struct bf_asm *a, const struct bf_note_maps *maps, int base, int off);
/* If there are no notes at all, to @none. Clobbers r1 alone. */
void bf_note_check(struct bf_asm *a, const struct bf_note_maps *maps, int none);
/* state->lost += @n, or register r2. Clobbers r1 and r2. */
void bf_note_add_lost(struct bf_asm *a, const struct bf_note_maps *maps, int n);
void bf_note_add_lost_r2(struct bf_asm *a, const struct bf_note_maps *maps);
/* r0 = @value, and the end. */
void bf_note_end(struct bf_asm *a, int value);

/*
 * Programs beside a table's. Where they keep the key: on their stack, which holds nothing else.
 */
#define BF_NOTE_KEY (-8)

/*
 * In front of a program for the match "bpf", whose context is the packet: r0 = its note, r6 the context; to @none if there
 * is none.
 */
void bf_note_find(struct bf_asm *a, const struct bf_note_maps *maps, int none);
/* The same for a program for a netfilter link. */
void bf_note_find_at_link(struct bf_asm *a, const struct bf_note_maps *maps, int none);
/* And behind a match's: it ends with 1, at @none with 0, and becomes *@program. @a is freed. 0 or -errno. */
int bf_note_finish_match(struct bf_asm *a, int none, struct bf_program **program);
/* The same for a program whose ends are there. */
int bf_note_finish(struct bf_asm *a, struct bf_program **program);

#endif /* BPFILTER_NOTE_H */
