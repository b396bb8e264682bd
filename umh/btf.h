/* SPDX-License-Identifier: GPL-2.0 */
/* Reading the running kernel's types. */
#ifndef BPFILTER_BTF_H
#define BPFILTER_BTF_H

#include "bpfilter.h"
#include "kernel.h"

/**
 * bf_btf_read - fill in everything in @kernel that comes from BTF
 *
 * -ENOENT if the kernel has no BTF (/sys/kernel/btf/vmlinux); -EOPNOTSUPP if it lacks a type or a
 * function that the netfilter placement needs, named in @why. Conntrack and the FIB are
 * optional: kernel->has_conntrack, kernel->has_fib.
 */
int bf_btf_read(struct bf_kernel *kernel, struct bf_why *why);

/* Conntrack alone, again: its module may have been loaded since. */
void bf_btf_read_conntrack(struct bf_kernel *kernel);

#endif /* BPFILTER_BTF_H */
