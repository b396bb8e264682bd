/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Network namespaces: make one, do something inside.
 */
#ifndef DIFFERENTIAL_NETNS_H
#define DIFFERENTIAL_NETNS_H

#include <sys/types.h>

/* A new namespace, held by the descriptor only. -errno. */
int netns_new(void);

/* A process that sits in the namespace until netns_sitter_end(); for "ip ... netns PID". */
pid_t netns_sitter(int netns);
void netns_sitter_end(pid_t pid);

/* Run a program in the namespace with @input as its standard input. Its exit status. */
int netns_run(int netns, char *const argv[], const char *input);

/* Write settings under /proc/sys/net in the namespace: "path value" a line, those that do not
 * exist are skipped. 0, or -errno having said which. */
int netns_sysctl(int netns, const char *settings);

/* socket(2) in the namespace, close-on-exec. -errno. */
int netns_socket(int netns, int domain, int type, int protocol);

/* Call @fn in the namespace and come back; what it returned, or -errno. */
int netns_call(int netns, int (*fn)(void *arg), void *arg);

#endif /* DIFFERENTIAL_NETNS_H */
