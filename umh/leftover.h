/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a former helper has left pinned: taken up where the namespace is still there, removed where
 * nothing but the pins keeps it.
 */
#ifndef BPFILTER_LEFTOVER_H
#define BPFILTER_LEFTOVER_H

struct bf_workers;

/**
 * bf_leftover_take_up - start a worker for each namespace with pins
 *
 * Returns 0, or -errno if namespaces could not be looked for: their next request takes them up.
 */
int bf_leftover_take_up(struct bf_workers *ws);

#endif /* BPFILTER_LEFTOVER_H */
