/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Starting COMMAND under the filter: three processes. "run" waits for COMMAND and returns its
 * status; COMMAND is its child; the broker (broker.h) is another, in a session of its own, and
 * stays for what COMMAND leaves behind.
 */
#ifndef BPFILTER_RUN_H
#define BPFILTER_RUN_H

#include "bpfilter.h"

/**
 * bf_run_find - look a command up as execvp(3) does
 * @path: receives what to execute, PATH_MAX bytes
 *
 * 0, -ENOENT, or -EACCES.
 */
int bf_run_find(const char *command, char *path);

/**
 * bf_run_directly - become the command, where the module sees its calls anyway
 *
 * As bf_run_exec(), but returns only if that fails.
 */
int bf_run_directly(const char *path, char **argv, struct bf_why *why);

/**
 * bf_run_exec - run a command under the filter and wait for it
 * @path: what to execute
 * @argv: its arguments, argv[0] included
 * @attach: for struct bpfilter_request, of all calls
 *
 * Returns the exit status for the process: that of COMMAND, 128 and the signal that killed it,
 * or one of enum bf_exit with @why filled in.
 */
int bf_run_exec(const char *path, char **argv, uint32_t attach, struct bf_why *why);

#endif /* BPFILTER_RUN_H */
