// SPDX-License-Identifier: GPL-2.0
/*
 * REJECT at interfaces: what is answered. See reject.h.
 *
 * Whatever becomes of the reply, the packet is dropped, and was counted by its rule before.
 */
#include <arpa/inet.h>
#include <linux/icmp.h>
#include <linux/in.h>
#include <linux/netfilter.h>
#include <linux/rtnetlink.h>

#include "fib.h"
#include "key_packet.h"
#include "reject.h"

/* Of struct iphdr, at BF_REJECT_IP, and what is behind it. */
#define IP(off)	 (BF_REJECT_IP + (off))
#define L4(off)	 (BF_REJECT_IP + 20 + (off))
#define IP_FRAG	 IP(6)
#define IP_SADDR IP(12)
#define IP_DADDR IP(16)

#define IP_HEADER  20
#define TCP_HEADER 20
#define TCP_RST	   0x04

/* What hosts ask each other by ICMP; all else icmp_send() takes for an error, of which there is no error. */
#define ICMP_QUERIES                                                                               \
	(1U << ICMP_ECHOREPLY | 1U << ICMP_ECHO | 1U << ICMP_TIMESTAMP |                           \
	 1U << ICMP_TIMESTAMPREPLY | 1U << ICMP_INFO_REQUEST | 1U << ICMP_INFO_REPLY |             \
	 1U << ICMP_ADDRESS | 1U << ICMP_ADDRESSREPLY)

void bf_reject_load(struct bf_reject *r, int to, uint32_t len)
{
	struct bf_asm *a = r->a;

	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_mov(a, BPF_REG_3, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_3, to);
	bf_movi(a, BPF_REG_4, len);
	bf_helper(a, bf_reject_at_tc(r) ? BPF_FUNC_skb_load_bytes : BPF_FUNC_xdp_load_bytes);
}

void bf_reject_fold(struct bf_asm *a, int reg, int tmp)
{
	int i;

	/* 64 bits to 33, to 18, to 17, to 16 */
	bf_mov(a, tmp, reg);
	bf_alui(a, BPF_RSH, tmp, 32);
	bf_alu32(a, BPF_MOV, reg, reg);
	bf_alu(a, BPF_ADD, reg, tmp);
	for (i = 0; i < 3; i++) {
		bf_mov(a, tmp, reg);
		bf_alui(a, BPF_RSH, tmp, 16);
		bf_alui(a, BPF_AND, reg, 0xffff);
		bf_alu(a, BPF_ADD, reg, tmp);
	}
}

/*
 * Where the IP header is: behind an Ethernet header, or at tc also at the very beginning, or for XDP behind a tag of
 * VLAN 0. That it is the right place its addresses tell.
 */
static void find_header(struct bf_reject *r)
{
	const int places[] = {14, bf_reject_at_tc(r) ? 0 : 18};
	struct bf_asm *a = r->a;
	int found = bf_asm_label(a);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(places); i++) {
		int next = bf_asm_label(a);

		bf_movi(a, BPF_REG_2, places[i]);
		bf_reject_set(r, BF_REJECT_L2, BPF_REG_2);
		bf_reject_load(r, BF_REJECT_IP, IP_HEADER);
		bf_jifi(a, BPF_JNE, BPF_REG_0, 0, next);
		bf_reject_get(r, BPF_REG_1, IP_SADDR);
		bf_be(a, BPF_REG_1, 32);
		bf_reject_get(r, BPF_REG_2, BF_KEY(BF_SADDR));
		bf_jif(a, BPF_JNE, BPF_REG_1, BPF_REG_2, next);
		bf_reject_get(r, BPF_REG_1, IP_DADDR);
		bf_be(a, BPF_REG_1, 32);
		bf_reject_get(r, BPF_REG_2, BF_KEY(BF_DADDR));
		bf_jif(a, BPF_JEQ, BPF_REG_1, BPF_REG_2, found);
		bf_asm_here(a, next);
	}
	bf_jmp(a, r->lost);
	bf_asm_here(a, found);
}

/* The first bytes behind it: 20, or 8, or 4, or 1, as many of these as the packet has, and zeroes; and of the frame. */
static void read_headers(struct bf_reject *r)
{
	static const uint32_t lengths[] = {20, 8, 4, 1};
	struct bf_asm *a = r->a;
	int done = bf_asm_label(a);
	unsigned int i;

	find_header(r);
	for (i = 0; i < 20; i += 4)
		bf_sti(a, BPF_W, BPF_REG_6, L4(i), 0);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		int shorter = bf_asm_label(a);

		bf_reject_get(r, BPF_REG_1, BF_KEY(BF_L4LEN));
		bf_jifi(a, BPF_JLT, BPF_REG_1, lengths[i], shorter);
		bf_reject_get(r, BPF_REG_2, BF_REJECT_L2);
		bf_alui(a, BPF_ADD, BPF_REG_2, IP_HEADER);
		bf_reject_load(r, L4(0), lengths[i]);
		bf_jifi(a, BPF_JNE, BPF_REG_0, 0, r->lost);
		bf_jmp(a, done);
		bf_asm_here(a, shorter);
	}
	bf_asm_here(a, done);
	bf_movi(a, BPF_REG_2, 0);
	bf_reject_load(r, BF_REJECT_ETHER, 14);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, r->lost);
}

/*
 * Replies are sent to one host, about what was sent to one. Sources that the stack would not have let come so far
 * are not answered either: who knows where that would go.
 */
static void check_addresses(struct bf_reject *r)
{
	struct bf_asm *a = r->a;
	int bare = bf_asm_label(a), own = bf_asm_label(a);

	bf_reject_get(r, BPF_REG_1, BF_REJECT_L2);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, bare);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, BF_REJECT_ETHER);
	bf_alui(a, BPF_AND, BPF_REG_1, 1);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, r->silent);
	bf_asm_here(a, bare);
	/* class D, class E and the broadcast are above 0xe0000000; class E is somebody's address today */
	bf_reject_get(r, BPF_REG_1, BF_KEY(BF_DADDR));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, r->silent);
	bf_jif32i(a, BPF_JEQ, BPF_REG_1, UINT32_MAX, r->silent);
	bf_alui(a, BPF_RSH, BPF_REG_1, 28);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 14, r->silent);
	bf_reject_get(r, BPF_REG_1, BF_KEY(BF_SADDR));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, r->silent);
	bf_jif32i(a, BPF_JEQ, BPF_REG_1, UINT32_MAX, r->silent);
	bf_mov(a, BPF_REG_2, BPF_REG_1);
	bf_alui(a, BPF_RSH, BPF_REG_1, 28);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 14, r->silent);
	bf_alui(a, BPF_RSH, BPF_REG_2, 24);
	bf_jifi(a, BPF_JNE, BPF_REG_2, IN_LOOPBACKNET, own);
	bf_reject_get(r, BPF_REG_1, BF_REJECT_IFINDEX);
	bf_jifi(a, BPF_JNE, BPF_REG_1, BF_LOOPBACK, r->silent);
	bf_asm_here(a, own);
}

void bf_reject_type(struct bf_reject *r, enum bf_field field)
{
	struct bf_packet_key key = {.a = r->a};
	struct bf_asm *a = r->a;

	bf_emit_dev(&key);
	bf_raw(a, BPF_REG_1, a->kernel->dev_net);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_reject_get(r, BPF_REG_2, BF_KEY(field));
	bf_call(a, r->type);
}

/* r0 = type of the address r2 in the namespace at r1 */
static void emit_type(struct bf_reject *r)
{
	struct bf_asm *a = r->a;
	int walk = bf_asm_label(a), stuck = bf_asm_label(a);

	bf_function(a, r->type);
	bf_stx(a, BPF_DW, BPF_REG_10, BF_FIB_BASE + BF_FIB_NET, BPF_REG_1);
	bf_stx(a, BPF_W, BPF_REG_10, BF_FIB_BASE + BF_FIB_KEY, BPF_REG_2);
	bf_fib_opaque_zero(a, BPF_REG_2, BPF_REG_1, BPF_REG_3);
	bf_stx(a, BPF_DW, BPF_REG_10, BF_FIB_BASE + BF_FIB_DEV, BPF_REG_2);
	bf_fib_walk(a, walk, stuck);
	bf_ldx(a, BPF_W, BPF_REG_0, BPF_REG_10, BF_FIB_BASE + BF_FIB_TYPE);
	bf_exit(a);
	bf_asm_here(a, stuck);
	bf_movi(a, BPF_REG_0, 0);
	bf_exit(a);
	bf_fib_function(a, walk);
}

/*
 * Broadcasts that the frame does not tell: on the loopback, and on links without addresses. What comes in is INPUT's as
 * well where the stack would discard it: for nobody here, or as from here.
 */
static void check_types(struct bf_reject *r)
{
	struct bf_asm *a = r->a;
	int done = bf_asm_label(a);

	if (!bf_reject_has_types(r))
		return;
	bf_reject_get(r, BPF_REG_1, BF_KEY(BF_HOOK));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, NF_INET_FORWARD, done);
	bf_reject_type(r, BF_DADDR);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, RTN_UNSPEC, r->lost);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, RTN_BROADCAST, r->silent);
	bf_reject_get(r, BPF_REG_1, BF_KEY(BF_HOOK));
	bf_jifi(a, BPF_JNE, BPF_REG_1, NF_INET_LOCAL_IN, done);
	bf_reject_get(r, BPF_REG_1, BF_REJECT_IFINDEX);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_LOOPBACK, done);
	bf_jifi(a, BPF_JNE, BPF_REG_0, RTN_LOCAL, r->silent);
	bf_reject_type(r, BF_SADDR);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, RTN_UNSPEC, r->lost);
	bf_jifi(a, BPF_JNE, BPF_REG_0, RTN_UNICAST, r->silent);
	bf_asm_here(a, done);
}

/*
 * Fragments but the first one are never answered. Where the kernel would have put them together (@whole) nobody knows
 * what was in it; where not it looks at the first one as at any packet, as is done here.
 */
static void check_fragment(struct bf_reject *r)
{
	struct bf_asm *a = r->a;
	int one = bf_asm_label(a);

	bf_reject_get(r, BPF_REG_1, BF_KEY(BF_FRAGOFF));
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, r->silent);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, IP_FRAG);
	bf_alui(a, BPF_AND, BPF_REG_1, 0x20);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, one);
	if (r->rules->scratch.conntrack) {
		bf_jmp(a, r->lost);
	} else {
		bf_reject_get(r, BPF_REG_1, BF_KEY(BF_HOOK));
		bf_jifi(a, BPF_JNE, BPF_REG_1, NF_INET_FORWARD, r->lost);
	}
	bf_asm_here(a, one);
}

/*
 * To @silent with what the kernel itself answers, of ICMP and with the type r1: icmp_send() finds its socket in use. Programs
 * may send the same, but hardly do.
 */
static void check_kernels_own(struct bf_reject *r)
{
	struct bf_asm *a = r->a;
	int sent = bf_asm_label(a), other = bf_asm_label(a);

	if (!bf_reject_at_tc(r))
		return;
	bf_reject_get(r, BPF_REG_2, BF_KEY(BF_HOOK));
	bf_jifi(a, BPF_JNE, BPF_REG_2, NF_INET_LOCAL_OUT, other);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, ICMP_ECHOREPLY, sent);
	bf_jifi(a, BPF_JNE, BPF_REG_1, ICMP_TIMESTAMPREPLY, other);
	bf_asm_here(a, sent);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_7, offsetof(struct __sk_buff, sk));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, r->silent);
	bf_helper(a, BPF_FUNC_sk_fullsock);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, r->silent);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_0, offsetof(struct bpf_sock, protocol));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, IPPROTO_ICMP, r->silent);
	bf_asm_here(a, other);
}

/* No reset for a reset, no error about an error. */
static void check_kind(struct bf_reject *r)
{
	struct bf_asm *a = r->a;
	int icmp = bf_asm_label(a), done = bf_asm_label(a);

	bf_reject_get(r, BPF_REG_1, BF_REJECT_CODE);
	bf_reject_get(r, BPF_REG_2, BF_KEY(BF_PROTO));
	bf_reject_get(r, BPF_REG_3, BF_KEY(BF_L4LEN));
	bf_jifi(a, BPF_JNE, BPF_REG_1, BF_REJECT_RESET, icmp);
	bf_jifi(a, BPF_JNE, BPF_REG_2, IPPROTO_TCP, r->silent);
	bf_jifi(a, BPF_JLT, BPF_REG_3, TCP_HEADER, r->silent);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, L4(13));
	bf_alui(a, BPF_AND, BPF_REG_1, TCP_RST);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, r->silent);
	bf_jmp(a, done);
	bf_asm_here(a, icmp);
	bf_jifi(a, BPF_JNE, BPF_REG_2, IPPROTO_ICMP, done);
	bf_jifi(a, BPF_JEQ, BPF_REG_3, 0, r->silent);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, L4(0));
	bf_jifi(a, BPF_JGT, BPF_REG_1, NR_ICMP_TYPES, r->silent);
	bf_movi(a, BPF_REG_2, ICMP_QUERIES);
	bf_alu(a, BPF_RSH, BPF_REG_2, BPF_REG_1);
	bf_alui(a, BPF_AND, BPF_REG_2, 1);
	bf_jifi(a, BPF_JEQ, BPF_REG_2, 0, r->silent);
	check_kernels_own(r);
	bf_asm_here(a, done);
}

/*
 * The step of a loop: add up another chunk. Registers: r6 the frame, r7 the context, r8 bytes of the chunk.
 *
 *	n = min(end - off, CHUNK);
 *	if (n <= 0)
 *		return 1;
 *	memset(buf, 0, sizeof(buf));
 *	if (load(l2 + 20 + off, buf, n)) {
 *		failed = 1;
 *		return 1;
 *	}
 *	sum = csum_diff(NULL, 0, buf, round_up(n, 4), sum);
 *	off += n;
 */
static void emit_step(struct bf_reject *r)
{
	struct bf_asm *a = r->a;
	int small = bf_asm_label(a), end = bf_asm_label(a), bad = bf_asm_label(a), off;

	bf_function(a, r->step);
	bf_mov(a, BPF_REG_6, BPF_REG_2);
	bf_ldx(a, BPF_DW, BPF_REG_7, BPF_REG_6, BF_FRAME_SKB);
	bf_reject_get(r, BPF_REG_8, BF_REJECT_END);
	bf_reject_get(r, BPF_REG_1, BF_REJECT_OFF);
	bf_alu(a, BPF_SUB, BPF_REG_8, BPF_REG_1);
	bf_jifi(a, BPF_JSLE, BPF_REG_8, 0, end);
	bf_jifi(a, BPF_JLE, BPF_REG_8, BF_REJECT_CHUNK, small);
	bf_movi(a, BPF_REG_8, BF_REJECT_CHUNK);
	bf_asm_here(a, small);
	for (off = 0; off < BF_REJECT_CHUNK; off += 8)
		bf_sti(a, BPF_DW, BPF_REG_6, BF_REJECT_BUF + off, 0);
	bf_reject_get(r, BPF_REG_2, BF_REJECT_L2);
	bf_alui(a, BPF_ADD, BPF_REG_2, IP_HEADER);
	bf_alu(a, BPF_ADD, BPF_REG_2, BPF_REG_1);
	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_mov(a, BPF_REG_3, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_3, BF_REJECT_BUF);
	bf_mov(a, BPF_REG_4, BPF_REG_8);
	bf_helper(a, bf_reject_at_tc(r) ? BPF_FUNC_skb_load_bytes : BPF_FUNC_xdp_load_bytes);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, bad);
	bf_movi(a, BPF_REG_1, 0);
	bf_movi(a, BPF_REG_2, 0);
	bf_mov(a, BPF_REG_3, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_3, BF_REJECT_BUF);
	bf_mov(a, BPF_REG_4, BPF_REG_8);
	bf_alui(a, BPF_ADD, BPF_REG_4, 3);
	bf_alui(a, BPF_AND, BPF_REG_4, ~3);
	bf_reject_get(r, BPF_REG_5, BF_REJECT_SUM);
	bf_helper(a, BPF_FUNC_csum_diff);
	bf_reject_set(r, BF_REJECT_SUM, BPF_REG_0);
	bf_reject_get(r, BPF_REG_1, BF_REJECT_OFF);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_8);
	bf_reject_set(r, BF_REJECT_OFF, BPF_REG_1);
	bf_movi(a, BPF_REG_0, 0);
	bf_exit(a);
	bf_asm_here(a, bad);
	bf_movi(a, BPF_REG_1, 1);
	bf_reject_set(r, BF_REJECT_FAILED, BPF_REG_1);
	bf_asm_here(a, end);
	bf_movi(a, BPF_REG_0, 1);
	bf_exit(a);
}

/* Add up to @r8 bytes behind the IP header; to @lost if they are not there. */
static void add_up_to(struct bf_reject *r)
{
	struct bf_asm *a = r->a;

	bf_reject_set(r, BF_REJECT_END, BPF_REG_8);
	bf_mov(a, BPF_REG_1, BPF_REG_8);
	bf_alui(a, BPF_DIV, BPF_REG_1, BF_REJECT_CHUNK);
	bf_alui(a, BPF_ADD, BPF_REG_1, 1);
	bf_function_addr(a, BPF_REG_2, r->step);
	bf_mov(a, BPF_REG_3, BPF_REG_6);
	bf_movi(a, BPF_REG_4, 0);
	bf_helper(a, BPF_FUNC_loop);
	bf_reject_get(r, BPF_REG_1, BF_REJECT_FAILED);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, r->lost);
}

/* @reg = sum of the pseudo header of TCP or UDP, not folded. Clobbers r1. */
static void pseudo_sum(struct bf_reject *r, int reg)
{
	struct bf_asm *a = r->a;

	bf_reject_get(r, reg, BF_KEY(BF_PROTO));
	bf_reject_get(r, BPF_REG_1, BF_KEY(BF_L4LEN));
	bf_alu(a, BPF_ADD, reg, BPF_REG_1);
	bf_be(a, reg, 32);
	bf_reject_get(r, BPF_REG_1, IP_SADDR);
	bf_alu(a, BPF_ADD, reg, BPF_REG_1);
	bf_reject_get(r, BPF_REG_1, IP_DADDR);
	bf_alu(a, BPF_ADD, reg, BPF_REG_1);
}

/*
 * The checksum of TCP and UDP is right, or has been put off: then the sum of the pseudo header alone stands there, which is for
 * who sends it to complete, as between hosts on one machine nobody does. Else to @silent. r2 = that checksum.
 */
static void check_with_pseudo(struct bf_reject *r, int good)
{
	struct bf_asm *a = r->a;

	pseudo_sum(r, BPF_REG_8);
	bf_reject_get(r, BPF_REG_9, BF_REJECT_SUM);
	bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_8);
	bf_reject_fold(a, BPF_REG_9, BPF_REG_1);
	bf_jifi(a, BPF_JEQ, BPF_REG_9, 0xffff, good);
	bf_reject_fold(a, BPF_REG_8, BPF_REG_1);
	bf_jif(a, BPF_JEQ, BPF_REG_8, BPF_REG_2, good);
	bf_jmp(a, r->silent);
}

/*
 * nf_reject_verify_csum(), nf_ip_checksum(): of any protocol that is not known to do without what is behind the IP
 * header adds up to nothing, also of those that have no checksum at all. (DCCP was known, too, until Linux 6.16.)
 */
static void check_sums(struct bf_reject *r)
{
	static const uint8_t unsummed[] = {IPPROTO_GRE, IPPROTO_AH, IPPROTO_ESP, IPPROTO_SCTP,
					   IPPROTO_UDPLITE};
	struct bf_asm *a = r->a;
	int good = bf_asm_label(a), tcp = bf_asm_label(a), other = bf_asm_label(a);
	int all = bf_asm_label(a), sum = bf_asm_label(a);
	unsigned int i;

	bf_movi(a, BPF_REG_1, 0);
	bf_reject_set(r, BF_REJECT_OFF, BPF_REG_1);
	bf_reject_set(r, BF_REJECT_SUM, BPF_REG_1);
	bf_reject_set(r, BF_REJECT_FAILED, BPF_REG_1);
	bf_reject_get(r, BPF_REG_8, BF_KEY(BF_L4LEN));
	bf_jifi(a, BPF_JLE, BPF_REG_8, BF_QUOTE_DATA, all);
	bf_movi(a, BPF_REG_8, BF_QUOTE_DATA);
	bf_asm_here(a, all);
	add_up_to(r);
	bf_reject_get(r, BPF_REG_1, BF_REJECT_SUM);
	bf_reject_set(r, BF_REJECT_QUOTE, BPF_REG_1);

	bf_reject_get(r, BPF_REG_1, BF_KEY(BF_PROTO));
	for (i = 0; i < ARRAY_SIZE(unsummed); i++)
		bf_jifi(a, BPF_JEQ, BPF_REG_1, unsummed[i], good);
	bf_jifi(a, BPF_JNE, BPF_REG_1, IPPROTO_UDP, sum);
	bf_reject_get(r, BPF_REG_2, BF_KEY(BF_L4LEN));
	bf_jifi(a, BPF_JLT, BPF_REG_2, 8, sum);
	bf_ldx(a, BPF_H, BPF_REG_2, BPF_REG_6, L4(6));
	bf_jifi(a, BPF_JEQ, BPF_REG_2, 0, good);
	bf_asm_here(a, sum);
	bf_reject_get(r, BPF_REG_8, BF_KEY(BF_L4LEN));
	add_up_to(r);
	bf_reject_get(r, BPF_REG_1, BF_KEY(BF_PROTO));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, IPPROTO_TCP, tcp);
	bf_jifi(a, BPF_JNE, BPF_REG_1, IPPROTO_UDP, other);
	bf_ldx(a, BPF_H, BPF_REG_2, BPF_REG_6, L4(6));
	check_with_pseudo(r, good);
	bf_asm_here(a, tcp);
	bf_ldx(a, BPF_H, BPF_REG_2, BPF_REG_6, L4(16));
	check_with_pseudo(r, good);
	bf_asm_here(a, other);
	bf_reject_get(r, BPF_REG_9, BF_REJECT_SUM);
	bf_reject_fold(a, BPF_REG_9, BPF_REG_1);
	bf_jifi(a, BPF_JEQ, BPF_REG_9, 0, good);
	bf_jifi(a, BPF_JNE, BPF_REG_9, 0xffff, r->silent);
	bf_asm_here(a, good);
}

/* CODE = what the effect says. */
static void find_code(struct bf_reject *r)
{
	const struct bf_effects *effects = &r->rules->scratch.effects;
	struct bf_asm *a = r->a;
	int found = bf_asm_label(a);
	uint32_t i;

	for (i = 0; i < effects->nr; i++) {
		const struct bf_effect *e = &effects->list[i];
		int other = bf_asm_label(a);

		bf_jif32i(a, BPF_JNE, BPF_REG_1, e->id, other);
		bf_movi(a, BPF_REG_1, e->kind == BF_EFFECT_RESET ? BF_REJECT_RESET : e->code);
		bf_jmp(a, found);
		bf_asm_here(a, other);
	}
	bf_jmp(a, r->lost);
	bf_asm_here(a, found);
	bf_reject_set(r, BF_REJECT_CODE, BPF_REG_1);
}

/* What is seen of the packet's own interface by its index; IFINDEX is that until the routing says otherwise. */
static void find_index(struct bf_reject *r)
{
	bf_ldx(r->a, BPF_W, BPF_REG_1, BPF_REG_7,
	       bf_reject_at_tc(r) ? (int)offsetof(struct __sk_buff, ifindex)
				  : (int)offsetof(struct xdp_md, ingress_ifindex));
	bf_reject_set(r, BF_REJECT_IFINDEX, BPF_REG_1);
}

void bf_emit_reject_init(struct bf_asm *a)
{
	bf_sti(a, BPF_W, BPF_REG_6, BF_FRAME_EFFECT, 0);
}

void bf_emit_reject_functions(struct bf_asm *a, int note)
{
	struct bf_reject r = {
		.a = a, .step = a->reply_step, .allow = a->reply_allow, .type = a->reply_type};

	bf_function(a, note);
	bf_stx(a, BPF_W, BPF_REG_1, BF_FRAME_EFFECT, BPF_REG_2);
	bf_movi(a, BPF_REG_0, 0);
	bf_exit(a);
	emit_step(&r);
	bf_emit_reply_allow(&r);
	if (bf_reject_has_types(&r))
		emit_type(&r);
}

void bf_emit_reject(struct bf_asm *a, const struct bf_rules *rules)
{
	struct bf_reject r = {.a = a, .rules = rules};

	r.silent = bf_asm_label(a);
	r.lost = bf_asm_label(a);
	r.step = a->reply_step = bf_asm_label(a);
	r.allow = a->reply_allow = bf_asm_label(a);
	r.type = a->reply_type = bf_asm_label(a);
	bf_asm_note(a, BF_PART_EFFECT, 0, 0);
	bf_reject_get(&r, BPF_REG_1, BF_FRAME_EFFECT);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, r.silent);
	find_code(&r);
	bf_ldx(a, BPF_DW, BPF_REG_7, BPF_REG_6, BF_FRAME_SKB);
	find_index(&r);
	read_headers(&r);
	check_addresses(&r);
	check_fragment(&r);
	check_kind(&r);
	check_types(&r);
	/* Options: an error about the packet would have some of them as well. */
	bf_reject_get(&r, BPF_REG_1, BF_FRAME_THOFF);
	bf_jifi(a, BPF_JNE, BPF_REG_1, IP_HEADER, r.lost);
	check_sums(&r);
	bf_emit_reply_limits(&r);
	bf_emit_reply_route(&r);
	bf_emit_reply(&r);
	bf_emit_reply_send(&r);

	bf_asm_here(a, r.lost);
	bf_map_value(a, BPF_REG_1, BF_MAP_REPLIES);
	bf_movi(a, BPF_REG_2, 1);
	bf_atomic(a, BPF_DW, BPF_ADD, BPF_REG_1, offsetof(struct bf_replies, lost), BPF_REG_2);
	bf_asm_here(a, r.silent);
	bf_emit_plain_verdict(a, NF_DROP);
}
