/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * The protocol between whatever intercepts the iptables socket options and the
 * helper that answers them.
 *
 * One request is one setsockopt or getsockopt call of one task. It is written as
 * a header followed by header.len bytes of payload; the answer likewise. Requests
 * on one connection may be answered in any order, matched by id. All integers are
 * in host byte order: both ends are on one machine.
 */
#ifndef _UAPI_LINUX_BPFILTER_H
#define _UAPI_LINUX_BPFILTER_H

#include <linux/types.h>

#define BPFILTER_VERSION 1

/*
 * Operations beyond the six socket options, which use their own optname
 * (IPT_SO_SET_REPLACE and so on, 64 to 67) plus BPFILTER_GET for getsockopt.
 */
#define BPFILTER_GET 0x100 /* or-ed to the optname of a getsockopt */
#define BPFILTER_CMD 0x200 /* first of the helper's own commands */

/**
 * struct bpfilter_request - one intercepted call
 * @version: BPFILTER_VERSION
 * @op: optname, or-ed with BPFILTER_GET for getsockopt
 * @id: chosen by the sender, unique among its unanswered requests
 * @pid: the calling task, in the receiver's pid namespace; for messages only
 * @len: bytes of payload that follow
 * @optlen: the length that the caller gave (set: optlen, get: *optlen)
 *
 * Payload: for a set, the whole option value, copied from the caller once; for a
 * get, as much of it as the caller gave, at most the fixed head that the option
 * reads. The network namespace of the caller's socket travels beside the header
 * (as SCM_RIGHTS on a socket).
 */
struct bpfilter_request {
	__u32 version;
	__u32 op;
	__u64 id;
	__u32 pid;
	__u32 len;
	__s32 optlen;
	__u32 pad;
};

/**
 * struct bpfilter_reply - its answer
 * @id: of the request
 * @error: 0, or -errno for the caller
 * @len: bytes of payload that follow; 0 if @error is not 0
 *
 * Payload: for a get, what is to be written to optval, and @len to *optlen. For
 * IPT_SO_SET_REPLACE the old counters (struct xt_counters), to be written to the
 * address in the caller's struct ipt_replace; a fault there is not an error.
 */
struct bpfilter_reply {
	__u64 id;
	__s32 error;
	__u32 len;
};

#endif /* _UAPI_LINUX_BPFILTER_H */
