/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Rule sets drawn at random from everything that is translated, as iptables-restore reads them.
 */
#ifndef DIFFERENTIAL_GRAMMAR_H
#define DIFFERENTIAL_GRAMMAR_H

#include "rng.h"
#include "ruleset.h"

enum grammar_size {
	GRAMMAR_USUAL, /* some tens of rules, a few chains */
	GRAMMAR_DEEP,  /* chains that call each other 40 deep and more */
	GRAMMAR_LARGE, /* a thousand rules and more, up to @rules */
};

/**
 * grammar_ruleset - draw one
 * @rs: initialised by ruleset_init(); receives the lines
 * @rules: for GRAMMAR_LARGE, how many about
 */
void grammar_ruleset(struct ruleset *rs, struct rng *r, enum grammar_size size, unsigned int rules);

#endif /* DIFFERENTIAL_GRAMMAR_H */
