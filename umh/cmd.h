/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The commands. Each gets its own name as argv[0] and returns the exit status of the process.
 */
#ifndef BPFILTER_CMD_H
#define BPFILTER_CMD_H

int bf_cmd_run(int argc, char **argv);
int bf_cmd_umh(int argc, char **argv);
int bf_cmd_status(int argc, char **argv);
int bf_cmd_detach(int argc, char **argv);

/**
 * bf_usage_error - say in one line which argument is wrong, and where help is
 * @argv: of the command, when getopt_long(3) has returned '?', or with the argument that is too many
 *	at optind
 *
 * Returns BF_EXIT_USAGE.
 */
int bf_usage_error(char **argv);

#endif /* BPFILTER_CMD_H */
