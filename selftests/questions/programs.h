/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Two small programs for the module's hooks, of a table with one rule in OUTPUT, which accepts a packet if all that it
 * asks the kernel's matches is answered with yes; all others are dropped.
 */
#ifndef QUESTIONS_PROGRAMS_H
#define QUESTIONS_PROGRAMS_H

#include <bpf/bpf.h>
#include <errno.h>
#include <linux/netfilter.h>
#include <unistd.h>

#include "asm.h"
#include "uapi/bpfilter.h"

#define MAX_ASKED 4

/* What is known of an answer, as the full program finds it. */
enum known { UNKNOWN, NO, HOTDROP, YES };

/**
 * struct recipe - what they do
 * @asks: questions in this order, each if the one before was answered with yes; one may be there twice
 * @mark: not 0: set by the asking program before it asks; the full one drops packets that have it
 */
struct recipe {
	int nr;
	unsigned int asks[MAX_ASKED];
	uint32_t mark;
};

/**
 * struct programs - both
 * @seen: map: how often the full program found question k in a state, in element 4 * k + state
 */
struct programs {
	int asking, full, seen;
};

/* Where the struct bpfilter_packet is copied to. */
#define AT(member) (-256 + (int)offsetof(struct bpfilter_packet, member))

/* r6 is the context, the packet is on the stack; what is not in OUTPUT is accepted. */
static inline void emit_begin(struct bf_asm *a)
{
	int output = bf_asm_label(a);

	bf_mov(a, 6, 1);
	bf_ldx(a, BPF_W, 3, 6, offsetof(struct __sk_buff, cb[0]));
	bf_ldx(a, BPF_W, 4, 6, offsetof(struct __sk_buff, cb[1]));
	bf_alui(a, BPF_LSH, 4, 32);
	bf_alu(a, BPF_OR, 3, 4);
	bf_mov(a, 1, 10);
	bf_alui(a, BPF_ADD, 1, AT(saddr));
	bf_movi(a, 2, sizeof(struct bpfilter_packet));
	bf_helper(a, BPF_FUNC_probe_read_kernel);
	bf_ldx(a, BPF_W, 1, 10, AT(hook));
	bf_jifi(a, BPF_JEQ, 1, NF_INET_LOCAL_OUT, output);
	bf_movi(a, 0, NF_ACCEPT);
	bf_exit(a);
	bf_asm_here(a, output);
}

/* Of answer number @n: r1 = 1 if @known, r2 = 1 if @yes. */
static inline void emit_state(struct bf_asm *a, unsigned int n)
{
	bf_ldx(a, BPF_W, 1, 10, AT(known) + n / 32 * 4);
	bf_ldx(a, BPF_W, 2, 10, AT(yes) + n / 32 * 4);
	bf_alui(a, BPF_RSH, 1, n % 32);
	bf_alui(a, BPF_RSH, 2, n % 32);
	bf_alui(a, BPF_AND, 1, 1);
	bf_alui(a, BPF_AND, 2, 1);
}

static inline void emit_asking(struct bf_asm *a, const struct recipe *r)
{
	int i, known, none = bf_asm_label(a);

	emit_begin(a);
	if (r->mark) {
		bf_movi(a, 1, r->mark);
		bf_stx(a, BPF_W, 6, offsetof(struct __sk_buff, mark), 1);
	}
	for (i = 0; i < r->nr; i++) {
		known = bf_asm_label(a);
		emit_state(a, i);
		bf_alu(a, BPF_OR, 1, 2);
		bf_jifi(a, BPF_JNE, 1, 0, known);
		bf_movi(a, 0, BPFILTER_ASK | r->asks[i]);
		bf_exit(a);
		bf_asm_here(a, known);
		bf_jifi(a, BPF_JEQ, 2, 0, none);
	}
	bf_asm_here(a, none);
	bf_movi(a, 0, NF_DROP);
	bf_exit(a);
}

static inline void emit_map(struct bf_asm *a, int dst, int fd)
{
	bf_insn(a, (struct bpf_insn){.code = BPF_LD | BPF_IMM | BPF_DW,
				     .dst_reg = dst,
				     .src_reg = BPF_PSEUDO_MAP_FD,
				     .imm = fd});
	bf_insn(a, (struct bpf_insn){});
}

/* Note what is known of @k, which is answer number @n; go to @no unless it is yes. */
static inline void emit_note(struct bf_asm *a, unsigned int k, unsigned int n, int map, int no)
{
	int none = bf_asm_label(a);

	emit_state(a, n);
	bf_mov(a, 7, 1);
	bf_mov(a, 8, 2);
	bf_alui(a, BPF_LSH, 2, 1);
	bf_alu(a, BPF_OR, 1, 2);
	bf_alui(a, BPF_ADD, 1, 4 * k);
	bf_stx(a, BPF_W, 10, AT(saddr) - 4, 1);
	emit_map(a, 1, map);
	bf_mov(a, 2, 10);
	bf_alui(a, BPF_ADD, 2, AT(saddr) - 4);
	bf_helper(a, BPF_FUNC_map_lookup_elem);
	bf_jifi(a, BPF_JEQ, 0, 0, none);
	bf_movi(a, 1, 1);
	bf_atomic(a, BPF_DW, BPF_ADD, 0, 0, 1);
	bf_asm_here(a, none);
	bf_alu(a, BPF_AND, 7, 8);
	bf_jifi(a, BPF_JEQ, 7, 0, no);
}

static inline void emit_full(struct bf_asm *a, const struct recipe *r, int map)
{
	int i, no = bf_asm_label(a);

	emit_begin(a);
	for (i = 0; i < r->nr; i++)
		emit_note(a, r->asks[i] % BPFILTER_QUESTIONS_MAX, i, map, no);
	if (r->mark) {
		bf_ldx(a, BPF_W, 1, 6, offsetof(struct __sk_buff, mark));
		bf_jifi(a, BPF_JEQ, 1, r->mark, no);
	}
	bf_movi(a, 0, NF_ACCEPT);
	bf_exit(a);
	bf_asm_here(a, no);
	bf_movi(a, 0, NF_DROP);
	bf_exit(a);
}

static inline int load(struct bf_asm *a)
{
	int fd = bf_asm_finish(a);

	if (!fd)
		fd = bpf_prog_load(BPF_PROG_TYPE_SCHED_CLS, "asks", "GPL", a->insns, a->nr_insns,
				   NULL);
	bf_asm_free(a);
	return fd;
}

/* Both in @p have to be closed; negative descriptors on error. */
static inline void programs_make(struct programs *p, const struct recipe *r)
{
	struct bf_kernel kernel = {};
	struct bf_asm a;

	p->seen =
		bpf_map_create(BPF_MAP_TYPE_ARRAY, "seen", 4, 8, 4 * BPFILTER_QUESTIONS_MAX, NULL);
	bf_asm_init(&a, &kernel);
	emit_asking(&a, r);
	p->asking = load(&a);
	bf_asm_init(&a, &kernel);
	emit_full(&a, r, p->seen);
	p->full = load(&a);
}

static inline void programs_close(struct programs *p)
{
	close(p->asking);
	close(p->full);
	close(p->seen);
}

/* How many packets found question @k like that. */
static inline long programs_seen(const struct programs *p, uint32_t k, enum known known)
{
	uint32_t key = 4 * k + known;
	uint64_t value = 0;

	return bpf_map_lookup_elem(p->seen, &key, &value) ? -errno : (long)value;
}

#endif /* QUESTIONS_PROGRAMS_H */
