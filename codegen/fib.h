/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The type of an address, as inet_dev_addr_type() of the kernel tells it, by reading the kernel's
 * own routing trie: BPF netfilter programs have no helper for it.
 */
#ifndef BPFILTER_FIB_H
#define BPFILTER_FIB_H

#include "asm.h"

/*
 * What the walk keeps on the stack of the function that calls it, at BF_FIB_BASE(r10) upwards. The
 * caller fills in NET, DEV and KEY. TYPE is the result.
 */
enum bf_fib {
	BF_FIB_NODE = 0,   /* uint64_t: where the walk is: table, node, alias */
	BF_FIB_PARENT = 8, /* uint64_t: the node to go back to */
	BF_FIB_INFO = 16,  /* uint64_t: whose next hops are looked at: fib_info, nh_group */
	BF_FIB_NET = 24,   /* uint64_t: struct net * */
	BF_FIB_DEV = 32,   /* uint64_t: struct net_device * that must be the route's, or 0 */
	BF_FIB_INDEX = 40, /* uint32_t: child of PARENT that the walk took */
	BF_FIB_KEY = 44,   /* uint32_t: the address, host byte order */
	BF_FIB_PHASE = 48, /* uint32_t: enum phase in fib.c */
	BF_FIB_TYPE = 52,  /* uint32_t: RTN_..., perhaps with BF_FIB_BY_DEV */
	BF_FIB_HOP = 56,   /* uint32_t: which next hop of INFO */
	BF_FIB_DIFF = 60,  /* uint32_t: KEY ^ the leaf's key */
	BF_FIB_SIZE = 64,
};

#define BF_FIB_BASE (-BF_FIB_SIZE)

/* Of the way back: one of the route's next hops is DEV's. */
#define BF_FIB_BY_DEV 0x100

/**
 * bf_fib_walk - emit the call that looks the address up in the local table
 * @walk: label of the function that bf_fib_function() emits
 * @stuck: where to go if the table does not end, with an answer that is safe
 *
 * Clobbers r0 to r5; falls through with the result in TYPE.
 */
void bf_fib_walk(struct bf_asm *a, int walk, int stuck);

/**
 * bf_fib_opaque_zero - emit dst = 0 such that the verifier cannot tell
 * @any: a register that holds a number of 64 bits
 * @tmp: a register to be clobbered; none of the three is another
 *
 * The context of the walk must not begin with values that the verifier knows. Linux 6.18 takes a
 * constant on the stack of a global function to be still there in later steps of a bpf_loop(), and
 * removes code that it thinks is never reached: the way back up the trie. What is unknown
 * from the start cannot be mistaken, and makes verification shorter as well.
 */
void bf_fib_opaque_zero(struct bf_asm *a, int dst, int any, int tmp);

/* Emit that function, which uses no stack. Once per program, outside of any other function. */
void bf_fib_function(struct bf_asm *a, int walk);

/**
 * bf_fib_walk_back - emit the call that looks for the way back to an address in main's table
 * @walk: label of the function that bf_fib_back_function() emits
 * @none: where to go if there is nothing in that table, or it does not end
 *
 * There must be no policy routing (net.ipv4.fib_has_custom_rules). TYPE is that of the route, with BF_FIB_BY_DEV or not; RTN_UNSPEC
 * if there is none, if it leads nowhere (blackhole and such), or if a route with a TOS may be the one. Clobbers r0 to r5 and r7.
 */
void bf_fib_walk_back(struct bf_asm *a, int walk, int none);

/* As bf_fib_function(). */
void bf_fib_back_function(struct bf_asm *a, int walk);

#endif /* BPFILTER_FIB_H */
