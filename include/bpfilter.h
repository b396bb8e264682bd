/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What every part of bpfilter shares: the reason type, logging, small helpers.
 */
#ifndef BPFILTER_H
#define BPFILTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define BPFILTER_RELEASE "0.1.0"

#define ARRAY_SIZE(a)	(sizeof(a) / sizeof((a)[0]))
#define BF_PRINTF(f, a) __attribute__((format(printf, f, a)))

/**
 * struct bf_why - one line that tells a person why something was not done
 * @text: no newline, never longer than the buffer; empty if there is nothing to say
 *
 * Filled in where the cause is known, passed up unchanged, printed once by
 * whoever talks to the user. NULL is accepted wherever one is taken.
 */
struct bf_why {
	char text[240];
};

/**
 * bf_why - say why, and return @err
 * @why: where to say it; may be NULL
 * @err: returned as it is
 *
 * An earlier text is replaced. So "return bf_why(why, -EINVAL, ...)" reads well.
 */
int bf_why(struct bf_why *why, int err, const char *fmt, ...) BF_PRINTF(3, 4);

enum bf_log_level { BF_LOG_ERR, BF_LOG_WARN, BF_LOG_INFO, BF_LOG_DEBUG };

/**
 * bf_log - write one line to stderr, after "bpfilter: "
 * @fmt: without newline
 *
 * Once bf_log_service() has been called, the level comes first instead, in the "<N>" form that
 * systemd understands, unless stderr is a terminal.
 *
 * Thread-safe: the line is written with one write(2).
 */
void bf_log(enum bf_log_level level, const char *fmt, ...) BF_PRINTF(2, 3);

/* From now on this process is a service, whose stderr is a log. */
void bf_log_service(void);

/* Lines above this level are not written. Set once by main, before any thread. */
void bf_log_set_level(enum bf_log_level level);

#endif /* BPFILTER_H */
