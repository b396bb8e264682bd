/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What the verifier says of a program, and of which rule.
 */
#ifndef BPFILTER_VERIFY_H
#define BPFILTER_VERIFY_H

#include "program.h"

/**
 * struct bf_verified - the answer
 * @tried: false: without the privileges to load programs nothing was asked
 * @err: 0 or the -errno of a program that was refused
 * @load_ns: how long loading took, the verifier and the JIT
 * @jited_bytes: of machine code; 0: no JIT
 * @insn: the instruction that the message is about, UINT32_MAX if it is about none
 * @message: the verifier's own; owned, NULL if there is none
 */
struct bf_verified {
	bool tried;
	int err;
	uint64_t load_ns;
	uint32_t jited_bytes;
	uint32_t verified_insns;
	uint32_t insn;
	char *message;
};

/* Load a program, with maps, and let go of it. 0, or -ENOMEM. Free with bf_verified_free(). */
int bf_verify(const struct bf_program *program, struct bf_verified *v);
void bf_verified_free(struct bf_verified *v);

/**
 * bf_verify_blame - the instruction that a verifier's log is about in the end
 * @message: receives the place in @log where the message begins: behind the last instruction
 *
 * UINT32_MAX if it names none.
 */
uint32_t bf_verify_blame(char *log, char **message);

#endif /* BPFILTER_VERIFY_H */
