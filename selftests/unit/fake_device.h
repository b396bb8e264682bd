/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/bpfilter as the module would be, for a test program that is linked with --wrap for access, open,
 * readv, writev and ioctl (DEVICE in the Makefile). It keeps the state of one namespace.
 */
#ifndef FAKE_DEVICE_H
#define FAKE_DEVICE_H

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "uapi/bpfilter.h"

/**
 * struct fake_device - what it does; all of it is 0 at first
 * @loaded: there is one
 * @open_error: an errno for open(2)
 * @version: what it takes for READY; BPFILTER_VERSION if 0
 * @netns: descriptor of that namespace, where all requests come from
 * @netns_error: an errno instead
 * @interrupts: so many system calls fail with EINTR
 * @grow: so many times the next request is another, longer one between FIONREAD and read(2)
 * @reply_error: an errno for the next write(2)
 * @stop_error: an errno for STOP
 * @questions_error: an errno for QUESTIONS, of the last one; 0: a descriptor of the namespace stands for them
 */
struct fake_device {
	bool loaded;
	int open_error;
	uint32_t version;
	int netns, netns_error;
	int interrupts, grow;
	int reply_error;
	int stop_error;
	int questions_error;
};

/* State of the fake, to be looked at. */
struct fake_seen {
	unsigned int opened, closed, ready, stopped, syncs;
	uint32_t flags, flags_at_ready;
	struct bpfilter_ns ns;
	struct bpfilter_questions questions;
};

/* The answer to a set that had been read when the device was closed; the module's is -EAGAIN. */
#define FAKE_LOST (-EOWNERDEAD)

/* May be changed while nobody uses the device. */
extern struct fake_device fake;

/* From the beginning; what was left in it is forgotten. */
void fake_reset(void);
void fake_look(struct fake_seen *seen);

/* A call is made: its id. */
uint64_t fake_call(uint32_t op, int optlen, const void *payload, size_t len);

/**
 * fake_wait - the answer to a call
 * @data: receives the payload, malloc'd; may be NULL
 *
 * Waits for it, @ms at most: its error; or 1 if there is none.
 */
int fake_wait(uint64_t id, int ms, void **data, size_t *len);

/* How many requests have not been read, and how many answers came to none that was read and had none yet. */
unsigned int fake_pending(void);
unsigned int fake_strays(void);

#endif /* FAKE_DEVICE_H */
