/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's log, where target LOG writes: of network namespaces other than the first one only
 * while a setting of the whole machine says so.
 */
#ifndef DIFFERENTIAL_KMSG_H
#define DIFFERENTIAL_KMSG_H

#include "events.h"
#include "ruleset.h"

/* What the prefixes of the grammar's LOG rules begin with: other lines are not ours. */
#define KMSG_TAG "bfdiff"

struct kmsg {
	int log, lock;
	char before;
};

/*
 * Have the log written, one process at a time, if @rules have a LOG rule of the grammar; else nothing
 * happens here. 0 or -errno, having said why.
 */
int kmsg_begin(struct kmsg *k, const struct ruleset *rules);
void kmsg_end(struct kmsg *k);

/* Leave out what has been written so far. */
void kmsg_skip(struct kmsg *k);

/*
 * Add the lines of ours, with their level, as events at EVENT_LOG. The ids of packets are left out.
 * 0 or -errno: -EPIPE if the kernel had to overwrite some.
 */
int kmsg_read(struct kmsg *k, struct events *seen);

#endif /* DIFFERENTIAL_KMSG_H */
