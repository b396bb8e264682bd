/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The way to the helper: connect to it, start it if there is none, ask it something.
 */
#ifndef BPFILTER_CLIENT_H
#define BPFILTER_CLIENT_H

#include <sys/types.h>

#include "bpfilter.h"
#include "uapi/bpfilter.h"

#define BF_PATH_MAX 256

/* Names in the run directory: its socket, the lock of who starts it, its own lock, its log. */
#define BF_SOCKET_NAME "umh.sock"
#define BF_START_LOCK  "start.lock"
#define BF_UMH_LOCK    "umh.lock"
#define BF_LOG_NAME    "umh.log"

/**
 * struct bf_start_report - how the helper says that it is ready, or why it is not
 * @exit_code: 0, or one of enum bf_exit, with @why
 * @busy: because another process has the module's device open
 *
 * Written once to the descriptor given by --report-fd.
 */
struct bf_start_report {
	int exit_code;
	bool busy;
	struct bf_why why;
};

/**
 * bf_client_path - where a file of the run directory is, seen from here
 *
 * The default directory is that of the machine: a process in a mount namespace of its own
 * reaches it through its init. Returns 0 or -ENAMETOOLONG.
 */
int bf_client_path(char path[BF_PATH_MAX], const char *name);

/* Connect to a running helper: a socket made by bf_wire_socket(), or -errno. */
int bf_client_connect(void);

/**
 * bf_client_start - connect to the helper, started if need be
 * @exit_code: receives one of enum bf_exit on failure
 *
 * Many may do so at once: one helper is started. May be called on any thread. Below "bpfilter
 * run" no helper is started (it would live under the same filter): the one outside is asked to.
 * Returns a socket as bf_client_connect(), or -errno: -EAGAIN if the helper died while it started,
 * without a reason of its own; -EBUSY if it needs the module and that serves another process.
 */
int bf_client_start(int *exit_code, struct bf_why *why);

/**
 * bf_client_serve_module - make sure that a helper answers the module's requests
 * @exit_code: receives one of enum bf_exit on failure
 *
 * One is started if there is none. 0; -EBUSY: another process has the device open; or another -errno.
 */
int bf_client_serve_module(int *exit_code, struct bf_why *why);

/* Is there a helper, one that starts or ends included? */
bool bf_client_helper_lives(void);

/* Wait until the helper at the other end has closed everything, 10 seconds at most: 0 or -ETIMEDOUT. */
int bf_client_wait_gone(int sk);

/**
 * bf_client_call - ask for something and wait for the answer
 * @op: of struct bpfilter_request
 * @netns: a network namespace, or -1
 * @data: receives the reply's payload, with a 0 behind it, to be freed; NULL on error
 *
 * Returns 0, the reply's -errno, or -ECONNRESET if the helper is gone.
 */
int bf_client_call(int sk, uint32_t op, int netns, const void *payload, size_t len, void **data,
		   size_t *data_len);

/* The same for an option whose answer may be @optlen bytes long. */
int bf_client_get(int sk, uint32_t op, int netns, const void *payload, size_t len, size_t optlen,
		  void **data, size_t *data_len);

/*
 * A call that asks whether there is a "bpfilter run" above us: getsockopt(-1, IPPROTO_IP,
 * IPT_SO_GET_INFO, BF_INSIDE_PROBE, NULL). The kernel answers -EBADF; the one who listens above us
 * makes sure that the helper runs and answers -EALREADY.
 */
#define BF_INSIDE_PROBE 0x62706672UL

/* Are we below a "bpfilter run"? If so, its helper runs. */
bool bf_client_inside(void);

#endif /* BPFILTER_CLIENT_H */
