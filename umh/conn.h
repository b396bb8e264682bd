/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A connection to the helper. The event loop reads from it; any thread may reply on it.
 *
 * It lives as long as somebody holds a reference: the event loop does while it is open, and every
 * request that is not answered yet. Replies on a closed one go nowhere.
 */
#ifndef BPFILTER_CONN_H
#define BPFILTER_CONN_H

#include <pthread.h>

#include "bpfilter.h"
#include "wire.h"

struct bf_conn_out;

/**
 * struct bf_conn - a connection
 * @next: in the event loop's list
 * @reader: the request that is arriving; the event loop's alone
 * @reserved: bytes of the budget that @reader.payload has taken; the event loop's alone
 * @starved: reading waits for the budget; the event loop's alone
 * @lock: for what follows
 * @sk: the socket, -1 when closed
 * @out: replies that did not fit into the socket yet
 */
struct bf_conn {
	struct bf_conn *next;
	struct bf_wire_reader reader;
	size_t reserved;
	bool starved;
	unsigned int refs;
	pthread_mutex_t lock;
	int sk;
	int epoll;
	bool want_in;
	size_t out_bytes;
	struct bf_conn_out *out;
	struct bf_conn_out **out_tail;
};

/* Takes @sk, non-blocking from now on, and adds it to @epoll with itself as data. NULL: no memory;
 * @sk is closed then. */
struct bf_conn *bf_conn_new(int sk, int epoll);
struct bf_conn *bf_conn_get(struct bf_conn *c);
void bf_conn_put(struct bf_conn *c);

/* Read from it, or let the peer wait. */
void bf_conn_set_reading(struct bf_conn *c, bool on);

/**
 * bf_conn_reply - answer a request
 * @data: payload, from malloc, freed here; may be NULL
 *
 * Never waits for the peer.
 */
void bf_conn_reply(struct bf_conn *c, uint64_t id, int error, void *data, size_t len);

/* Send more of what waits, when the socket takes it. -ECONNRESET if it is gone. */
int bf_conn_flush(struct bf_conn *c);

/* Close the socket; what waits is dropped. */
void bf_conn_close(struct bf_conn *c);

#endif /* BPFILTER_CONN_H */
