// SPDX-License-Identifier: GPL-2.0
/*
 * One request, checked in the kernel's order (do_ipt_set_ctl() and do_ipt_get_ctl(), Linux 6.1
 * to 6.18). The capability has been checked by the transport, before anything here.
 *
 * A payload that is shorter than what the kernel would read means that the caller's memory
 * ends there: -EFAULT, but only at the point where the kernel would have found out.
 */
#include <errno.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "ext.h"
#include "filter.h"
#include "kernel_table.h"
#include "others.h"
#include "protocol.h"
#include "table.h"

/**
 * struct call - a request on its way through the checks, and its reply
 * @data, @len: the reply's payload; @data is owned until it is handed out
 */
struct call {
	struct bf_filter *f;
	const struct bpfilter_request *req;
	const void *payload;
	struct bf_why *why;
	void *data;
	size_t len;
};

static int check_name(const struct call *call)
{
	char name[XT_TABLE_MAXNAMELEN];

	memcpy(name, call->payload, sizeof(name));
	name[sizeof(name) - 1] = '\0';
	return strcmp(name, "filter") ? -ENOENT : 0;
}

static void *reply_alloc(struct call *call, size_t len)
{
	call->data = calloc(1, len);
	call->len = len;
	return call->data;
}

static int get_info(struct call *call)
{
	struct ipt_getinfo *info;
	int err;

	if (call->req->optlen != sizeof(*info))
		return -EINVAL;
	if (call->req->len < sizeof(info->name))
		return -EFAULT;
	err = check_name(call);
	if (err)
		return err;

	info = reply_alloc(call, sizeof(*info));
	if (!info)
		return -ENOMEM;
	err = bf_filter_info(call->f, info);
	memset(info->name, 0, sizeof(info->name));
	strcpy(info->name, "filter");
	return err;
}

static int get_entries(struct call *call)
{
	struct ipt_get_entries get, *reply;
	struct ipt_getinfo info;
	int err;

	if ((uint32_t)call->req->optlen < sizeof(get))
		return -EINVAL;
	if (call->req->len < sizeof(get))
		return -EFAULT;
	memcpy(&get, call->payload, sizeof(get));
	if ((uint32_t)call->req->optlen != sizeof(get) + (uint64_t)get.size)
		return -EINVAL;
	err = check_name(call);
	if (err)
		return err;

	/* A caller may announce any size: compare before memory is spent on it. */
	err = bf_filter_info(call->f, &info);
	if (err)
		return err;
	if (info.size != get.size)
		return -EAGAIN;

	/* All of it will be written. */
	reply = malloc(sizeof(get) + (size_t)get.size);
	if (!reply)
		return -ENOMEM;
	call->data = reply;
	call->len = sizeof(get) + (size_t)get.size;
	memcpy(reply, &get, sizeof(get));
	return bf_filter_entries(call->f, get.size, reply->entrytable);
}

/* The answer so far is @err, and now it turns out that we have this one. */
static int compare_revision(const struct xt_get_revision *rev, const char *name, uint8_t revision,
			    int err)
{
	if (!err || strcmp(name, rev->name))
		return err;
	return revision == rev->revision ? 0 : -EPROTONOSUPPORT;
}

/*
 * What the kernel answers about a revision if it knows nothing but what we do: 0, or
 * -EPROTONOSUPPORT for one of several that we lack, or -ENOENT.
 */
static int revision_of_ours(const struct xt_get_revision *rev, bool target)
{
	const struct bf_target *t;
	const struct bf_match *m;
	int err = -ENOENT;
	unsigned int i;

	if (!target) {
		for (i = 0; (m = bf_match_at(i)); i++)
			err = compare_revision(rev, m->name, m->revision, err);
		return err;
	}
	err = compare_revision(rev, XT_STANDARD_TARGET, 0, err);
	err = compare_revision(rev, XT_ERROR_TARGET, 0, err);
	for (i = 0; (t = bf_target_at(i)); i++)
		err = compare_revision(rev, t->name, t->revision, err);
	return err;
}

/*
 * Every revision that the kernel would accept is accepted: what we cannot translate, the
 * kernel will be given.
 */
static int get_revision(struct call *call, int opt)
{
	struct xt_get_revision rev;
	socklen_t len = sizeof(rev);
	int sk, err;

	if (call->req->optlen != sizeof(rev))
		return -EINVAL;
	if (call->req->len < sizeof(rev))
		return -EFAULT;
	memcpy(&rev, call->payload, sizeof(rev));
	rev.name[sizeof(rev.name) - 1] = '\0';

	sk = bf_kernel_socket();
	if (sk < 0)
		return sk;
	err = bf_kernel_get(sk, opt, &rev, &len);
	close(sk);
	if (err == -ENOPROTOOPT)
		err = revision_of_ours(&rev, opt == IPT_SO_GET_REVISION_TARGET);
	if (err)
		return err;

	/* The kernel writes nothing but the length: give back what is there. */
	if (!reply_alloc(call, sizeof(rev)))
		return -ENOMEM;
	memcpy(call->data, call->payload, sizeof(rev));
	return 0;
}

static int set_replace(struct call *call)
{
	const struct ipt_replace *head;
	size_t optlen = call->req->optlen;
	struct xt_counters *old;
	struct ipt_replace copy;
	int err;

	if (optlen < sizeof(*head))
		return bf_why(call->why, -EINVAL, "the table is shorter than its header");
	if (call->req->len < sizeof(*head))
		return -EFAULT;
	head = call->payload;
	if (bf_others_replace(head))
		return bf_filter_others(call->f, head->name);
	err = bf_table_check_head(call->payload, optlen, call->why);
	if (err)
		return err;
	memcpy(&copy, call->payload, sizeof(copy));
	if (call->req->len < sizeof(copy) + (size_t)copy.size)
		return -EFAULT;

	err = bf_filter_replace(call->f, call->payload, sizeof(copy) + (size_t)copy.size, &old,
				call->why);
	if (err)
		return err;
	call->data = old;
	call->len = (size_t)copy.num_counters * sizeof(*old);
	return 0;
}

static int set_add_counters(struct call *call)
{
	struct xt_counters_info info;
	size_t optlen = call->req->optlen;
	int err;

	if (optlen <= sizeof(info))
		return -EINVAL;
	if (call->req->len < sizeof(info))
		return -EFAULT;
	memcpy(&info, call->payload, sizeof(info));
	if ((uint64_t)info.num_counters * sizeof(struct xt_counters) != optlen - sizeof(info))
		return -EINVAL;
	if (call->req->len < optlen)
		return -EFAULT;
	err = check_name(call);
	if (err)
		return err;
	return bf_filter_add_counters(call->f, call->payload, optlen);
}

static int dispatch(struct call *call)
{
	/* The system calls themselves refuse these. */
	if (call->req->optlen < 0)
		return -EINVAL;

	switch (call->req->op) {
	case IPT_SO_SET_REPLACE:
		return set_replace(call);
	case IPT_SO_SET_ADD_COUNTERS:
		return set_add_counters(call);
	case BPFILTER_GET | IPT_SO_GET_INFO:
		return get_info(call);
	case BPFILTER_GET | IPT_SO_GET_ENTRIES:
		return get_entries(call);
	case BPFILTER_GET | IPT_SO_GET_REVISION_MATCH:
	case BPFILTER_GET | IPT_SO_GET_REVISION_TARGET:
		return get_revision(call, call->req->op & ~BPFILTER_GET);
	default:
		return -ENOPROTOOPT;
	}
}

int bf_protocol_handle(struct bf_filter *f, const struct bpfilter_request *req, const void *payload,
		       void **data, size_t *len, struct bf_why *why)
{
	struct call call = {.f = f, .req = req, .payload = payload, .why = why};
	int err = dispatch(&call);

	if (err) {
		free(call.data);
		call.data = NULL;
		call.len = 0;
	}
	*data = call.data;
	*len = call.len;
	return err;
}
