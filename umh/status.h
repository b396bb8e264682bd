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
 * struct bf_status_module - the kernel module
 * @served: the helper that is asked has its device, so that all of the machine's iptables come here
 * @requests: calls that wait for an answer now; negative if that is not known
 */
struct bf_status_module {
	bool loaded;
	bool served;
	int requests;
};

/**
 * bf_status_render - namespaces as text
 * @n: may be 0
 * @json: in the form of docs/status-json.md; for people otherwise
 * @text: receives it, ending in a newline; free(3) it
 *
 * The order is that of @entries. 0 or -ENOMEM.
 */
int bf_status_render(const struct bf_status_module *module, const struct bf_status_entry *entries,
		     size_t n, bool json, char **text);

#endif /* BPFILTER_STATUS_H */
