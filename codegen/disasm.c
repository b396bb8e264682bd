// SPDX-License-Identifier: GPL-2.0
#include "disasm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

/* Linux 6.9; older headers do not have it. */
#define JCOND 0xe0

#define HELPER_NAME(x, ...) [BPF_FUNC_##x] = "bpf_" #x
static const char *const helper_names[] = {__BPF_FUNC_MAPPER(HELPER_NAME)};

static bool is_wide(const struct bpf_insn *insn)
{
	return insn->code == (BPF_LD | BPF_DW | BPF_IMM);
}

static bool is_jump(const struct bpf_insn *insn)
{
	int class = BPF_CLASS(insn->code), op = BPF_OP(insn->code);

	return class == BPF_JMP32 || (class == BPF_JMP && op != BPF_CALL && op != BPF_EXIT);
}

static bool is_call(const struct bpf_insn *insn)
{
	return insn->code == (BPF_JMP | BPF_CALL);
}

int bf_disasm_init(struct bf_disasm *d, const struct bf_program *program,
		   const struct bf_kernel *kernel)
{
	uint32_t i, n = 0;

	*d = (struct bf_disasm){program, kernel, NULL};
	d->labels = calloc(program->nr_insns + 1, sizeof(*d->labels));
	if (!d->labels)
		return -ENOMEM;
	for (i = 0; i < program->nr_insns; i++) {
		const struct bpf_insn *insn = &program->insns[i];
		int64_t to = (int64_t)i + 1 + insn->off;

		if (is_jump(insn) && to >= 0 && to <= program->nr_insns)
			d->labels[to] = 1;
		i += is_wide(insn);
	}
	for (i = 0; i <= program->nr_insns; i++)
		if (d->labels[i])
			d->labels[i] = ++n;
	return 0;
}

void bf_disasm_exit(struct bf_disasm *d)
{
	free(d->labels);
	d->labels = NULL;
}

static const char *size_name(int code)
{
	switch (BPF_SIZE(code)) {
	case BPF_B:
		return "u8";
	case BPF_H:
		return "u16";
	case BPF_W:
		return "u32";
	default:
		return "u64";
	}
}

static const char *alu_name(int op)
{
	static const char *const names[16] = {
		[BPF_ADD >> 4] = "+=",	[BPF_SUB >> 4] = "-=",	[BPF_MUL >> 4] = "*=",
		[BPF_DIV >> 4] = "/=",	[BPF_OR >> 4] = "|=",	[BPF_AND >> 4] = "&=",
		[BPF_LSH >> 4] = "<<=", [BPF_RSH >> 4] = ">>=", [BPF_MOD >> 4] = "%=",
		[BPF_XOR >> 4] = "^=",	[BPF_MOV >> 4] = "=",	[BPF_ARSH >> 4] = "s>>=",
	};

	return names[op >> 4] ?: "?=";
}

static const char *jump_name(int op)
{
	static const char *const names[16] = {
		[BPF_JEQ >> 4] = "==",	 [BPF_JGT >> 4] = ">",	  [BPF_JGE >> 4] = ">=",
		[BPF_JSET >> 4] = "&",	 [BPF_JNE >> 4] = "!=",	  [BPF_JSGT >> 4] = "s>",
		[BPF_JSGE >> 4] = "s>=", [BPF_JLT >> 4] = "<",	  [BPF_JLE >> 4] = "<=",
		[BPF_JSLT >> 4] = "s<",	 [BPF_JSLE >> 4] = "s<=",
	};

	return names[op >> 4] ?: "?";
}

/* An offset as "+ 4" or "- 4". */
static const char *sign(int off)
{
	return off < 0 ? "-" : "+";
}

static void print_alu(const struct bpf_insn *insn, char *text, size_t size)
{
	char reg = BPF_CLASS(insn->code) == BPF_ALU ? 'w' : 'r';
	int op = BPF_OP(insn->code);

	if (op == BPF_NEG)
		snprintf(text, size, "%c%u = -%c%u", reg, insn->dst_reg, reg, insn->dst_reg);
	else if (op == BPF_END)
		snprintf(text, size, "r%u = %s%d r%u", insn->dst_reg,
			 BPF_SRC(insn->code) == BPF_TO_BE ? "be" : "le", insn->imm, insn->dst_reg);
	else if (BPF_SRC(insn->code) == BPF_X)
		snprintf(text, size, "%c%u %s %c%u", reg, insn->dst_reg, alu_name(op), reg,
			 insn->src_reg);
	else
		snprintf(text, size, "%c%u %s %d", reg, insn->dst_reg, alu_name(op), insn->imm);
}

/* The number of the function that begins at an instruction. */
static uint32_t function_at(const struct bf_disasm *d, uint32_t i)
{
	uint32_t f;

	for (f = 0; f < d->program->nr_functions; f++)
		if (d->program->functions[f] == i)
			break;
	return f + 1;
}

static void print_call(const struct bf_disasm *d, uint32_t i, char *text, size_t size)
{
	const struct bpf_insn *insn = &d->program->insns[i];
	const struct bf_kernel *k = d->kernel;

	if (insn->src_reg == BPF_PSEUDO_CALL) {
		snprintf(text, size, "call f%u", function_at(d, i + 1 + insn->imm));
	} else if (insn->src_reg == BPF_PSEUDO_KFUNC_CALL) {
		const char *name = insn->imm == k->kfunc_rdonly_cast	   ? "bpf_rdonly_cast"
				   : insn->imm == k->kfunc_dynptr_from_skb ? "bpf_dynptr_from_skb"
				   : insn->imm == k->kfunc_dynptr_slice	   ? "bpf_dynptr_slice"
									   : "kernel_function";

		snprintf(text, size, "call %s#%d", name, insn->imm);
	} else {
		const char *name = (uint32_t)insn->imm < ARRAY_SIZE(helper_names)
					   ? helper_names[insn->imm]
					   : NULL;

		snprintf(text, size, "call %s#%d", name ?: "helper", insn->imm);
	}
}

static void print_jump(const struct bf_disasm *d, uint32_t i, char *text, size_t size)
{
	const struct bpf_insn *insn = &d->program->insns[i];
	char reg = BPF_CLASS(insn->code) == BPF_JMP32 ? 'w' : 'r';
	uint32_t label = d->labels[i + 1 + insn->off];
	int op = BPF_OP(insn->code);

	if (op == BPF_JA)
		snprintf(text, size, "goto L%u", label);
	else if (op == JCOND)
		snprintf(text, size, "may_goto L%u", label);
	else if (BPF_SRC(insn->code) == BPF_X)
		snprintf(text, size, "if %c%u %s %c%u goto L%u", reg, insn->dst_reg, jump_name(op),
			 reg, insn->src_reg, label);
	else
		snprintf(text, size, "if %c%u %s %s%x goto L%u", reg, insn->dst_reg, jump_name(op),
			 insn->imm < 0 && reg == 'r' ? "-0x" : "0x",
			 insn->imm < 0 && reg == 'r' ? -(uint32_t)insn->imm : (uint32_t)insn->imm,
			 label);
}

static void print_atomic(const struct bpf_insn *insn, char *text, size_t size)
{
	int fetch = insn->imm & BPF_FETCH, off = insn->off;
	char place[48];

	snprintf(place, sizeof(place), "(%s *)(r%u %s %d)", size_name(insn->code), insn->dst_reg,
		 sign(off), abs(off));
	if (insn->imm == BPF_XCHG)
		snprintf(text, size, "r%u = xchg(%s, r%u)", insn->src_reg, place, insn->src_reg);
	else if (insn->imm == BPF_CMPXCHG)
		snprintf(text, size, "r0 = cmpxchg(%s, r0, r%u)", place, insn->src_reg);
	else if (fetch)
		snprintf(text, size, "r%u = atomic_fetch_%s(%s, r%u)", insn->src_reg,
			 BPF_OP(insn->imm) == BPF_ADD ? "add" : "op", place, insn->src_reg);
	else
		snprintf(text, size, "lock *%s %s r%u", place, alu_name(BPF_OP(insn->imm)),
			 insn->src_reg);
}

static const char *map_name(const struct bf_disasm *d, uint32_t map)
{
	if (map < BF_NR_MAPS)
		return d->program->maps[map].name;
	switch (map) {
	case BF_MAP_NOTES:
		return "bf_notes";
	case BF_MAP_EFFECT_STATE:
		return "bf_effects";
	case BF_MAP_QUESTIONS:
		return "bf_asked";
	case BF_MAP_QUESTION_STATE:
		return "bf_questions";
	default:
		return NULL;
	}
}

static void print_wide(const struct bf_disasm *d, uint32_t i, char *text, size_t size)
{
	const struct bpf_insn *insn = &d->program->insns[i];
	const char *map = map_name(d, insn->imm);

	if (insn->src_reg == BPF_PSEUDO_MAP_FD)
		snprintf(text, size, "r%u = map[%s] ll", insn->dst_reg, map ?: "?");
	else if (insn->src_reg == BPF_PSEUDO_MAP_VALUE)
		snprintf(text, size, "r%u = map[%s][0] + %d ll", insn->dst_reg, map ?: "?",
			 insn[1].imm);
	else if (insn->src_reg == BPF_PSEUDO_FUNC)
		snprintf(text, size, "r%u = &f%u ll", insn->dst_reg,
			 function_at(d, i + 1 + insn->imm));
	else
		snprintf(text, size, "r%u = 0x%llx ll", insn->dst_reg,
			 (unsigned long long)(uint32_t)insn[1].imm << 32 | (uint32_t)insn->imm);
}

static void print_memory(const struct bpf_insn *insn, char *text, size_t size)
{
	const char *type = size_name(insn->code);
	int off = insn->off;

	if (BPF_CLASS(insn->code) == BPF_LDX)
		snprintf(text, size, "r%u = *(%s *)(r%u %s %d)", insn->dst_reg, type, insn->src_reg,
			 sign(off), abs(off));
	else if (BPF_CLASS(insn->code) == BPF_STX)
		snprintf(text, size, "*(%s *)(r%u %s %d) = r%u", type, insn->dst_reg, sign(off),
			 abs(off), insn->src_reg);
	else
		snprintf(text, size, "*(%s *)(r%u %s %d) = %d", type, insn->dst_reg, sign(off),
			 abs(off), insn->imm);
}

unsigned int bf_disasm_insn(const struct bf_disasm *d, uint32_t i, char *text, size_t size)
{
	const struct bpf_insn *insn = &d->program->insns[i];

	switch (BPF_CLASS(insn->code)) {
	case BPF_ALU:
	case BPF_ALU64:
		print_alu(insn, text, size);
		return 1;
	case BPF_JMP:
	case BPF_JMP32:
		if (insn->code == (BPF_JMP | BPF_EXIT))
			snprintf(text, size, "exit");
		else if (is_call(insn))
			print_call(d, i, text, size);
		else
			print_jump(d, i, text, size);
		return 1;
	case BPF_LD:
		print_wide(d, i, text, size);
		return 2;
	default:
		if (BPF_CLASS(insn->code) == BPF_STX && BPF_MODE(insn->code) == BPF_ATOMIC)
			print_atomic(insn, text, size);
		else
			print_memory(insn, text, size);
		return 1;
	}
}
