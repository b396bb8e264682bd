/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Running the real iptables aside: in a user and a network namespace of its own, with its socket options
 * answered from memory. The system is not changed, and any user may do it.
 */
#ifndef BPFILTER_ASIDE_H
#define BPFILTER_ASIDE_H

#include "memory.h"

/**
 * struct bf_aside - how a command ended
 * @status: as waitpid(2) gives it
 * @out, @err: what it wrote to stdout and stderr, with a 0 behind it; owned
 * @out_len: bytes of @out
 */
struct bf_aside {
	int status;
	char *out, *err;
	size_t out_len;
};

/**
 * bf_aside_run - run a command and wait for it
 * @program: its name, such as iptables-legacy-restore: looked up as a shell would, and in the
 *	folders of the system's programs
 * @argv: its arguments, argv[0] included
 * @input: descriptor for its stdin
 * @exit_code: receives one of enum bf_exit on failure
 *
 * 0 if it ran, however it ended; -errno if it could not be run. Free with bf_aside_free() in any case.
 */
int bf_aside_run(struct bf_memory *m, const char *program, char *const *argv, int input,
		 struct bf_aside *result, int *exit_code, struct bf_why *why);
void bf_aside_free(struct bf_aside *result);

#endif /* BPFILTER_ASIDE_H */
