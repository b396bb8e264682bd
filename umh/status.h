/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What "bpfilter status" prints.
 */
#ifndef BPFILTER_STATUS_H
#define BPFILTER_STATUS_H

#include <stdio.h>
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
 * struct bf_status - all of it
 * @entries: @n of them, which may be 0; they are shown in their order
 * @now: seconds since the epoch
 */
struct bf_status {
	struct bf_status_module module;
	const struct bf_status_entry *entries;
	size_t n;
	uint64_t now;
};

/* In which words: a byte of BF_CMD_STATUS. */
enum bf_status_form {
	BF_STATUS_TEXT,
	BF_STATUS_JSON,	      /* docs/status-json.md */
	BF_STATUS_PROMETHEUS, /* the text format of Prometheus, version 0.0.4 */
	BF_STATUS_FORMS
};

/**
 * bf_status_render - namespaces as text
 * @text: receives it, ending in a newline; free(3) it
 *
 * 0, -ENOMEM, or -EINVAL for a form that there is not.
 */
int bf_status_render(const struct bf_status *s, enum bf_status_form form, char **text);

/* Each of the forms. */
void bf_status_text(FILE *f, const struct bf_status *s);
void bf_status_json(FILE *f, const struct bf_status *s);
void bf_status_prometheus(FILE *f, const struct bf_status *s);

/* The hooks that the programs are at, in words. */
const char *bf_status_hook(enum bf_attach attach);

/* Seconds since a table was replaced; 0 if the clock has been set back since. */
uint64_t bf_status_age(const struct bf_status *s, const struct bf_filter_status *filter);

/**
 * struct bf_extension - the match or target that keeps a table out of eBPF
 * @kind: "match", "target"; NULL: it is not because of one
 */
struct bf_extension {
	const char *kind;
	char name[XT_EXTENSION_MAXNAMELEN];
};

/* That of a reason why the kernel has the table: where it is an extension, the reason begins with it. */
struct bf_extension bf_status_extension(const struct bf_why *why);

#endif /* BPFILTER_STATUS_H */
