/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The kernel's table of interfaces' addresses, 256 lists, which the early-drop stage looks into (codegen/path.c): are they where that
 * looks for them? If all that there are, and more than one, are in the list where they should be, that is so.
 */
#ifndef BPFILTER_ADDRESSES_H
#define BPFILTER_ADDRESSES_H

struct bf_kernel;
struct bf_reader;

/* kernel->addresses_known, which is false, for the namespace of this thread. */
void bf_addresses_check(struct bf_kernel *kernel, const struct bf_reader *reader);

#endif /* BPFILTER_ADDRESSES_H */
