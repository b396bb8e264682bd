/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Where conntrack has what is this network namespace's own: struct nf_conntrack_net, which net->gen leads to. Which one of
 * the pointers there it is, the kernel keeps in a variable that not all of them tell the address of. But the structure
 * has the namespace's sysctls, one of which (nf_conntrack_count) is of a member of that same structure: so it is found, and
 * known for sure. Beside it is nf_conntrack_max, which leads to that variable.
 */
#ifndef BPFILTER_CT_PERNET_H
#define BPFILTER_CT_PERNET_H

struct bf_kernel;
struct bf_reader;

/**
 * bf_ct_pernet_find - find it in the namespace of this thread
 * @kernel: has_tracked; has_ct_pernet, which is false, and what is behind that is set
 *
 * Where it is not found has_ct_pernet stays false: conntrack is not there, or not as it is known here.
 */
void bf_ct_pernet_find(struct bf_kernel *kernel, const struct bf_reader *reader);

#endif /* BPFILTER_CT_PERNET_H */
