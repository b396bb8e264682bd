/* SPDX-License-Identifier: GPL-2.0 */
/*
 * A program at one interface of the namespace that this thread is in: at tc, or at XDP.
 *
 * Where the kernel has links for it, they are used: tcx since Linux 6.6, XDP since 5.9. Older kernels have
 * a filter "bpf" at a qdisc "clsact" for tc, which both stay until they are removed by name.
 */
#ifndef BPFILTER_TC_H
#define BPFILTER_TC_H

#include "bpfilter.h"

enum bf_tc_dir { BF_TC_IN, BF_TC_OUT };

/**
 * bf_tc_link - attach by tcx, in front of all that is there
 *
 * A link's descriptor; -EOPNOTSUPP: the kernel has no tcx; or another -errno.
 */
int bf_tc_link(int ifindex, enum bf_tc_dir dir, int prog);

/**
 * bf_tc_filter - attach by a filter of the qdisc clsact
 * @made_qdisc: receives whether there was no qdisc before
 *
 * At the first preference that nobody has. 0 or -errno.
 */
int bf_tc_filter(int ifindex, enum bf_tc_dir dir, int prog, bool *made_qdisc);

/* Is our filter there? bf_tc_unfilter(): remove it. 0 or -errno; -ENOENT, -ENODEV: there is nothing. */
int bf_tc_has_filter(int ifindex, enum bf_tc_dir dir);
int bf_tc_unfilter(int ifindex, enum bf_tc_dir dir);

/* Remove the qdisc clsact, if nobody has a filter there. 0 or -errno. */
int bf_tc_remove_qdisc(int ifindex);

/**
 * bf_xdp_link - attach as XDP
 * @mode: where: XDP_FLAGS_SKB_MODE: in the stack; XDP_FLAGS_DRV_MODE: in the driver; XDP_FLAGS_HW_MODE: on the
 *	card, for which the program must have been loaded
 *
 * A link's descriptor. -EBUSY or -EEXIST: there is another program; -EOPNOTSUPP, or whatever the
 * driver says, if it cannot.
 */
int bf_xdp_link(int ifindex, int prog, uint32_t mode);

/* The interface that a link of one of these kinds is at; 0: it is gone. -errno. */
int bf_link_ifindex(int link);

#endif /* BPFILTER_TC_H */
