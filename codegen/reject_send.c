// SPDX-License-Identifier: GPL-2.0
/*
 * How the replies of REJECT leave: from which address, by which interface, and how the packet at hand becomes one.
 *
 * tc: bpf_redirect_neigh() asks the neighbour for its address, and gives the packet a route, so that the loopback takes
 * replies to the machine itself. XDP: back by the interface with the FIB's addresses or those of the frame turned round, or
 * to another one if the FIB knows all it takes.
 */
#include <linux/in.h>
#include <linux/netfilter.h>
#include <linux/rtnetlink.h>
#include <stddef.h>

#include "key_packet.h"
#include "reject.h"

#define FIB(member)  (BF_REJECT_FIB + (int)offsetof(struct bpf_fib_lookup, member))
#define SKB(member)  ((int)offsetof(struct __sk_buff, member))
#define IP_SADDR     (BF_REJECT_IP + 12)
#define IP_DADDR     (BF_REJECT_IP + 16)
#define QUOTED_TTL   8 /* and protocol and checksum: 4 bytes */
#define ETHER_HEADER 14

/* The longest that fits is cut by no less than this, so that what is left of it is an IP header. */
#define LEAST 96

/* BPF_FIB_LOOKUP_SRC, Linux 6.7, which stable kernels before it have got as well: not in all headers */
#define FIB_LOOKUP_SRC 0x10

/* FIB_ADDRESSES: in family, which is 2 before: the FIB has said both addresses of the link. */
#define FIB_KNOWS 3

/* Ask how to get to who is answered. r0 is the answer, r9 the flags. */
static void ask_fib(struct bf_reject *r)
{
	struct bf_asm *a = r->a;
	int known = bf_asm_label(a);
	unsigned int off;

	for (off = 0; off < sizeof(struct bpf_fib_lookup); off += 8)
		bf_sti(a, BPF_DW, BPF_REG_6, BF_REJECT_FIB + off, 0);
	bf_sti(a, BPF_B, BPF_REG_6, FIB(family), 2);
	bf_reject_get(r, BPF_REG_1, BF_REJECT_IFINDEX);
	bf_reject_set(r, FIB(ifindex), BPF_REG_1);
	bf_reject_get(r, BPF_REG_1, IP_SADDR);
	bf_reject_set(r, FIB(ipv4_dst), BPF_REG_1);
	/* What forwards or sends answers by itself, but resets are sent in the name of who was asked. */
	bf_movi(a, BPF_REG_9, 0);
	bf_reject_get(r, BPF_REG_1, IP_DADDR);
	bf_sti(a, BPF_B, BPF_REG_6, FIB(l4_protocol), IPPROTO_TCP);
	bf_reject_get(r, BPF_REG_2, BF_REJECT_CODE);
	bf_jifi(a, BPF_JEQ, BPF_REG_2, BF_REJECT_RESET, known);
	bf_sti(a, BPF_B, BPF_REG_6, FIB(l4_protocol), IPPROTO_ICMP);
	bf_reject_get(r, BPF_REG_2, BF_KEY(BF_HOOK));
	bf_jifi(a, BPF_JEQ, BPF_REG_2, NF_INET_LOCAL_IN, known);
	bf_movi(a, BPF_REG_1, 0);
	bf_movi(a, BPF_REG_9, FIB_LOOKUP_SRC);
	bf_asm_here(a, known);
	bf_reject_set(r, FIB(ipv4_src), BPF_REG_1);
	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_mov(a, BPF_REG_2, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_2, BF_REJECT_FIB);
	bf_movi(a, BPF_REG_3, sizeof(struct bpf_fib_lookup));
	bf_mov(a, BPF_REG_4, BPF_REG_9);
	bf_helper(a, BPF_FUNC_fib_lookup);
}

/*
 * What a machine sends itself is answered by the loopback, as it would be; errors come from the address that was asked there, else
 * from the sender's own.
 */
static void own_route(struct bf_reject *r, int done)
{
	struct bf_asm *a = r->a;
	int named = bf_asm_label(a);

	bf_reject_get(r, BPF_REG_1, IP_DADDR);
	bf_reject_get(r, BPF_REG_2, BF_REJECT_CODE);
	bf_jifi(a, BPF_JEQ, BPF_REG_2, BF_REJECT_RESET, named);
	bf_reject_get(r, BPF_REG_2, BF_REJECT_IFINDEX);
	bf_jifi(a, BPF_JEQ, BPF_REG_2, BF_LOOPBACK, named);
	bf_reject_get(r, BPF_REG_1, IP_SADDR);
	bf_asm_here(a, named);
	bf_reject_set(r, BF_REJECT_SOURCE, BPF_REG_1);
	bf_movi(a, BPF_REG_1, BF_LOOPBACK);
	bf_reject_set(r, BF_REJECT_IFINDEX, BPF_REG_1);
	bf_jmp(a, done);
}

/* The interface that the packet came by does not forward: the FIB says nothing then, and the reply goes back by it. */
static void route_back(struct bf_reject *r, int done)
{
	struct bf_asm *a = r->a;

	bf_jifi(a, BPF_JNE, BPF_REG_9, 0, r->lost);
	bf_reject_get(r, BPF_REG_1, IP_DADDR);
	bf_reject_set(r, BF_REJECT_SOURCE, BPF_REG_1);
	bf_jmp(a, done);
}

void bf_emit_reply_route(struct bf_reject *r)
{
	struct bf_asm *a = r->a;
	int own = bf_asm_label(a), back = bf_asm_label(a), out = bf_asm_label(a);
	int missing = bf_asm_label(a), received = bf_asm_label(a), sent = bf_asm_label(a),
	    done = bf_asm_label(a);

	bf_sti(a, BPF_B, BPF_REG_6, FIB(family), 0);
	bf_reject_get(r, BPF_REG_1, BF_REJECT_IFINDEX);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_LOOPBACK, own);
	ask_fib(r);
	/* What the machine sends has an address of its own, if the FIB does not say otherwise. */
	bf_reject_get(r, BPF_REG_1, BF_KEY(BF_HOOK));
	bf_jifi(a, BPF_JNE, BPF_REG_1, NF_INET_LOCAL_OUT, received);
	bf_jifi(a, BPF_JSLT, BPF_REG_0, 0, sent);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, BPF_FIB_LKUP_RET_NOT_FWDED, sent);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, BPF_FIB_LKUP_RET_FWD_DISABLED, sent);
	bf_asm_here(a, received);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, BPF_FIB_LKUP_RET_FWD_DISABLED, back);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, BPF_FIB_LKUP_RET_NO_NEIGH, missing);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, BPF_FIB_LKUP_RET_FRAG_NEEDED, out);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, BPF_FIB_LKUP_RET_SUCCESS, out);
	/* A kernel that cannot be asked for the address, and routes that are not understood. */
	bf_jifi(a, BPF_JSLT, BPF_REG_0, 0, r->lost);
	bf_jifi(a, BPF_JGT, BPF_REG_0, BPF_FIB_LKUP_RET_FWD_DISABLED, r->lost);
	bf_jmp(a, r->silent);

	bf_asm_here(a, out);
	bf_sti(a, BPF_B, BPF_REG_6, FIB(family), FIB_KNOWS);
	bf_asm_here(a, missing);
	bf_reject_get(r, BPF_REG_1, FIB(ipv4_src));
	bf_reject_set(r, BF_REJECT_SOURCE, BPF_REG_1);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, r->lost);
	bf_reject_get(r, BPF_REG_1, FIB(ifindex));
	bf_reject_set(r, BF_REJECT_IFINDEX, BPF_REG_1);
	bf_jmp(a, done);
	bf_asm_here(a, back);
	route_back(r, done);
	bf_asm_here(a, sent);
	if (bf_reject_has_types(r)) {
		bf_reject_type(r, BF_SADDR);
		bf_jifi(a, BPF_JNE, BPF_REG_0, RTN_LOCAL, r->lost);
	}
	bf_asm_here(a, own);
	own_route(r, done);
	bf_asm_here(a, done);
}

/* --- tc --------------------------------------------------------------------------------------- */

/* Bytes of the frame @from become the packet's at offset r2; the length is in r4. */
static void write_skb(struct bf_reject *r, int from)
{
	struct bf_asm *a = r->a;

	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_mov(a, BPF_REG_3, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_3, from);
	bf_movi(a, BPF_REG_5, BPF_F_RECOMPUTE_CSUM);
	bf_helper(a, BPF_FUNC_skb_store_bytes);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, r->lost);
}

/* The packet ends r2 bytes behind its IP header's begin. */
static void cut_to(struct bf_reject *r)
{
	struct bf_asm *a = r->a;

	bf_reject_get(r, BPF_REG_1, BF_REJECT_L2);
	bf_alu(a, BPF_ADD, BPF_REG_2, BPF_REG_1);
	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_movi(a, BPF_REG_3, 0);
	bf_helper(a, BPF_FUNC_skb_change_tail);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, r->lost);
}

/* r2 bytes are made in front of the IP header, or less than 0 taken away. */
static void make_room(struct bf_reject *r)
{
	struct bf_asm *a = r->a;

	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_movi(a, BPF_REG_3, BPF_ADJ_ROOM_MAC);
	bf_movi(a, BPF_REG_4, 0);
	bf_helper(a, BPF_FUNC_skb_adjust_room);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, r->lost);
}

/*
 * What is quoted stays where it is, and room for the reply's headers is made in front of it. Where the checksum of TCP or
 * UDP was put off, the kernel would complete it later, in the midst of the reply: it does not if the place where that sum
 * begins has been taken away. So that is done first, and put back.
 */
static void make_reply(struct bf_reject *r)
{
	struct bf_asm *a = r->a;
	int most = bf_asm_label(a), least = bf_asm_label(a);
	int icmp = bf_asm_label(a), head = bf_asm_label(a), done = bf_asm_label(a);

	/* It is one piece, and no longer many packets, after that. */
	bf_reject_get(r, BPF_REG_2, BF_KEY(BF_LEN));
	bf_jifi(a, BPF_JLE, BPF_REG_2, BF_QUOTE_MAX, most);
	bf_movi(a, BPF_REG_2, BF_QUOTE_MAX);
	bf_asm_here(a, most);
	bf_jifi(a, BPF_JGE, BPF_REG_2, LEAST, least);
	bf_movi(a, BPF_REG_2, LEAST);
	bf_asm_here(a, least);
	cut_to(r);
	bf_reject_get(r, BPF_REG_2, BF_REJECT_L2);
	bf_reject_load(r, BF_REJECT_SAVED, BF_REJECT_CUT);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, r->lost);
	bf_reject_get(r, BPF_REG_1, BF_REJECT_IP + QUOTED_TTL);
	bf_reject_set(r, BF_REJECT_SAVED + QUOTED_TTL, BPF_REG_1);
	bf_movi(a, BPF_REG_2, -BF_REJECT_CUT);
	make_room(r);

	bf_reject_get(r, BPF_REG_1, BF_REJECT_CODE);
	bf_jifi(a, BPF_JNE, BPF_REG_1, BF_REJECT_RESET, icmp);
	bf_movi(a, BPF_REG_2, BF_REJECT_CUT);
	make_room(r);
	bf_movi(a, BPF_REG_4, BF_RESET_BYTES);
	bf_jmp(a, head);
	bf_asm_here(a, icmp);
	bf_movi(a, BPF_REG_2, BF_REJECT_CUT + BF_ICMP_BYTES);
	make_room(r);
	bf_reject_get(r, BPF_REG_2, BF_REJECT_L2);
	bf_alui(a, BPF_ADD, BPF_REG_2, BF_ICMP_BYTES);
	bf_movi(a, BPF_REG_4, BF_REJECT_CUT);
	write_skb(r, BF_REJECT_SAVED);
	bf_movi(a, BPF_REG_4, BF_ICMP_BYTES);
	bf_asm_here(a, head);
	bf_reject_get(r, BPF_REG_2, BF_REJECT_L2);
	write_skb(r, BF_REJECT_REPLY);
	bf_reject_get(r, BPF_REG_2, BF_REJECT_TOTAL);
	cut_to(r);
	bf_asm_here(a, done);
}

/* The priority tag of what came is not the reply's. It needs a header of a link, which it then gets from the neighbour. */
static void send_tc(struct bf_reject *r)
{
	struct bf_asm *a = r->a;
	int untagged = bf_asm_label(a), linked = bf_asm_label(a);

	make_reply(r);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, SKB(vlan_present));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, untagged);
	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_helper(a, BPF_FUNC_skb_vlan_pop);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, r->lost);
	bf_asm_here(a, untagged);
	bf_reject_get(r, BPF_REG_1, BF_REJECT_L2);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, linked);
	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_movi(a, BPF_REG_2, ETHER_HEADER);
	bf_movi(a, BPF_REG_3, 0);
	bf_helper(a, BPF_FUNC_skb_change_head);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, r->lost);
	bf_asm_here(a, linked);
	/* Whatever the packet has been through, the reply has not. */
	bf_movi(a, BPF_REG_1, 0);
	bf_stx(a, BPF_W, BPF_REG_7, SKB(tc_index), BPF_REG_1);
	bf_reject_get(r, BPF_REG_1, BF_REJECT_IFINDEX);
	bf_movi(a, BPF_REG_2, 0);
	bf_movi(a, BPF_REG_3, 0);
	bf_movi(a, BPF_REG_4, 0);
	bf_helper(a, BPF_FUNC_redirect_neigh);
	bf_exit(a);
}

/* --- XDP -------------------------------------------------------------------------------------- */

/* r0 = @helper(ctx, r2); to @lost if it fails */
static void adjust(struct bf_reject *r, int helper)
{
	bf_mov(r->a, BPF_REG_1, BPF_REG_7);
	bf_helper(r->a, helper);
	bf_jifi(r->a, BPF_JNE, BPF_REG_0, 0, r->lost);
}

/* Bytes of the frame @from become those at @to, which is a constant, of what XDP has; the length is in r4. */
static void write_xdp(struct bf_reject *r, int to, int from)
{
	struct bf_asm *a = r->a;

	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_movi(a, BPF_REG_2, to);
	bf_mov(a, BPF_REG_3, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_3, from);
	bf_helper(a, BPF_FUNC_xdp_store_bytes);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, r->lost);
}

static void copy_halves(struct bf_reject *r, int to, int from, int len)
{
	int i;

	for (i = 0; i < len; i += 2) {
		bf_ldx(r->a, BPF_H, BPF_REG_1, BPF_REG_6, from + i);
		bf_stx(r->a, BPF_H, BPF_REG_6, to + i, BPF_REG_1);
	}
}

/*
 * The addresses of the link: the FIB's; if it does not know them, and the reply goes back by the same interface, those of the
 * frame. No tag. A neighbour without an address is behind a link without headers (tun), which takes no frame.
 */
static void link_header(struct bf_reject *r)
{
	struct bf_asm *a = r->a;
	int turn = bf_asm_label(a), known = bf_asm_label(a), done = bf_asm_label(a);

	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_7, offsetof(struct xdp_md, ingress_ifindex));
	bf_reject_get(r, BPF_REG_4, BF_REJECT_IFINDEX);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, FIB(family));
	bf_jifi(a, BPF_JNE, BPF_REG_1, FIB_KNOWS, turn);
	bf_jif(a, BPF_JEQ, BPF_REG_3, BPF_REG_4, known);
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_6, FIB(dmac));
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, FIB(dmac) + 2);
	bf_alu(a, BPF_OR, BPF_REG_1, BPF_REG_2);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, r->lost);
	bf_asm_here(a, known);
	copy_halves(r, BF_REJECT_ETHER, FIB(dmac), 6);
	copy_halves(r, BF_REJECT_ETHER + 6, FIB(smac), 6);
	bf_jmp(a, done);
	bf_asm_here(a, turn);
	bf_jif(a, BPF_JNE, BPF_REG_3, BPF_REG_4, r->lost);
	copy_halves(r, FIB(dmac), BF_REJECT_ETHER + 6, 6);
	copy_halves(r, BF_REJECT_ETHER + 6, BF_REJECT_ETHER, 6);
	copy_halves(r, BF_REJECT_ETHER, FIB(dmac), 6);
	bf_asm_here(a, done);
	bf_sti(a, BPF_B, BPF_REG_6, BF_REJECT_ETHER + 12, 0x08);
	bf_sti(a, BPF_B, BPF_REG_6, BF_REJECT_ETHER + 13, 0x00);
}

/* The frame begins so far in front of what it quotes, or of where it was, and ends with the reply. */
static void resize(struct bf_reject *r)
{
	struct bf_asm *a = r->a;
	int reset = bf_asm_label(a);

	bf_reject_get(r, BPF_REG_2, BF_REJECT_L2);
	bf_alui(a, BPF_SUB, BPF_REG_2, ETHER_HEADER);
	bf_reject_get(r, BPF_REG_1, BF_REJECT_CODE);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_REJECT_RESET, reset);
	bf_alui(a, BPF_SUB, BPF_REG_2, BF_ICMP_BYTES);
	bf_asm_here(a, reset);
	adjust(r, BPF_FUNC_xdp_adjust_head);
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_7, offsetof(struct xdp_md, data_end));
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, offsetof(struct xdp_md, data));
	bf_alu(a, BPF_SUB, BPF_REG_3, BPF_REG_1);
	bf_reject_get(r, BPF_REG_2, BF_REJECT_TOTAL);
	bf_alui(a, BPF_ADD, BPF_REG_2, ETHER_HEADER);
	bf_alu(a, BPF_SUB, BPF_REG_2, BPF_REG_3);
	adjust(r, BPF_FUNC_xdp_adjust_tail);
}

static void send_xdp(struct bf_reject *r)
{
	struct bf_asm *a = r->a;
	int icmp = bf_asm_label(a), head = bf_asm_label(a), back = bf_asm_label(a);

	link_header(r);
	resize(r);
	bf_movi(a, BPF_REG_4, ETHER_HEADER);
	write_xdp(r, 0, BF_REJECT_ETHER);
	bf_reject_get(r, BPF_REG_1, BF_REJECT_CODE);
	bf_jifi(a, BPF_JNE, BPF_REG_1, BF_REJECT_RESET, icmp);
	bf_movi(a, BPF_REG_4, BF_RESET_BYTES);
	bf_jmp(a, head);
	bf_asm_here(a, icmp);
	bf_movi(a, BPF_REG_4, 4);
	write_xdp(r, ETHER_HEADER + BF_ICMP_BYTES + QUOTED_TTL, BF_REJECT_IP + QUOTED_TTL);
	bf_movi(a, BPF_REG_4, BF_ICMP_BYTES);
	bf_asm_here(a, head);
	write_xdp(r, ETHER_HEADER, BF_REJECT_REPLY);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, offsetof(struct xdp_md, ingress_ifindex));
	bf_reject_get(r, BPF_REG_2, BF_REJECT_IFINDEX);
	bf_jif(a, BPF_JEQ, BPF_REG_1, BPF_REG_2, back);
	bf_mov(a, BPF_REG_1, BPF_REG_2);
	bf_movi(a, BPF_REG_2, 0);
	bf_helper(a, BPF_FUNC_redirect);
	bf_exit(a);
	bf_asm_here(a, back);
	bf_movi(a, BPF_REG_0, XDP_TX);
	bf_exit(a);
}

void bf_emit_reply_send(struct bf_reject *r)
{
	if (bf_reject_at_tc(r))
		send_tc(r);
	else
		send_xdp(r);
}
