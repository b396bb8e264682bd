/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a former helper has left pinned: taken up where the namespace is still there, removed where
 * nothing but the pins keeps it.
 */
#ifndef BPFILTER_LEFTOVER_H
#define BPFILTER_LEFTOVER_H

struct bf_env;
struct bf_workers;

/**
 * bf_leftover_take_up - have a worker for each namespace with pins, or that the module says is ours
 * @done: called on any thread when all of them, and those that there were before, have looked at
 *	their namespace and told the module about it; always called, even on error
 *
 * Returns 0, or -errno if namespaces could not be looked for, or not all of them can have a worker: their
 * next request takes them up.
 */
int bf_leftover_take_up(struct bf_workers *ws, struct bf_env *env, void (*done)(void *ctx),
			void *ctx);

#endif /* BPFILTER_LEFTOVER_H */
