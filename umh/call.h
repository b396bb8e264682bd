/* SPDX-License-Identifier: GPL-2.0 */
/*
 * One intercepted socket option call, from the notification to its answer: what a kernel module
 * would do in its place.
 */
#ifndef BPFILTER_CALL_H
#define BPFILTER_CALL_H

#include <linux/seccomp.h>

#include "bpfilter.h"

/* The answer that lets the kernel itself do the call. */
#define BF_CALL_CONTINUE 1

/**
 * struct bf_call_server - what a thread that answers calls has
 * @listener: where the notifications come from
 * @probe: an AF_INET socket, to ask the kernel whether it has ip_tables
 * @attach: for struct bpfilter_request
 * @helper: connection to the helper, -1 if there is none yet; nobody else's
 * @buf: through which memory of callers passes, BF_CALL_BUF_SIZE bytes
 */
struct bf_call_server {
	int listener;
	int probe;
	uint32_t attach;
	int helper;
	void *buf;
};

#define BF_CALL_BUF_SIZE (256 * 1024)

/* @listener and @probe stay the caller's. 0 or -ENOMEM. */
int bf_call_server_init(struct bf_call_server *s, int listener, int probe);
void bf_call_server_exit(struct bf_call_server *s);

/**
 * bf_call_handle - find the answer to one notification
 *
 * Waits for the helper, but not for a caller that has died. A call on table filter is never
 * continued, whatever goes wrong. Returns BF_CALL_CONTINUE, or 0 or -errno for the caller.
 */
int bf_call_handle(struct bf_call_server *s, const struct seccomp_notif *notif);

#endif /* BPFILTER_CALL_H */
