/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What "bpfilter status" prints.
 */
#ifndef BPFILTER_STATUS_H
#define BPFILTER_STATUS_H

#include <sys/types.h>

#include "bpfilter.h"
#include "filter.h"

/**
 * struct bf_status_entry - one network namespace
 * @inode: as in net:[INODE]
 * @name: see bf_netns_find(); any bytes, not necessarily UTF-8
 * @status: what bf_filter_status() gave; not looked at if @error is not 0
 * @error: 0, or the -errno with which asking failed
 */
struct bf_status_entry {
	ino_t inode;
	const char *name;
	struct bf_filter_status status;
	int error;
};

/**
 * bf_status_render - namespaces as text
 * @n: may be 0
 * @module: the module is loaded, so that all of the machine's iptables come here
 * @json: in the form of docs/status-json.md; for people otherwise
 * @text: receives it, ending in a newline; free(3) it
 *
 * The order is that of @entries. 0 or -ENOMEM.
 */
int bf_status_render(const struct bf_status_entry *entries, size_t n, bool module, bool json,
		     char **text);

#endif /* BPFILTER_STATUS_H */
