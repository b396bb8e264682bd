/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The iptables socket options for table "filter": arguments, order of checks, errors.
 */
#ifndef BPFILTER_PROTOCOL_H
#define BPFILTER_PROTOCOL_H

#include "bpfilter.h"
#include "uapi/bpfilter.h"

struct bf_filter;

/**
 * bf_protocol_handle - answer one request
 * @f: the filter of the request's namespace; the thread is in that namespace
 * @req: header; req->len bytes of @payload
 * @data: receives the reply's payload (malloc'd, freed by the caller) or NULL
 * @len: receives its length
 *
 * Returns 0 or the -errno that the kernel's do_ipt_set_ctl() or do_ipt_get_ctl() gives for
 * the same arguments. Revisions (IPT_SO_GET_REVISION_*) are answered by the kernel where it has
 * ip_tables, and from our registry where it has not.
 */
int bf_protocol_handle(struct bf_filter *f, const struct bpfilter_request *req, const void *payload,
		       void **data, size_t *len, struct bf_why *why);

#endif /* BPFILTER_PROTOCOL_H */
