/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Requests and replies on a unix stream socket: headers and payloads as in uapi/bpfilter.h,
 * and a network namespace beside a request's header.
 */
#ifndef BPFILTER_WIRE_H
#define BPFILTER_WIRE_H

#include <linux/netfilter_ipv4/ip_tables.h>
#include <sys/types.h>

#include "bpfilter.h"
#include "uapi/bpfilter.h"

/* The helper's own commands. */
enum bf_wire_cmd {
	/* payload: one byte, of enum bf_status_form; reply: the text */
	BF_CMD_STATUS = BPFILTER_CMD | 1,
	/* give the table of the namespace beside the request back to the kernel; all that are
	 * ours if there is none beside it. Reply: how many, as __u32 */
	BF_CMD_DETACH = BPFILTER_CMD | 2,
	/* open the module's device, if it is not open; the reply, without payload, comes when requests
	 * are taken from it. -EBUSY: another process has it, -ENOENT: the module is not loaded */
	BF_CMD_DEVICE = BPFILTER_CMD | 3,
	/* give all tables back and end. Payload: one byte, not 0 if those that cannot be given back
	 * may be lost. Reply: struct bf_stop_reply, and lines of text for people behind it */
	BF_CMD_STOP = BPFILTER_CMD | 4,
	/* the tables of all namespaces, counters included. Reply: struct bf_table_record, its
	 * entries, the next one, and so on */
	BF_CMD_TABLES = BPFILTER_CMD | 5,
};

/**
 * struct bf_table_record - the filter table of a namespace, whoever has it
 * @name: of the namespace, as in the status
 * @info: as IPT_SO_GET_INFO gives it; info.size bytes follow, as IPT_SO_GET_ENTRIES gives them. 0
 *	if nobody has touched the table yet, or it could not be read
 * @skip: bytes from here to the next record
 * @taken_ns: when its counters were read: CLOCK_MONOTONIC, in nanoseconds
 * @due: not 0: what its rules had counted before a replace has not been added yet, and is about to be
 */
struct bf_table_record {
	uint64_t inode;
	uint64_t skip;
	uint64_t taken_ns;
	uint64_t due;
	char name[256];
	struct ipt_getinfo info;
	uint8_t entries[] __attribute__((aligned(8)));
};

/**
 * struct bf_stop_reply - how that went
 * @refused: not 0: the helper goes on
 * @given: tables that ip_tables has now
 * @dropped: tables that are gone
 * @kept: tables that stay ours
 */
struct bf_stop_reply {
	uint32_t refused;
	uint32_t given;
	uint32_t dropped;
	uint32_t kept;
};

/* The largest payload of a request: the largest table and its head. */
#define BF_WIRE_MAX_PAYLOAD (512 * 1024 * 1024UL + 4096)

/**
 * bf_wire_idle_fn - asked about once a second while a peer lets us wait
 *
 * Returns 0 to go on, or -errno, which becomes the result of the transfer.
 */
typedef int bf_wire_idle_fn(void *ctx);

/**
 * bf_wire_write - write all of it
 * @sk: a blocking socket made by bf_wire_socket()
 * @fd: a descriptor to send beside the first byte, or -1
 * @idle: may be NULL: wait for ever
 *
 * Returns 0; -ECONNRESET if the peer is gone, whatever the kernel calls it; or what @idle
 * returned.
 */
int bf_wire_write(int sk, const void *buf, size_t len, int fd, bf_wire_idle_fn *idle, void *ctx);

/* The same for reading exactly @len bytes. Descriptors that arrive are refused. */
int bf_wire_read(int sk, void *buf, size_t len, bf_wire_idle_fn *idle, void *ctx);

/* A unix stream socket on which the two above ask @idle once a second. -errno. */
int bf_wire_socket(void);

/**
 * struct bf_wire_reader - a request that is arriving on a non-blocking socket
 * @req: valid when the head is complete
 * @netns: the descriptor that came with it, or -1; owned by the reader until taken
 * @payload: allocated by whoever drives the reader, req.len bytes
 * @got: bytes of head and payload together that have arrived
 */
struct bf_wire_reader {
	struct bpfilter_request req;
	int netns;
	uint8_t *payload;
	size_t got;
};

/* Make it ready for the next request. What it held has been taken over or freed. */
void bf_wire_reader_init(struct bf_wire_reader *r);

/* Frees what it holds. */
void bf_wire_reader_free(struct bf_wire_reader *r);

/**
 * bf_wire_reader_head - read on until the head is complete
 *
 * Returns 1 when it is, 0 if the socket has no more yet, -ECONNRESET if the peer is gone,
 * -EPROTO if this is not a request.
 */
int bf_wire_reader_head(struct bf_wire_reader *r, int sk);

/* The same for the payload; @payload has been allocated. */
int bf_wire_reader_payload(struct bf_wire_reader *r, int sk);

#endif /* BPFILTER_WIRE_H */
