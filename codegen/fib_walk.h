/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One step of a walk through a routing table: what is about its nodes and routes (fib.c) and about next hops (fib_hop.c) has in
 * common. Registers are as fib.c says.
 */
#ifndef BPFILTER_FIB_WALK_H
#define BPFILTER_FIB_WALK_H

#include "fib.h"

enum bf_fib_phase {
	PHASE_TABLE,  /* NODE is the next table of the hash chain */
	PHASE_DOWN,   /* NODE is a node on the way to the longest match */
	PHASE_PREFIX, /* NODE is a node that a shorter match may be under */
	PHASE_BACK,   /* PARENT's child INDEX was no match */
	PHASE_ALIAS,  /* NODE is the next route of a leaf */
	PHASE_HOP,    /* next hop HOP of route NODE; INFO is its fib_info */
	PHASE_GROUP,  /* next hop HOP of route NODE; INFO is the nh_group */
	PHASE_SINGLE, /* route NODE has one next hop, an object of its own */
	PHASE_DONE,
};

/* Labels that all phases share. */
struct walk {
	struct bf_asm *a;
	const struct bf_kernel *k;
	int go_on;	/* next step */
	int stop;	/* the type is known */
	int back;	/* go on with PHASE_BACK */
	int leaf;	/* r7 is a leaf that may match */
	int next_alias; /* r7 is a route that does not match */
	int hop;	/* r9 is a fib_nh_common: is it usable? */
	int bad_hop;	/* it is not */
	bool back_way;	/* what is looked for is the way back to a source */
	int uses;	/* then: r9 is one of the answer's next hops: is it the device's? */
	int enter[PHASE_SINGLE]; /* where the code of each phase begins; r7 is NODE */
};

/* dst = *(size *)(base + off) of kernel memory */
static inline void load(struct walk *w, int size, int dst, int base, int off)
{
	bf_raw(w->a, base, off);
	bf_raw_ldx(w->a, size, dst, 0);
}

static inline void get(struct walk *w, int dst, int field)
{
	bf_ldx(w->a, field < BF_FIB_INDEX ? BPF_DW : BPF_W, dst, BPF_REG_6, field);
}

static inline void set(struct walk *w, int field, int src)
{
	bf_stx(w->a, field < BF_FIB_INDEX ? BPF_DW : BPF_W, BPF_REG_6, field, src);
}

static inline void seti(struct walk *w, int field, int32_t value)
{
	bf_sti(w->a, BPF_W, BPF_REG_6, field, value);
}

/* The steps of those phases; and behind all of them what hop, bad_hop and uses are the labels of. */
void bf_fib_emit_hop(struct walk *w);
void bf_fib_emit_group(struct walk *w);
void bf_fib_emit_hops(struct walk *w);

/* A route, r7, with a next hop that is an object of its own, r9. */
void bf_fib_emit_object(struct walk *w);

#endif /* BPFILTER_FIB_WALK_H */
