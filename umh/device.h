/* SPDX-License-Identifier: GPL-2.0 */
/*
 * /dev/bpfilter as the helper sees it: the module's requests come from here, and the module is told
 * here which namespaces are ours and what runs at its hooks. See uapi/bpfilter.h.
 *
 * A namespace is that of the calling thread throughout. All functions may be called on any thread.
 */
#ifndef BPFILTER_DEVICE_H
#define BPFILTER_DEVICE_H

#include <sys/types.h>

#include "bpfilter.h"
#include "uapi/bpfilter.h"

struct bf_device;

/* Is the module loaded? */
bool bf_device_exists(void);

/* How many calls wait for a helper now, whoever that is; -errno if the module does not tell. */
int bf_device_requests(void);

/**
 * bf_device_open - become the one who has it open
 * @device: NULL, or one that has been given up by bf_device_hang_up(), which is used again
 *
 * From now on this process' own socket options are ip_tables' own. No requests arrive before
 * bf_device_ready(). -ENOENT: the module is not loaded; -EBUSY: another process has it; -ESHUTDOWN:
 * "bpfilter stop" has come in between; -EPERM.
 */
int bf_device_open(struct bf_device **device, struct bf_why *why);

/* Give it up: functions that another thread calls return -ENODEV from now on, until it is opened again. */
void bf_device_hang_up(struct bf_device *device);

/* The end of it; nobody uses it any more. */
void bf_device_close(struct bf_device *device);

/* For poll(2) and epoll(7). */
int bf_device_fd(const struct bf_device *device);

/* What former helpers left is taken up: have requests sent. -EPROTO: the module is of another version. */
int bf_device_ready(struct bf_device *device);

/* Bytes of payload of the next request; -EAGAIN if there is none. */
ssize_t bf_device_pending(struct bf_device *device);

/**
 * bf_device_read - the next request
 * @payload: receives req->len bytes from malloc, for the caller to free; NULL if req->len is 0
 * @netns: receives a descriptor of the namespace, for the caller to close
 *
 * Does not wait. 0, -EAGAIN if there is none, or -errno. A request that cannot be taken for want of
 * descriptors is answered with that error here, and -EAGAIN returned. One for which there is no memory stays
 * the next: -ENOMEM.
 */
int bf_device_read(struct bf_device *device, struct bpfilter_request *req, void **payload,
		   int *netns);

/* Answer a request. @data is only read. A caller that is gone is no error; on any other it waits on. */
int bf_device_reply(struct bf_device *device, uint64_t id, int error, const void *data, size_t len);

/**
 * struct bf_at_hooks - what is to run at the module's hooks
 * @prog: a descriptor
 * @asking, @questions: descriptors, if the program has questions (uapi/bpfilter.h), or -1; @asking alone if it has effects
 * @want: BPFILTER_WANT_*
 */
struct bf_at_hooks {
	int prog;
	int asking, questions;
	uint32_t want;
};

/**
 * bf_device_ns_set - tell the module about this namespace
 * @flags: BPFILTER_NS_*
 * @run: NULL: nothing, or, with BPFILTER_NS_KEEP, what there is
 */
int bf_device_ns_set(struct bf_device *device, uint32_t flags, const struct bf_at_hooks *run);

/**
 * bf_device_questions - have the kernel's matches check the questions of a table for this namespace
 * @list, @size: struct bpfilter_question with their data
 * @failed: receives, on error, the number of the one that the kernel refuses; @nr if it is none of them
 *
 * A descriptor, for the caller to close, or -errno: what ip_tables would say about the rule.
 */
int bf_device_questions(struct bf_device *device, const void *list, size_t size, uint32_t nr,
			uint32_t *failed);

/* A descriptor of the questions at the hooks of this namespace. -ENOENT: there are none. */
int bf_device_questions_now(struct bf_device *device);

/* @prog_id: receives the id of the program at the hooks, or 0. */
int bf_device_ns_get(struct bf_device *device, uint32_t *flags, uint32_t *prog_id);

/* What else there is: @asking_id: of the program that asks its questions; 0 if it has none. */
int bf_device_ns_asks(struct bf_device *device, uint32_t *asking_id, uint32_t *want);

/* Effects of packets that the module could not run for want of room in their notes; 0 if it cannot be asked. */
uint64_t bf_device_ns_lost(struct bf_device *device);

/* BPFILTER_NS_* of a namespace by its descriptor, which need not be this thread's. */
int bf_device_ns_flags(struct bf_device *device, int netns, uint32_t *flags);

/* Wait until every packet that is now in a netfilter hook has left it; some microseconds. */
int bf_device_sync(struct bf_device *device);

/* Have nothing intercepted any more. -EBUSY while a namespace is owned. */
int bf_device_stop(struct bf_device *device);

#endif /* BPFILTER_DEVICE_H */
