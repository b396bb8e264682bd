/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Instructions as text, in the notation of LLVM and bpftool, with labels for what is jumped to.
 */
#ifndef BPFILTER_DISASM_H
#define BPFILTER_DISASM_H

#include "program.h"

/**
 * struct bf_disasm - a program to be printed
 * @labels: of each instruction: the number of its label, or 0; owned
 */
struct bf_disasm {
	const struct bf_program *program;
	const struct bf_kernel *kernel;
	uint32_t *labels;
};

/* Find the labels. @kernel tells the names of its functions. 0 or -ENOMEM. */
int bf_disasm_init(struct bf_disasm *d, const struct bf_program *program,
		   const struct bf_kernel *kernel);
void bf_disasm_exit(struct bf_disasm *d);

/**
 * bf_disasm_insn - one instruction
 * @text: receives "r1 = *(u32 *)(r6 + 4)", cut short if it does not fit
 *
 * Returns how many places it takes: 2 for a constant of 64 bits, else 1.
 */
unsigned int bf_disasm_insn(const struct bf_disasm *d, uint32_t i, char *text, size_t size);

#endif /* BPFILTER_DISASM_H */
