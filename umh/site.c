// SPDX-License-Identifier: GPL-2.0
/* What is done in a namespace. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "clock.h"
#include "device.h"
#include "edge.h"
#include "env.h"
#include "filter.h"
#include "kernel_table.h"
#include "leave.h"
#include "pins.h"
#include "protocol.h"
#include "site.h"
#include "stage.h"
#include "wire.h"
#include "worker.h"

static int open_filter(struct bf_site *s, struct bf_why *why)
{
	int err;

	if (s->filter)
		return 0;
	err = bf_filter_open(s->env, s->inode, s->name, &s->filter, why);
	if (err && !why->text[0])
		bf_why(why, err, "%s", strerror(-err));
	return err;
}

/* Is something of ours here that could not be opened? */
static bool has_unknown(struct bf_site *s)
{
	struct bf_device *device = bf_env_device(s->env);
	uint32_t flags = 0, prog_id;
	struct bf_pins pins;

	bf_pins_init(&pins, s->inode);
	if (!access(pins.dir, F_OK))
		return true;
	return device && !bf_device_ns_get(device, &flags, &prog_id) && flags;
}

/*
 * A table of ours that cannot be looked at is in force all the same: nobody may think that it is
 * ip_tables', and change that. Each request tries again to open it.
 */
static void claim_unknown(struct bf_site *s)
{
	struct bf_device *device = bf_env_device(s->env);
	uint32_t flags, prog_id;

	if (device && !bf_device_ns_get(device, &flags, &prog_id))
		bf_device_ns_set(device, flags | BPFILTER_NS_OWNED | BPFILTER_NS_KEEP, NULL);
}

/* Look again: the module, which may be another than before, is told when the filter is opened. */
static int take_up(struct bf_site *s, struct bf_why *why)
{
	int err;

	if (s->filter && bf_filter_is_ours(s->filter)) {
		bf_filter_close(s->filter);
		s->filter = NULL;
	}
	err = open_filter(s, why);
	if (err && has_unknown(s))
		claim_unknown(s);
	return err;
}

/* @error: why the filter could not be opened, or 0. That, too, is an answer. */
static int fill_status(struct bf_site *s, int error, void **data, size_t *len)
{
	struct bf_filter_status filter = {};
	struct bf_worker_status *status;
	size_t n;

	error = error ?: bf_filter_status(s->filter, &filter);
	n = filter.nr_interfaces;
	status = calloc(1, sizeof(*status) + n * sizeof(*filter.interfaces));
	if (!status) {
		free(filter.interfaces);
		return -ENOMEM;
	}
	status->inode = s->inode;
	strcpy(status->name, s->name);
	status->error = error;
	status->filter = filter;
	status->filter.interfaces = (struct bf_interface_status *)(status + 1);
	if (n)
		memcpy(status + 1, filter.interfaces, n * sizeof(*filter.interfaces));
	free(filter.interfaces);
	*data = status;
	*len = sizeof(*status);
	return 0;
}

/* @error: as above. Then there are no entries. */
static int fill_table(struct bf_site *s, int error, void **data, size_t *len)
{
	struct bf_kernel_table *table = NULL;
	struct bf_table_record *r;
	uint64_t taken_ns;
	size_t size;

	if (!error && bf_filter_copy(s->filter, &table))
		table = NULL;
	taken_ns = bf_now_ns();
	size = sizeof(*r) + XT_ALIGN(table ? table->info.size : 0);
	r = calloc(1, size);
	if (r) {
		r->inode = s->inode;
		r->skip = size;
		r->taken_ns = taken_ns;
		strcpy(r->name, s->name);
	}
	if (r && table) {
		r->due = bf_filter_counters_are_due(s->filter);
		r->info = table->info;
		memcpy(r->entries, table->entries, table->info.size);
	}
	bf_kernel_table_free(table);
	*data = r;
	*len = size;
	return r ? 0 : -ENOMEM;
}

static int detach(struct bf_site *s, void **data, size_t *len, struct bf_why *why)
{
	uint32_t *count = malloc(sizeof(*count));
	int err;

	if (!count)
		return -ENOMEM;
	*count = bf_filter_is_ours(s->filter);
	err = bf_filter_detach(s->filter, why);
	if (err) {
		free(count);
		return err;
	}
	*data = count;
	*len = sizeof(*count);
	return 0;
}

/* The rules are lost. What cannot be opened is removed by name. */
static void drop(struct bf_site *s)
{
	struct bf_device *device = bf_env_device(s->env);
	struct bf_pins pins;

	if (s->filter) {
		bf_filter_abandon(s->filter);
		return;
	}
	bf_edge_clear(s->env, s->inode);
	bf_pins_init(&pins, s->inode);
	bf_pins_open(&pins);
	bf_pins_remove(&pins);
	bf_pins_close(&pins);
	bf_stage_unpin(s->inode);
	if (device)
		bf_device_ns_set(device, 0, NULL);
}

/* @err: why the filter could not be opened, and @why in words, or 0. */
static int leave(struct bf_site *s, struct bf_job *job, int err, struct bf_why *why,
		 struct bf_left *left)
{
	bool force = job->req.optlen, ours = s->filter && bf_filter_is_ours(s->filter);

	if (err && !has_unknown(s))
		return 0;
	if (!err && job->req.op == BF_JOB_MAY_LEAVE)
		err = bf_leave_check(s->filter, why);
	else if (!err && ours)
		err = bf_filter_detach(s->filter, why);
	if (!err) {
		left->given = ours && job->req.op == BF_JOB_LEAVE;
		return 0;
	}
	left->dropped = job->req.op == BF_JOB_LEAVE && force;
	snprintf(left->text, sizeof(left->text), "%s: %s%s", s->name,
		 left->dropped ? "the rules are lost: " : "",
		 why->text[0] ? why->text : strerror(-err));
	if (!left->dropped)
		return err;
	drop(s);
	return 0;
}

/* There is data for the error, too: what to say about it. */
static int do_leave(struct bf_site *s, struct bf_job *job, int err, struct bf_why *why, void **data,
		    size_t *len)
{
	struct bf_left *left = calloc(1, sizeof(*left));

	if (!left)
		return -ENOMEM;
	err = leave(s, job, err, why, left);
	*data = left;
	*len = sizeof(*left);
	return err;
}

/* The filter is open. */
static int do_opened(struct bf_site *s, struct bf_job *job, void **data, size_t *len,
		     struct bf_why *why)
{
	switch (job->req.op) {
	case BF_JOB_OPEN:
	case BF_JOB_TAKE_UP:
		return 0;
	case BF_CMD_DETACH:
		return detach(s, data, len, why);
	}
	if (job->req.op == IPT_SO_SET_REPLACE && job->req.attach && job->req.attach - 1 <= BF_EARLY)
		bf_filter_ask(s->filter, job->req.attach - 1);
	return bf_protocol_handle(s->filter, &job->req, job->payload, data, len, why);
}

void bf_site_do(struct bf_site *s, struct bf_job *job)
{
	struct bf_why why = {};
	void *data = NULL;
	size_t len = 0;
	int err, opened;

	opened = job->req.op == BF_JOB_TAKE_UP ? take_up(s, &why) : open_filter(s, &why);
	if (opened)
		bf_log(BF_LOG_ERR, "%s: %s", s->name, why.text);
	switch (job->req.op) {
	case BF_CMD_STATUS:
		err = fill_status(s, opened, &data, &len);
		break;
	case BF_CMD_TABLES:
		err = fill_table(s, opened, &data, &len);
		break;
	case BF_JOB_MAY_LEAVE:
	case BF_JOB_LEAVE:
		err = do_leave(s, job, opened, &why, &data, &len);
		break;
	default:
		err = opened ?: do_opened(s, job, &data, &len, &why);
	}
	if (!opened && why.text[0])
		bf_log(err ? BF_LOG_ERR : BF_LOG_INFO, "%s: %s", s->name, why.text);
	job->done(job, err, data, len);
}
