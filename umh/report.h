/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Commands that concern every namespace: asked of all workers, answered when the last has
 * answered.
 */
#ifndef BPFILTER_REPORT_H
#define BPFILTER_REPORT_H

struct bf_env;
struct bf_job;
struct bf_workers;

/**
 * bf_report_gather - do BF_CMD_STATUS, BF_CMD_TABLES or BF_CMD_DETACH for all namespaces
 * @job: the request; its done() is called with the reply that wire.h tells of. Taken over.
 */
void bf_report_gather(struct bf_workers *ws, struct bf_env *env, struct bf_job *job);

#endif /* BPFILTER_REPORT_H */
