// SPDX-License-Identifier: GPL-2.0
/*
 * Does rp_filter let a packet's source pass? fib_validate_source() and __fib_validate_source() of net/ipv4/fib_frontend.c, for
 * a packet to a local address, or that leaves by another interface, where there is no policy routing, and no route with a realm:
 *
 *	rpf = max(net->ipv4.devconf_all->rp_filter, in_dev->cnf.rp_filter);
 *	if (fib_lookup(net, source, &res) || res.type != RTN_UNICAST)
 *		return false;
 *	if (fib_info_nh_uses_dev(res.fi, dev))
 *		return true;
 *	return in_dev->ifa_list && rpf != 1;
 *
 * fib_lookup() is the longest match in main's table, which local's routes are merged into. What it does not find goes up, as it may be
 * in the table default; so does an address of the machine, which would pass with accept_local; and what a route with a TOS may
 * be for. That a source is that of an interface which is down does not matter here: that is looked at only without rp_filter.
 *
 * It is a global function, so that the verifier looks at it once, and not again for each way through the rules.
 */
#include <linux/ip.h>
#include <linux/rtnetlink.h>

#include "early.h"
#include "fib.h"
#include "key_packet.h"

/* What the function gets, BF_COND_STATE bytes at the end of the frame, where nothing is needed any more. */
enum arguments {
	ARGUMENTS = BF_FRAME_SIZE - BF_COND_STATE,
	ARG_NET = 0, /* uint64_t */
	ARG_DEV = 8, /* uint64_t */
	ARG_KEY = 16 /* uint32_t: the source */
};

_Static_assert((int)ARGUMENTS > (int)BF_FRAME_COUNTERS, "what counts is overwritten");

void bf_emit_source(struct bf_asm *a, int up)
{
	/* Without that, one next hop is looked at, whatever there are. */
	if (!a->kernel->fib_multipath) {
		bf_jmp(a, up);
		return;
	}
	bf_stx(a, BPF_DW, BPF_REG_6, ARGUMENTS + ARG_NET, BPF_REG_9);
	bf_stx(a, BPF_DW, BPF_REG_6, ARGUMENTS + ARG_DEV, BPF_REG_8);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_KEY(BF_SADDR));
	bf_stx(a, BPF_W, BPF_REG_6, ARGUMENTS + ARG_KEY, BPF_REG_1);
	bf_mov(a, BPF_REG_1, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_1, ARGUMENTS);
	bf_movi(a, BPF_REG_2, 0);
	bf_call(a, a->source);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, up);
}

/* dst = *(size *)(base + off) of kernel memory */
static void read_at(struct bf_asm *a, int size, int dst, int base, int off)
{
	bf_raw(a, base, off);
	bf_raw_ldx(a, size, dst, 0);
}

/* r8 = in_dev, r9 = rpf; to @no without the one, or if it is off after all. r7 is the net. */
static void emit_filter(struct bf_asm *a, int no)
{
	const int rp_filter = a->kernel->devconf_data + 4 * (IPV4_DEVCONF_RP_FILTER - 1);
	const struct bf_kernel *k = a->kernel;
	int all = bf_asm_label(a);

	read_at(a, BPF_DW, BPF_REG_8, BPF_REG_8, k->dev_ip_ptr);
	bf_jifi(a, BPF_JEQ, BPF_REG_8, 0, no);
	read_at(a, BPF_DW, BPF_REG_7, BPF_REG_7, k->net_devconf_all);
	bf_jifi(a, BPF_JEQ, BPF_REG_7, 0, no);
	read_at(a, BPF_W, BPF_REG_9, BPF_REG_7, rp_filter);
	read_at(a, BPF_W, BPF_REG_1, BPF_REG_8, k->in_device_cnf + rp_filter);
	bf_jif32(a, BPF_JSGE, BPF_REG_9, BPF_REG_1, all);
	bf_mov(a, BPF_REG_9, BPF_REG_1);
	bf_asm_here(a, all);
	bf_jif32i(a, BPF_JEQ, BPF_REG_9, 0, no);
}

/* int passes(arguments *): 1 if it does, 0 if it does not, or may not */
void bf_emit_source_function(struct bf_asm *a, int walk)
{
	int yes = bf_asm_label(a), no = bf_asm_label(a);

	bf_global_function(a, a->source);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, no);
	bf_ldx(a, BPF_DW, BPF_REG_7, BPF_REG_1, ARG_NET);
	bf_stx(a, BPF_DW, BPF_REG_10, BF_FIB_BASE + BF_FIB_NET, BPF_REG_7);
	bf_ldx(a, BPF_DW, BPF_REG_8, BPF_REG_1, ARG_DEV);
	bf_stx(a, BPF_DW, BPF_REG_10, BF_FIB_BASE + BF_FIB_DEV, BPF_REG_8);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_1, ARG_KEY);
	bf_stx(a, BPF_W, BPF_REG_10, BF_FIB_BASE + BF_FIB_KEY, BPF_REG_2);
	emit_filter(a, no);
	bf_fib_walk_back(a, walk, no);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_10, BF_FIB_BASE + BF_FIB_TYPE);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, RTN_UNICAST | BF_FIB_BY_DEV, yes);
	bf_jifi(a, BPF_JNE, BPF_REG_1, RTN_UNICAST, no);
	bf_jif32i(a, BPF_JEQ, BPF_REG_9, 1, no);
	read_at(a, BPF_DW, BPF_REG_1, BPF_REG_8, a->kernel->in_device_addrs);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, no);
	bf_asm_here(a, yes);
	bf_movi(a, BPF_REG_0, 1);
	bf_exit(a);
	bf_asm_here(a, no);
	bf_movi(a, BPF_REG_0, 0);
	bf_exit(a);
}
