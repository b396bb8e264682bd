// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <linux/if_ether.h>
#include <stdlib.h>
#include <string.h>

#include "asm.h"

#define UNPLACED UINT32_MAX

void bf_asm_init(struct bf_asm *a, const struct bf_kernel *kernel)
{
	memset(a, 0, sizeof(*a));
	a->kernel = kernel;
}

void bf_asm_free(struct bf_asm *a)
{
	free(a->insns);
	free(a->refs);
	free(a->labels);
	memset(a, 0, sizeof(*a));
}

/* Room for one more element, doubling; returns NULL and sets the error if there is none. */
static void *grow(struct bf_asm *a, void **array, uint32_t nr, uint32_t *max, size_t size)
{
	if (a->error)
		return NULL;
	if (nr == *max) {
		uint32_t more = *max ? *max * 2 : 64;
		void *bigger = reallocarray(*array, more, size);

		if (!bigger) {
			a->error = -ENOMEM;
			return NULL;
		}
		*array = bigger;
		*max = more;
	}
	return (char *)*array + nr * size;
}

void bf_insn(struct bf_asm *a, struct bpf_insn insn)
{
	struct bpf_insn *slot =
		grow(a, (void **)&a->insns, a->nr_insns, &a->max_insns, sizeof(insn));

	if (!slot)
		return;
	*slot = insn;
	a->nr_insns++;
}

static void emit(struct bf_asm *a, int code, int dst, int src, int off, int32_t imm)
{
	bf_insn(a, (struct bpf_insn){
			   .code = code, .dst_reg = dst, .src_reg = src, .off = off, .imm = imm});
}

int bf_asm_label(struct bf_asm *a)
{
	uint32_t *slot = grow(a, (void **)&a->labels, a->nr_labels, &a->max_labels, sizeof(*slot));

	if (!slot)
		return 0;
	*slot = UNPLACED;
	return a->nr_labels++;
}

void bf_asm_here(struct bf_asm *a, int label)
{
	if (!a->error)
		a->labels[label] = a->nr_insns;
}

/* The next instruction refers to a label. */
static void refer(struct bf_asm *a, int label)
{
	struct bf_asm_ref *slot =
		grow(a, (void **)&a->refs, a->nr_refs, &a->max_refs, sizeof(*slot));

	if (!slot)
		return;
	slot->insn = a->nr_insns;
	slot->label = label;
	a->nr_refs++;
}

/* Is the label of this instruction's target kept in imm (calls, functions) or in off (jumps)? */
static bool target_in_imm(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL) || insn->code == (BPF_LD | BPF_DW | BPF_IMM);
}

/* The label that an instruction refers to, or -1. Refs are in the order of their instructions. */
static int label_of(const struct bf_asm *a, uint32_t insn)
{
	uint32_t lo = 0, hi = a->nr_refs;

	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (a->refs[mid].insn < insn)
			lo = mid + 1;
		else
			hi = mid;
	}
	return lo < a->nr_refs && a->refs[lo].insn == insn ? a->refs[lo].label : -1;
}

static bool is_wide(const struct bpf_insn *insn)
{
	return insn->code == (BPF_LD | BPF_DW | BPF_IMM);
}

/* Follow the flow of control from the beginning; @live gets 1 for what can be reached. */
static void mark_live(const struct bf_asm *a, uint32_t *stack, uint8_t *live)
{
	uint32_t sp = 0;

	stack[sp++] = 0;
	while (sp) {
		uint32_t i = stack[--sp];

		while (i < a->nr_insns && !live[i]) {
			const struct bpf_insn *insn = &a->insns[i];
			int label = label_of(a, i);

			live[i] = 1;
			if (is_wide(insn))
				live[++i] = 1;
			if (insn->code == (BPF_JMP | BPF_EXIT))
				break;
			if (label >= 0 && insn->code == (BPF_JMP | BPF_JA)) {
				i = a->labels[label];
				continue;
			}
			/* A branch, a call, or a function whose address is taken. */
			if (label >= 0 && !live[a->labels[label]])
				stack[sp++] = a->labels[label];
			i++;
		}
	}
}

/*
 * The verifier refuses code that cannot be reached, and a generator that would have to know where its
 * code can be reached from would not be worth reading: so take it out here.
 */
static int drop_dead_code(struct bf_asm *a)
{
	uint32_t *stack, *moved, i, n = 0, refs = 0, functions = 0, globals = 0;
	uint8_t *live;
	int err = -ENOMEM;

	/* Each instruction pushes one place at most, and only the first time it is passed. */
	stack = calloc((size_t)a->nr_insns + 1, sizeof(*stack));
	moved = calloc((size_t)a->nr_insns + 1, sizeof(*moved));
	live = calloc((size_t)a->nr_insns + 1, 1);
	if (!stack || !moved || !live)
		goto out;
	mark_live(a, stack, live);
	for (i = 0; i < a->nr_insns; i++) {
		moved[i] = n;
		if (live[i])
			a->insns[n++] = a->insns[i];
	}
	moved[a->nr_insns] = n;
	for (i = 0; i < a->nr_refs; i++) {
		if (!live[a->refs[i].insn])
			continue;
		a->refs[refs] = a->refs[i];
		a->refs[refs++].insn = moved[a->refs[i].insn];
	}
	for (i = 0; i < a->nr_labels; i++)
		if (a->labels[i] != UNPLACED)
			a->labels[i] = moved[a->labels[i]];
	for (i = 0; i < a->nr_functions; i++) {
		if (!live[a->functions[i]])
			continue;
		globals |= (a->globals >> i & 1) << functions;
		a->functions[functions++] = moved[a->functions[i]];
	}
	if (a->listing)
		bf_listing_move(a->listing, moved);
	a->nr_functions = functions;
	a->globals = globals;
	a->nr_insns = n;
	a->nr_refs = refs;
	err = 0;
out:
	free(stack);
	free(moved);
	free(live);
	return err;
}

static int check_labels(const struct bf_asm *a)
{
	uint32_t i;

	for (i = 0; i < a->nr_refs; i++)
		if (a->labels[a->refs[i].label] == UNPLACED)
			return -EINVAL;
	return 0;
}

int bf_asm_finish(struct bf_asm *a)
{
	uint32_t i;

	a->error = a->error ?: check_labels(a);
	a->error = a->error ?: drop_dead_code(a);
	for (i = 0; i < a->nr_refs && !a->error; i++) {
		struct bpf_insn *insn = &a->insns[a->refs[i].insn];
		int64_t delta = (int64_t)a->labels[a->refs[i].label] - a->refs[i].insn - 1;

		if (target_in_imm(insn))
			insn->imm = delta;
		else if (delta < INT16_MIN || delta > INT16_MAX)
			a->error = -ERANGE;
		else
			insn->off = delta;
	}
	return a->error;
}

void bf_alu(struct bf_asm *a, int op, int dst, int src)
{
	emit(a, BPF_ALU64 | op | BPF_X, dst, src, 0, 0);
}

void bf_alui(struct bf_asm *a, int op, int dst, int32_t imm)
{
	emit(a, BPF_ALU64 | op | BPF_K, dst, 0, 0, imm);
}

void bf_alu32(struct bf_asm *a, int op, int dst, int src)
{
	emit(a, BPF_ALU | op | BPF_X, dst, src, 0, 0);
}

void bf_alu32i(struct bf_asm *a, int op, int dst, uint32_t imm)
{
	emit(a, BPF_ALU | op | BPF_K, dst, 0, 0, imm);
}

void bf_mov(struct bf_asm *a, int dst, int src)
{
	bf_alu(a, BPF_MOV, dst, src);
}

void bf_movi(struct bf_asm *a, int dst, int32_t imm)
{
	bf_alui(a, BPF_MOV, dst, imm);
}

void bf_mov32i(struct bf_asm *a, int dst, uint32_t imm)
{
	bf_alu32i(a, BPF_MOV, dst, imm);
}

static void ld_imm64(struct bf_asm *a, int dst, int src, uint64_t imm)
{
	emit(a, BPF_LD | BPF_DW | BPF_IMM, dst, src, 0, (uint32_t)imm);
	emit(a, 0, 0, 0, 0, imm >> 32);
}

void bf_ld_imm64(struct bf_asm *a, int dst, uint64_t imm)
{
	ld_imm64(a, dst, 0, imm);
}

void bf_be(struct bf_asm *a, int dst, int bits)
{
	emit(a, BPF_ALU | BPF_END | BPF_TO_BE, dst, 0, 0, bits);
}

void bf_ldx(struct bf_asm *a, int size, int dst, int src, int off)
{
	emit(a, BPF_LDX | size | BPF_MEM, dst, src, off, 0);
}

void bf_stx(struct bf_asm *a, int size, int dst, int off, int src)
{
	emit(a, BPF_STX | size | BPF_MEM, dst, src, off, 0);
}

void bf_sti(struct bf_asm *a, int size, int dst, int off, int32_t imm)
{
	emit(a, BPF_ST | size | BPF_MEM, dst, 0, off, imm);
}

void bf_atomic(struct bf_asm *a, int size, int op, int dst, int off, int src)
{
	emit(a, BPF_STX | size | BPF_ATOMIC, dst, src, off, op);
}

void bf_jmp(struct bf_asm *a, int label)
{
	refer(a, label);
	emit(a, BPF_JMP | BPF_JA, 0, 0, 0, 0);
}

void bf_jif(struct bf_asm *a, int op, int dst, int src, int label)
{
	refer(a, label);
	emit(a, BPF_JMP | op | BPF_X, dst, src, 0, 0);
}

void bf_jifi(struct bf_asm *a, int op, int dst, int32_t imm, int label)
{
	refer(a, label);
	emit(a, BPF_JMP | op | BPF_K, dst, 0, 0, imm);
}

void bf_jif32(struct bf_asm *a, int op, int dst, int src, int label)
{
	refer(a, label);
	emit(a, BPF_JMP32 | op | BPF_X, dst, src, 0, 0);
}

void bf_jif32i(struct bf_asm *a, int op, int dst, uint32_t imm, int label)
{
	refer(a, label);
	emit(a, BPF_JMP32 | op | BPF_K, dst, 0, 0, imm);
}

void bf_may_goto(struct bf_asm *a, int label)
{
	refer(a, label);
	emit(a, BPF_JMP | 0xe0 /* BPF_JCOND */, 0, 0, 0, 0);
}

void bf_exit(struct bf_asm *a)
{
	emit(a, BPF_JMP | BPF_EXIT, 0, 0, 0, 0);
}

void bf_helper(struct bf_asm *a, int helper)
{
	emit(a, BPF_JMP | BPF_CALL, 0, 0, 0, helper);
}

void bf_kfunc(struct bf_asm *a, int32_t btf_id)
{
	emit(a, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, 0, btf_id);
}

void bf_kfunc_ct(struct bf_asm *a, int32_t btf_id)
{
	/* The loader puts the module's BTF at 1 of the fd_array. */
	emit(a, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_KFUNC_CALL, a->kernel->ct_btf_id ? 1 : 0, btf_id);
}

void bf_call(struct bf_asm *a, int label)
{
	refer(a, label);
	emit(a, BPF_JMP | BPF_CALL, 0, BPF_PSEUDO_CALL, 0, 0);
}

void bf_function(struct bf_asm *a, int label)
{
	if (a->error)
		return;
	if (a->nr_functions == ARRAY_SIZE(a->functions)) {
		a->error = -E2BIG;
		return;
	}
	a->functions[a->nr_functions++] = a->nr_insns;
	bf_asm_here(a, label);
}

void bf_global_function(struct bf_asm *a, int label)
{
	if (a->nr_functions < ARRAY_SIZE(a->functions))
		a->globals |= 1U << a->nr_functions;
	bf_function(a, label);
}

void bf_function_addr(struct bf_asm *a, int dst, int label)
{
	refer(a, label);
	ld_imm64(a, dst, BPF_PSEUDO_FUNC, 0);
}

void bf_map(struct bf_asm *a, int dst, int map)
{
	/* The loader puts the map's descriptor where the index is. */
	ld_imm64(a, dst, BPF_PSEUDO_MAP_FD, map);
}

void bf_map_value(struct bf_asm *a, int dst, int map)
{
	ld_imm64(a, dst, BPF_PSEUDO_MAP_VALUE, map);
}

void bf_raw(struct bf_asm *a, int src, int off)
{
	if (src != BPF_REG_1)
		bf_mov(a, BPF_REG_1, src);
	bf_alui(a, BPF_ADD, BPF_REG_1, off - (int32_t)a->kernel->skb_cb);
	bf_movi(a, BPF_REG_2, a->kernel->id_sk_buff);
	bf_kfunc(a, a->kernel->kfunc_rdonly_cast);
}

void bf_raw_ldx(struct bf_asm *a, int size, int dst, int x)
{
	bf_raw_ldx_at(a, size, dst, BPF_REG_0, x);
}

void bf_raw_ldx_at(struct bf_asm *a, int size, int dst, int base, int x)
{
	bf_ldx(a, size, dst, base, a->kernel->skb_cb + x);
}

void bf_packet(struct bf_asm *a, int frame, int off_reg, uint32_t len)
{
	/* bpf_dynptr_slice(&dynptr, off, buf, len) */
	if (off_reg != BPF_REG_2)
		bf_mov(a, BPF_REG_2, off_reg);
	bf_mov(a, BPF_REG_1, frame);
	bf_alui(a, BPF_ADD, BPF_REG_1, BF_FRAME_DYNPTR);
	bf_mov(a, BPF_REG_3, frame);
	bf_alui(a, BPF_ADD, BPF_REG_3, BF_FRAME_BUF);
	bf_movi(a, BPF_REG_4, len);
	bf_kfunc(a, a->kernel->kfunc_dynptr_slice);
}

/* bpf_dynptr_read(to, len, &dynptr, off, 0) */
static void dynptr_read(struct bf_asm *a, int frame, int to, int off, int len)
{
	bf_mov(a, BPF_REG_1, frame);
	bf_alui(a, BPF_ADD, BPF_REG_1, to);
	bf_mov(a, BPF_REG_2, len);
	bf_mov(a, BPF_REG_3, frame);
	bf_alui(a, BPF_ADD, BPF_REG_3, BF_FRAME_DYNPTR);
	bf_mov(a, BPF_REG_4, off);
	bf_movi(a, BPF_REG_5, 0);
	bf_helper(a, BPF_FUNC_dynptr_read);
}

/*
 * bpf_skb_load_bytes(skb, off, to, len) at the module's hooks, where data begins with the IP header;
 * bpf_skb_load_bytes_relative(skb, off, to, len, BPF_HDR_START_NET);
 * bpf_xdp_load_bytes(xdp, l3 + off, to, len)
 */
void bf_packet_read(struct bf_asm *a, int frame, int to, int off, int len)
{
	if (a->attach == BF_ATTACH_LINK) {
		dynptr_read(a, frame, to, off, len);
		return;
	}
	bf_mov(a, BPF_REG_2, off);
	if (a->trace)
		bf_alui(a, BPF_ADD, BPF_REG_2, ETH_HLEN);
	bf_mov(a, BPF_REG_4, len);
	bf_mov(a, BPF_REG_3, frame);
	bf_alui(a, BPF_ADD, BPF_REG_3, to);
	bf_ldx(a, BPF_DW, BPF_REG_1, frame, BF_FRAME_SKB);
	if (a->attach == BF_ATTACH_TC) {
		bf_movi(a, BPF_REG_5, BPF_HDR_START_NET);
		bf_helper(a, BPF_FUNC_skb_load_bytes_relative);
	} else if (a->attach == BF_ATTACH_XDP) {
		bf_ldx(a, BPF_W, BPF_REG_5, frame, BF_FRAME_L3);
		bf_alu(a, BPF_ADD, BPF_REG_2, BPF_REG_5);
		bf_helper(a, BPF_FUNC_xdp_load_bytes);
	} else {
		bf_helper(a, BPF_FUNC_skb_load_bytes);
	}
}
