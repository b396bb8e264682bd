/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Making a failing trial as small as it can be.
 */
#ifndef DIFFERENTIAL_SHRINK_H
#define DIFFERENTIAL_SHRINK_H

#include "duel.h"

/**
 * shrink - leave out packets, rules, chains and parts of rules as long as there is a difference
 * @rules, @packets: what fails; what is left of it
 * @seconds: when to be content with what there is
 */
void shrink(struct duel *d, struct ruleset *rules, struct packets *packets, unsigned int seconds);

#endif /* DIFFERENTIAL_SHRINK_H */
