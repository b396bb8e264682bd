/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What hangs on a packet besides its data: struct skb_ext, as skb_ext_find() of the kernel reads it.
 */
#ifndef BPFILTER_SKB_EXT_H
#define BPFILTER_SKB_EXT_H

#include "asm.h"

/**
 * bf_emit_skb_ext - emit the way from a packet to one of its extensions
 * @skb: r7 or r8, the packet's address
 * @dst: r7 to r9, which receives the address of the extension
 * @id: its number, of enum skb_ext_id of this kernel
 * @none: where to go if the packet has none
 *
 * Clobbers r0 to r5.
 */
void bf_emit_skb_ext(struct bf_asm *a, int skb, int dst, uint32_t id, int none);

#endif /* BPFILTER_SKB_EXT_H */
