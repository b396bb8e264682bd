/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The questions of a table (question.h of the compiler), handed to the module: uapi/bpfilter.h.
 */
#ifndef BPFILTER_QUESTIONS_H
#define BPFILTER_QUESTIONS_H

#include "bpfilter.h"
#include "question.h"

struct bf_device;

/**
 * bf_questions_make - have the kernel's matches check them, for the namespace of the calling thread
 * @questions: one at least
 *
 * A descriptor, for the caller to close, or -errno: what ip_tables would say about the rule, with the match in @why.
 */
int bf_questions_make(struct bf_device *device, const struct bf_questions *questions,
		      struct bf_why *why);

#endif /* BPFILTER_QUESTIONS_H */
