/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Programs that are nothing but a verdict, to be measured beside those that do something.
 */
#ifndef BENCH_VERDICT_H
#define BENCH_VERDICT_H

#include <linux/bpf.h>

/* A new descriptor, or -errno. One for XDP takes frames of several pieces, as that of bpfilter's early-drop stage does. */
int verdict_load(enum bpf_prog_type type, int verdict);

/* Attach one for XDP, in the driver, to an interface of this thread's namespace, as whose it stays. 0 or -errno. */
int verdict_attach_xdp(int ifindex, int verdict);

#endif /* BENCH_VERDICT_H */
