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
int bf_cmd_stop(int argc, char **argv);
int bf_cmd_translate(int argc, char **argv);
int bf_cmd_replay(int argc, char **argv);
int bf_cmd_explain(int argc, char **argv);

/**
 * bf_usage_error - say in one line which argument is wrong, and where help is
 * @command: its name
 *
 * Returns BF_EXIT_USAGE.
 */
int bf_usage_error(const char *command, const char *arg);

/**
 * bf_cmd_connect - the helper, started if there is none, so that it takes up what is pinned
 * @exit_code: receives one of enum bf_exit on failure, after why has been said
 *
 * A socket as bf_client_connect() gives it, or -errno.
 */
int bf_cmd_connect(int *exit_code);

/* Say why the helper could not do what it was asked; returns the exit status. */
int bf_cmd_failed(const char *what, int err);

#endif /* BPFILTER_CMD_H */
