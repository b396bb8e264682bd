// SPDX-License-Identifier: GPL-2.0
/*
 * Does a packet that is for none of the machine's addresses come to FORWARD as it is, and by which interface does it leave? What
 * ip_route_input_slow(), __mkroute_input() and ip_forward() ask of it (net/ipv4/route.c, net/ipv4/ip_forward.c), where there is no
 * policy routing, and no route with a realm:
 *
 *	the interface		forwards
 *	TTL			is more than 1
 *	the route		the longest match in main's table, for certain (fib.h): an ordinary one, with one next hop by another
 *				interface, which has IP, without a tunnel. By the same one, it is a
 *				redirect, and its source is looked at
 *	its length		no more than that interface takes, of which neither the route nor (with net.ipv4.ip_forward_use_pmtu, or
 *				one below net.ipv4.route.min_pmtu) what has been learnt of the destination says less
 *	IPsec			has no policy for what is forwarded or leaves, and lets pass what has none
 *	sockets			none is connected with the packet's addresses, of which one would not be the machine's: early
 *				demultiplexing gives the packet to it, and ip_forward() discards it
 *
 * The route is walked to by a global function, as in path_source.c.
 */
#include <arpa/inet.h>
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/rtnetlink.h>
#include <linux/xfrm.h>

#include "early.h"
#include "fib.h"
#include "key_packet.h"

/* What the function gets and gives, BF_COND_STATE bytes at the end of the frame, where nothing is yet. */
enum arguments {
	ARGUMENTS = BF_FRAME_SIZE - BF_COND_STATE,
	ARG_NET = 0,	/* uint64_t */
	ARG_DEV = 8,	/* uint64_t: the one that it came by */
	ARG_KEY = 16,	/* uint32_t: the destination */
	ARG_LEN = 20,	/* uint32_t: of the packet */
	ARG_OUT = 24,	/* uint64_t: the struct net_device that it leaves by */
	ARG_WHOLE = 32, /* uint32_t: not 0 if it must not be cut */
};

/* No MTU is less. */
#define MIN_MTU 68

_Static_assert((int)ARGUMENTS > (int)BF_FRAME_COUNTERS, "what counts is overwritten");

/* dst = *(size *)(base + off) of kernel memory */
static void read_at(struct bf_asm *a, int size, int dst, int base, int off)
{
	bf_raw(a, base, off);
	bf_raw_ldx(a, size, dst, 0);
}

/* To @up unless the interface r8 forwards and the packet may go on; ARG_WHOLE. Clobbers r0 to r5. */
static void emit_may_forward(struct bf_asm *a, int up)
{
	const struct bf_kernel *k = a->kernel;

	read_at(a, BPF_DW, BPF_REG_1, BPF_REG_8, k->dev_ip_ptr);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, up);
	/* IPV4_DEVCONF_FORWARDING is 1, the first. */
	read_at(a, BPF_W, BPF_REG_1, BPF_REG_1, k->in_device_cnf + k->devconf_data);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, up);
	bf_ldx(a, BPF_DW, BPF_REG_3, BPF_REG_6, BF_FRAME_SKB);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_3, offsetof(struct xdp_md, data));
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_3, offsetof(struct xdp_md, data_end));
	bf_mov(a, BPF_REG_2, BPF_REG_1);
	bf_alui(a, BPF_ADD, BPF_REG_2, ETH_HLEN + sizeof(struct iphdr));
	bf_jif(a, BPF_JGT, BPF_REG_2, BPF_REG_3, up);
	bf_ldx(a, BPF_B, BPF_REG_2, BPF_REG_1, ETH_HLEN + offsetof(struct iphdr, ttl));
	bf_jifi(a, BPF_JLE, BPF_REG_2, 1, up);
	bf_ldx(a, BPF_H, BPF_REG_2, BPF_REG_1, ETH_HLEN + offsetof(struct iphdr, frag_off));
	bf_alui(a, BPF_AND, BPF_REG_2, htons(0x4000));
	bf_stx(a, BPF_W, BPF_REG_6, ARGUMENTS + ARG_WHOLE, BPF_REG_2);
}

/* key[BF_OIF] = the name of the interface ARG_OUT. */
static void emit_out_name(struct bf_asm *a, const struct bf_program *p)
{
	if (!(p->fields & BF_NAME_FIELDS(BF_OIF)))
		return;
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_6, ARGUMENTS + ARG_OUT);
	bf_raw(a, BPF_REG_1, a->kernel->dev_name);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_stx(a, BPF_DW, BPF_REG_6, BF_KEY(BF_OIF), BPF_REG_1);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 8);
	bf_stx(a, BPF_DW, BPF_REG_6, BF_KEY(BF_OIF) + 8, BPF_REG_1);
}

void bf_emit_forward(struct bf_asm *a, const struct bf_program *p, int up)
{
	emit_may_forward(a, up);
	bf_stx(a, BPF_DW, BPF_REG_6, ARGUMENTS + ARG_NET, BPF_REG_9);
	bf_stx(a, BPF_DW, BPF_REG_6, ARGUMENTS + ARG_DEV, BPF_REG_8);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_KEY(BF_DADDR));
	bf_stx(a, BPF_W, BPF_REG_6, ARGUMENTS + ARG_KEY, BPF_REG_1);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_KEY(BF_LEN));
	bf_stx(a, BPF_W, BPF_REG_6, ARGUMENTS + ARG_LEN, BPF_REG_1);
	bf_mov(a, BPF_REG_1, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_1, ARGUMENTS);
	bf_movi(a, BPF_REG_2, 0);
	bf_call(a, a->forward);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, up);
	emit_out_name(a, p);
}

/* r8 = the fib_info of the route that the walk has found, r9 = its one next hop, which may be an object of its own; to @no if that is not all. Clobbers r0 to r5. */
static void emit_next_hop(struct bf_asm *a, int no)
{
	const struct bf_kernel *k = a->kernel;
	int object = bf_asm_label(a), found = bf_asm_label(a);

	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_10, BF_FIB_BASE + BF_FIB_NODE);
	read_at(a, BPF_DW, BPF_REG_8, BPF_REG_1, (int)k->fa_info - (int)k->fa_list);
	bf_jifi(a, BPF_JEQ, BPF_REG_8, 0, no);
	read_at(a, BPF_DW, BPF_REG_9, BPF_REG_8, k->fib_nexthop);
	bf_jifi(a, BPF_JNE, BPF_REG_9, 0, object);
	read_at(a, BPF_W, BPF_REG_1, BPF_REG_8, k->fib_nhs);
	bf_jif32i(a, BPF_JNE, BPF_REG_1, 1, no);
	bf_mov(a, BPF_REG_9, BPF_REG_8);
	bf_alui(a, BPF_ADD, BPF_REG_9, k->fib_nh);
	bf_jmp(a, found);
	bf_asm_here(a, object);
	read_at(a, BPF_B, BPF_REG_1, BPF_REG_9, k->nexthop_is_group);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, no);
	read_at(a, BPF_DW, BPF_REG_9, BPF_REG_9, k->nexthop_info);
	read_at(a, BPF_B, BPF_REG_1, BPF_REG_9, k->nh_info_reject_nh);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, no);
	bf_alui(a, BPF_ADD, BPF_REG_9, k->nh_info_nhc);
	bf_asm_here(a, found);
	read_at(a, BPF_DW, BPF_REG_1, BPF_REG_9, k->nhc_lwtstate);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, no);
}

/*
 * To @no unless the packet is short enough by all that may be said of it. r7 is the arguments, r8 and r9 as above.
 *
 *	metrics = fi->fib_metrics->metrics;
 *	if (metrics[RTAX_MTU - 1] || metrics[RTAX_LOCK - 1] || net->ipv4.sysctl_ip_fwd_use_pmtu)
 *		goto no;
 *	if (nhc->nhc_exceptions && whole && len > MIN_MTU)
 *		goto no;
 */
static void emit_route_mtu(struct bf_asm *a, int no)
{
	const struct bf_kernel *k = a->kernel;
	int short_enough = bf_asm_label(a);

	read_at(a, BPF_DW, BPF_REG_1, BPF_REG_8, k->fib_metrics);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, no);
	bf_raw(a, BPF_REG_1, k->metrics_list);
	bf_raw_ldx(a, BPF_W, BPF_REG_1, 4 * (RTAX_MTU - 1));
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, no);
	bf_raw_ldx(a, BPF_W, BPF_REG_1, 4 * (RTAX_LOCK - 1));
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, no);
	bf_ldx(a, BPF_DW, BPF_REG_8, BPF_REG_7, ARG_NET);
	read_at(a, BPF_B, BPF_REG_1, BPF_REG_8, k->net_use_pmtu);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, no);
	read_at(a, BPF_DW, BPF_REG_1, BPF_REG_9, k->nhc_exceptions);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, short_enough);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, ARG_WHOLE);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, short_enough);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, ARG_LEN);
	bf_jifi(a, BPF_JGT, BPF_REG_1, MIN_MTU, no);
	bf_asm_here(a, short_enough);
}

/* The interface that it leaves by, to ARG_OUT; to @no if that has no IP, or takes no such packet. r7 and r9 as above; clobbers r8. */
static void emit_out(struct bf_asm *a, int no)
{
	const struct bf_kernel *k = a->kernel;

	read_at(a, BPF_DW, BPF_REG_8, BPF_REG_9, k->nhc_dev);
	bf_jifi(a, BPF_JEQ, BPF_REG_8, 0, no);
	bf_stx(a, BPF_DW, BPF_REG_7, ARG_OUT, BPF_REG_8);
	read_at(a, BPF_DW, BPF_REG_1, BPF_REG_8, k->dev_ip_ptr);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, no);
	read_at(a, BPF_W, BPF_REG_1, BPF_REG_8, k->dev_mtu);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_7, ARG_LEN);
	bf_jif(a, BPF_JGT, BPF_REG_2, BPF_REG_1, no);
}

/* int forwards(arguments *): 1, with ARG_OUT, or 0 */
void bf_emit_forward_function(struct bf_asm *a, int walk)
{
	int no = bf_asm_label(a);

	bf_global_function(a, a->forward);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, no);
	bf_mov(a, BPF_REG_9, BPF_REG_1);
	bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_9, ARG_NET);
	bf_stx(a, BPF_DW, BPF_REG_10, BF_FIB_BASE + BF_FIB_NET, BPF_REG_2);
	bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_9, ARG_DEV);
	bf_stx(a, BPF_DW, BPF_REG_10, BF_FIB_BASE + BF_FIB_DEV, BPF_REG_2);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_9, ARG_KEY);
	bf_stx(a, BPF_W, BPF_REG_10, BF_FIB_BASE + BF_FIB_KEY, BPF_REG_2);
	bf_fib_walk_back(a, walk, no);
	bf_mov(a, BPF_REG_7, BPF_REG_9);
	/* One by the interface that it came by would have BF_FIB_BY_DEV. */
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_10, BF_FIB_BASE + BF_FIB_TYPE);
	bf_jifi(a, BPF_JNE, BPF_REG_1, RTN_UNICAST, no);
	emit_next_hop(a, no);
	emit_route_mtu(a, no);
	emit_out(a, no);
	bf_movi(a, BPF_REG_0, 1);
	bf_exit(a);
	bf_asm_here(a, no);
	bf_movi(a, BPF_REG_0, 0);
	bf_exit(a);
}

void bf_emit_ipsec(struct bf_asm *a, int ipsec)
{
	static const int directions[] = {XFRM_POLICY_OUT, XFRM_POLICY_FWD};
	const struct bf_kernel *k = a->kernel;
	unsigned int i;

	for (i = 0; k->net_xfrm_count && i < ARRAY_SIZE(directions); i++) {
		read_at(a, BPF_W, BPF_REG_1, BPF_REG_9, k->net_xfrm_count + 4 * directions[i]);
		bf_jifi(a, BPF_JNE, BPF_REG_1, 0, ipsec);
		read_at(a, BPF_B, BPF_REG_1, BPF_REG_9, k->net_xfrm_default + directions[i]);
		bf_jifi(a, BPF_JNE, BPF_REG_1, XFRM_USERPOLICY_ACCEPT, ipsec);
	}
}

void bf_emit_sk_lookup(struct bf_asm *a, int helper)
{
	static const struct {
		enum bf_field field;
		int bits, size;
	} tuple[] = {{BF_SADDR, 32, BPF_W},
		     {BF_DADDR, 32, BPF_W},
		     {BF_SPORT, 16, BPF_H},
		     {BF_DPORT, 16, BPF_H}};
	int at = BF_FRAME_BUF;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(tuple); i++) {
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_KEY(tuple[i].field));
		bf_be(a, BPF_REG_1, tuple[i].bits);
		bf_stx(a, tuple[i].size, BPF_REG_6, at, BPF_REG_1);
		at += tuple[i].bits / 8;
	}
	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_mov(a, BPF_REG_2, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_2, BF_FRAME_BUF);
	bf_movi(a, BPF_REG_3, sizeof(((struct bpf_sock_tuple *)0)->ipv4));
	bf_movi(a, BPF_REG_4, BPF_F_CURRENT_NETNS);
	bf_movi(a, BPF_REG_5, 0);
	bf_helper(a, helper);
}

void bf_emit_sk_release(struct bf_asm *a)
{
	bf_mov(a, BPF_REG_1, BPF_REG_0);
	bf_helper(a, BPF_FUNC_sk_release);
}

void bf_emit_socket(struct bf_asm *a, int up)
{
	int tcp = bf_asm_label(a), none = bf_asm_label(a);

	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_KEY(BF_PROTO));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, IPPROTO_TCP, tcp);
	bf_jifi(a, BPF_JNE, BPF_REG_1, IPPROTO_UDP, none);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_KEY(BF_L4LEN));
	bf_jifi(a, BPF_JLT, BPF_REG_1, 8, none);
	bf_emit_sk_lookup(a, BPF_FUNC_sk_lookup_udp);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, none);
	bf_emit_sk_release(a);
	bf_jmp(a, up);

	/* One that listens is not given the packet yet. */
	bf_asm_here(a, tcp);
	bf_emit_sk_lookup(a, BPF_FUNC_skc_lookup_tcp);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, none);
	bf_ldx(a, BPF_W, BPF_REG_9, BPF_REG_0, offsetof(struct bpf_sock, state));
	bf_emit_sk_release(a);
	bf_jifi(a, BPF_JNE, BPF_REG_9, BPF_TCP_LISTEN, up);
	bf_asm_here(a, none);
}
