/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A network namespace as its worker sees it from inside, and what can be done there.
 */
#ifndef BPFILTER_SITE_H
#define BPFILTER_SITE_H

#include <sys/types.h>

#include "bpfilter.h"

struct bf_env;
struct bf_filter;
struct bf_job;

/**
 * struct bf_site - the namespace
 * @name: for messages
 * @filter: NULL until it is first needed
 */
struct bf_site {
	struct bf_env *env;
	ino_t inode;
	char name[256];
	struct bf_filter *filter;
};

/* Do what is asked for, and call @job's done(). In the namespace. */
void bf_site_do(struct bf_site *site, struct bf_job *job);

#endif /* BPFILTER_SITE_H */
