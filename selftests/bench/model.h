/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What a table decides, rule by rule, as plainly as it can be written: so that nothing is measured that
 * decides wrongly. It shares with the programs how one rule is understood, no more.
 */
#ifndef BENCH_MODEL_H
#define BENCH_MODEL_H

#include "ir.h"
#include "table.h"

struct model;

/* NULL if there is no memory. @table must outlive it. */
struct model *model_make(const struct bf_table *table);
void model_free(struct model *m);

/**
 * model_walk - FORWARD's verdict on a packet
 * @key: of which the mark may change
 * @counters: one for each entry, added to
 *
 * Of conditions at packet time it knows a limit with one credit and no hope of more. NF_ACCEPT or NF_DROP.
 */
int model_walk(struct model *m, uint32_t *key, struct xt_counters *counters);

/* Rules that it has looked at since it was made. */
uint64_t model_steps(const struct model *m);

#endif /* BENCH_MODEL_H */
