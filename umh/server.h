/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The helper's event loop: it accepts connections, reads requests from them and from the module's device,
 * gives each to the worker of its namespace, and answers the helper's own commands.
 */
#ifndef BPFILTER_SERVER_H
#define BPFILTER_SERVER_H

#include "bpfilter.h"

struct bf_device;
struct bf_env;
struct bf_server;
struct bf_workers;

/* 0 or -errno. */
int bf_server_new(struct bf_workers *ws, struct bf_env *env, struct bf_server **server);

/**
 * bf_server_begin - take up what former helpers left; serve the module when that is done
 * @device: open; taken over; NULL to serve the socket alone
 */
void bf_server_begin(struct bf_server *s, struct bf_device *device);

/**
 * bf_server_run - serve until a signal or BF_CMD_STOP says to end
 * @listen_sk: a listening unix socket, stays the caller's
 * @signals: a signalfd; readable when it is time to end
 *
 * Only peers that are root in our user namespace are served. Returns 0 or -errno. Requests that
 * are with a worker then are still answered by bf_server_free().
 */
int bf_server_run(struct bf_server *s, int listen_sk, int signals);

/* After the workers have ended: send what is left to send, close the connections. */
void bf_server_free(struct bf_server *s);

#endif /* BPFILTER_SERVER_H */
