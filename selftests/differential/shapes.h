/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Large rule sets in the shapes that people have: each is thousands of rules that look at the same few
 * things, which is what a classifier makes use of.
 */
#ifndef DIFFERENTIAL_SHAPES_H
#define DIFFERENTIAL_SHAPES_H

#include "rng.h"
#include "ruleset.h"

enum shape {
	SHAPE_ACCESS,	/* prefixes, protocols and port ranges that overlap, in one chain */
	SHAPE_BLOCK,	/* a list of sources, in a chain that two hooks jump to */
	SHAPE_SERVICES, /* exact addresses and ports, each with chains of its own: Kubernetes */
	SHAPE_CHAINS, /* chains of endpoints below chains that dispatch, with gotos: Calico, Docker */
	SHAPE_COUNTING, /* rules that only count, and some that return or end it */
	SHAPE_NESTED,	/* prefixes in prefixes, ranges in ranges */
	SHAPE_ANYTHING, /* everything that is translated */
	NR_SHAPES,
};

const char *shape_name(enum shape shape);

/**
 * shape_ruleset - draw one
 * @rs: initialised by ruleset_init(); receives the lines
 * @rules: how many, about
 */
void shape_ruleset(struct ruleset *rs, struct rng *r, enum shape shape, unsigned int rules);

#endif /* DIFFERENTIAL_SHAPES_H */
