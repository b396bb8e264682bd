/* SPDX-License-Identifier: GPL-2.0 */
/*
 * "bpfilter status --watch": the busiest rules, again and again.
 */
#ifndef BPFILTER_WATCH_H
#define BPFILTER_WATCH_H

#include <stdio.h>

#include "meter.h"

/* Rules that are shown where there is no terminal to say how many fit. */
#define BF_WATCH_ROWS	  20
#define BF_WATCH_MAX_ROWS 1000

/**
 * struct bf_watch_view - what is shown
 * @rows: rules at most; at least 1
 * @columns: a line is cut after these; 0: it is not
 * @interval: seconds
 * @time: in words, for the head
 */
struct bf_watch_view {
	unsigned int rows, columns;
	unsigned int interval;
	const char *time;
};

/* Lines of a frame beside those of rules. */
#define BF_WATCH_HEAD 2

/* One picture, of BF_WATCH_HEAD lines and at most view->rows more. 0 or -ENOMEM. */
int bf_watch_frame(FILE *f, const struct bf_meter *m, const struct bf_watch_view *view);

/**
 * bf_watch - until it is interrupted, or the helper ends
 * @sk: connected to the helper
 * @interval: seconds between two pictures
 * @rows: rules at most; 0: what fits the terminal, or BF_WATCH_ROWS
 *
 * An interrupt ends the process with status 0. Returns the exit status, having said why.
 */
int bf_watch(int sk, unsigned int interval, unsigned int rows);

#endif /* BPFILTER_WATCH_H */
