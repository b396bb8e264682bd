/* SPDX-License-Identifier: GPL-2.0 */
/* Reading the running kernel's types. */
#ifndef BPFILTER_BTF_H
#define BPFILTER_BTF_H

#include "bpfilter.h"
#include "kernel.h"

/**
 * bf_btf_read - fill in everything in @kernel that comes from BTF
 *
 * It is for programs at netfilter links; those at the module's hooks do without. -ENOENT if the kernel has no
 * BTF (/sys/kernel/btf/vmlinux); -EOPNOTSUPP if it lacks a type or a function that is needed,
 * named in @why. Conntrack and the FIB are optional: kernel->has_conntrack, kernel->has_fib. What
 * programs at interfaces need is looked for in any case: kernel->has_ct_lookup.
 */
int bf_btf_read(struct bf_kernel *kernel, struct bf_why *why);

/* Conntrack alone, again: its module may have been loaded since, or once more. Costs next to nothing if not. */
void bf_btf_read_conntrack(struct bf_kernel *kernel);

/* Is br_netfilter there? It may come, and go. */
void bf_btf_look_bridge(struct bf_kernel *kernel);

#endif /* BPFILTER_BTF_H */
