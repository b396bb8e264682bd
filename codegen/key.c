// SPDX-License-Identifier: GPL-2.0
/*
 * The netfilter placement's way of reading a packet: the prologue of a table's program.
 *
 * It fills the key with the fields that the table looks at and nothing else. Registers:
 *
 *	r6	the frame's address (the context before that)
 *	r7	skb, r8 state: pointers that the verifier knows
 *	r9	address of the IP header, then of the conntrack entry: a number
 *
 * The IP header is read where the kernel's own ip_tables reads it, at ip_hdr(skb), which is linear at
 * these hooks. What is behind it may lie in fragments: it is read directly where it is linear, and
 * through a dynptr where it is not, as skb_header_pointer() does.
 *
 * The verifier follows the fall-through line first and forgets another path when it arrives with nothing
 * that the first one did not cover. So the line without jumps is the one that fills in every field, from
 * memory and by arithmetic, not with constants; otherwise the whole rest of the program would be
 * verified once for each way through here.
 */
#include <linux/if_arp.h>
#include <linux/if_ether.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/xt_conntrack.h>

#include "compile.h"

#define KEY(field) (BF_FRAME_KEY + 4 * (field))

_Static_assert(KEY(BF_IIF) % 8 == 0 && KEY(BF_OIF) % 8 == 0, "names are stored by 8 bytes");

/* Not in the UAPI: SKB_GSO_TCPV4 | SKB_GSO_TCPV6, and two states of a socket. */
#define GSO_TCP		 (1 << 0 | 1 << 4)
#define TCP_TIME_WAIT	 6
#define TCP_NEW_SYN_RECV 12

#define L4_FIELDS                                                                                  \
	(BF_FIELD_BIT(BF_SPORT) | BF_FIELD_BIT(BF_DPORT) | BF_FIELD_BIT(BF_ICMP) |                 \
	 BF_FIELD_BIT(BF_TCP_FLAGS) | BF_FIELD_BIT(BF_SPI))
#define IP_FIELDS                                                                                  \
	(BF_FIELD_BIT(BF_SADDR) | BF_FIELD_BIT(BF_DADDR) | BF_FIELD_BIT(BF_PROTO) |                \
	 BF_FIELD_BIT(BF_FRAGOFF) | BF_FIELD_BIT(BF_L4LEN) | BF_FIELD_BIT(BF_HEADER) |             \
	 BF_FIELD_BIT(BF_TOTLEN))
#define CT_TUPLE_FIELDS(first)                                                                     \
	(BF_FIELD_BIT(BF_CT_##first##SRC) | BF_FIELD_BIT(BF_CT_##first##DST) |                     \
	 BF_FIELD_BIT(BF_CT_##first##SRC_PORT) | BF_FIELD_BIT(BF_CT_##first##DST_PORT))

/* key[field] = reg */
static void store(struct bf_asm *a, enum bf_field field, int reg)
{
	bf_stx(a, BPF_W, BPF_REG_6, KEY(field), reg);
}

/* ttl << 24 | tos << 16 | skb->pkt_type; the window is at the IP header. */
static void load_header_word(struct bf_asm *a)
{
	bf_raw_ldx(a, BPF_B, BPF_REG_1, 8);
	bf_alui(a, BPF_LSH, BPF_REG_1, 8);
	bf_raw_ldx(a, BPF_B, BPF_REG_2, 1);
	bf_alu(a, BPF_OR, BPF_REG_1, BPF_REG_2);
	bf_alui(a, BPF_LSH, BPF_REG_1, 16);
	bf_ldx(a, BPF_B, BPF_REG_2, BPF_REG_7, a->kernel->skb_pkt_type);
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	bf_alui(a, BPF_RSH, BPF_REG_2, 5);
#else
	bf_alui(a, BPF_AND, BPF_REG_2, 7);
#endif
	bf_alu(a, BPF_OR, BPF_REG_1, BPF_REG_2);
	store(a, BF_HEADER, BPF_REG_1);
}

/*
 * tot_len; where that is 0 and skb_is_gso() and skb_is_gso_tcp() are true, skb->len. The window is
 * at the IP header.
 */
static void load_totlen(struct bf_asm *a)
{
	const struct bf_kernel *k = a->kernel;
	int done = bf_asm_label(a);

	bf_raw_ldx(a, BPF_H, BPF_REG_1, 2);
	bf_be(a, BPF_REG_1, 16);
	store(a, BF_TOTLEN, BPF_REG_1);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, done);
	/* the shared info is at skb->head + skb->end */
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_7, k->skb_head);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_7, k->skb_end);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_2);
	bf_raw(a, BPF_REG_1, 0);
	bf_raw_ldx(a, BPF_H, BPF_REG_1, k->shinfo_gso_size);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, done);
	bf_raw_ldx(a, BPF_W, BPF_REG_1, k->shinfo_gso_type);
	bf_alui(a, BPF_AND, BPF_REG_1, GSO_TCP);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, done);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, KEY(BF_LEN));
	store(a, BF_TOTLEN, BPF_REG_1);
	bf_asm_here(a, done);
}

static void load_ip_header(struct bf_asm *a, uint64_t fields)
{
	const struct bf_kernel *k = a->kernel;
	int empty = bf_asm_label(a);

	/* r9 = skb->head + skb->network_header */
	bf_ldx(a, BPF_DW, BPF_REG_9, BPF_REG_7, k->skb_head);
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_7, k->skb_network_header);
	bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_1);
	bf_raw(a, BPF_REG_9, 0);

	bf_raw_ldx(a, BPF_W, BPF_REG_1, 12);
	bf_be(a, BPF_REG_1, 32);
	store(a, BF_SADDR, BPF_REG_1);
	bf_raw_ldx(a, BPF_W, BPF_REG_1, 16);
	bf_be(a, BPF_REG_1, 32);
	store(a, BF_DADDR, BPF_REG_1);
	bf_raw_ldx(a, BPF_B, BPF_REG_1, 9);
	store(a, BF_PROTO, BPF_REG_1);
	bf_raw_ldx(a, BPF_H, BPF_REG_1, 6);
	bf_be(a, BPF_REG_1, 16);
	bf_alui(a, BPF_AND, BPF_REG_1, 0x1fff);
	store(a, BF_FRAGOFF, BPF_REG_1);

	/* thoff = ihl * 4; l4len = len > thoff ? len - thoff : 0 */
	bf_raw_ldx(a, BPF_B, BPF_REG_1, 0);
	bf_alui(a, BPF_AND, BPF_REG_1, 0x0f);
	bf_alui(a, BPF_LSH, BPF_REG_1, 2);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_THOFF, BPF_REG_1);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, KEY(BF_LEN));
	bf_jif(a, BPF_JLE, BPF_REG_2, BPF_REG_1, empty);
	bf_alu(a, BPF_SUB, BPF_REG_2, BPF_REG_1);
	store(a, BF_L4LEN, BPF_REG_2);
	bf_asm_here(a, empty);
	if (fields & BF_FIELD_BIT(BF_HEADER))
		load_header_word(a);
	if (fields & BF_FIELD_BIT(BF_TOTLEN))
		load_totlen(a);
}

/*
 *	if (dev->type == ARPHRD_ETHER && head + mac_header + ETH_HLEN <= data)
 *		the six bytes at head + mac_header + ETH_ALEN
 */
static void load_mac(struct bf_asm *a)
{
	const struct bf_kernel *k = a->kernel;
	int none = bf_asm_label(a);

	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_7, k->skb_dev);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, none);
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_1, k->dev_type);
	bf_jifi(a, BPF_JNE, BPF_REG_1, ARPHRD_ETHER, none);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_7, k->skb_head);
	bf_ldx(a, BPF_H, BPF_REG_2, BPF_REG_7, k->skb_mac_header);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_2);
	bf_alui(a, BPF_ADD, BPF_REG_1, ETH_HLEN);
	bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_7, k->skb_data);
	bf_jif(a, BPF_JGT, BPF_REG_1, BPF_REG_2, none);
	bf_raw(a, BPF_REG_1, ETH_ALEN - ETH_HLEN);
	bf_raw_ldx(a, BPF_W, BPF_REG_1, 0);
	bf_be(a, BPF_REG_1, 32);
	store(a, BF_MAC, BPF_REG_1);
	bf_raw_ldx(a, BPF_H, BPF_REG_1, 4);
	bf_be(a, BPF_REG_1, 16);
	bf_alui(a, BPF_LSH, BPF_REG_1, 16);
	bf_alui(a, BPF_OR, BPF_REG_1, BF_MAC_VALID);
	store(a, BF_MAC + 1, BPF_REG_1);
	bf_asm_here(a, none);
}

/* r9 = *(u64 *)(r9 + off); 0 if r9 was NULL */
static void follow(struct bf_asm *a, uint32_t off)
{
	bf_raw(a, BPF_REG_9, off);
	bf_raw_ldx(a, BPF_DW, BPF_REG_9, 0);
}

/* dst = !!r9, with which the verifier cannot tell one from the other. */
static void is_there(struct bf_asm *a, int dst)
{
	bf_movi(a, dst, 0);
	bf_alu(a, BPF_SUB, dst, BPF_REG_9);
	bf_alu(a, BPF_OR, dst, BPF_REG_9);
	bf_alui(a, BPF_RSH, dst, 63);
}

/*
 *	sk = skb_to_full_sk(skb);
 *	if (sk && !net_eq(state->net, sock_net(sk)))
 *		sk = NULL;
 *	owner = sk->sk_socket ? BF_OWNER_SOCKET : 0;
 *	owner |= sk->sk_socket->file ? BF_OWNER_FILE : 0;
 *	uid and gid of file->f_cred
 *
 * NULL leads to addresses that read as 0. r9 is each pointer in turn.
 */
static void load_owner(struct bf_asm *a)
{
	const struct bf_kernel *k = a->kernel;
	int full = bf_asm_label(a), no_wait = bf_asm_label(a), ours = bf_asm_label(a);

	/* Read as a number: the verifier would ask for a test of the pointer. */
	bf_raw(a, BPF_REG_7, k->skb_sk);
	bf_raw_ldx(a, BPF_DW, BPF_REG_9, 0);
	bf_raw(a, BPF_REG_9, k->sk_state);
	bf_raw_ldx(a, BPF_B, BPF_REG_1, 0);
	bf_jifi(a, BPF_JNE, BPF_REG_1, TCP_NEW_SYN_RECV, full);
	follow(a, k->sk_listener);
	bf_raw(a, BPF_REG_9, k->sk_state);
	bf_raw_ldx(a, BPF_B, BPF_REG_1, 0);
	bf_asm_here(a, full);
	bf_jifi(a, BPF_JNE, BPF_REG_1, TCP_TIME_WAIT, no_wait);
	bf_movi(a, BPF_REG_9, 0);
	bf_asm_here(a, no_wait);
	bf_raw(a, BPF_REG_9, k->sk_net);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_8, k->state_net);
	bf_jif(a, BPF_JEQ, BPF_REG_1, BPF_REG_2, ours);
	bf_movi(a, BPF_REG_9, 0);
	bf_asm_here(a, ours);

	follow(a, k->sk_socket);
	is_there(a, BPF_REG_1);
	store(a, BF_OWNER, BPF_REG_1);
	follow(a, k->socket_file);
	is_there(a, BPF_REG_1);
	bf_alui(a, BPF_LSH, BPF_REG_1, 1);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, KEY(BF_OWNER));
	bf_alu(a, BPF_OR, BPF_REG_1, BPF_REG_2);
	store(a, BF_OWNER, BPF_REG_1);
	follow(a, k->file_cred);
	bf_raw(a, BPF_REG_9, k->cred_fsuid);
	bf_raw_ldx(a, BPF_W, BPF_REG_1, 0);
	store(a, BF_UID, BPF_REG_1);
	bf_raw(a, BPF_REG_9, k->cred_fsgid);
	bf_raw_ldx(a, BPF_W, BPF_REG_1, 0);
	store(a, BF_GID, BPF_REG_1);
}

/* Fields of the first @len bytes at r0, displaced by @x. */
static void load_l4_fields(struct bf_asm *a, uint64_t fields, uint32_t len, int x, int done)
{
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_0, x);
	bf_be(a, BPF_REG_1, 16);
	store(a, BF_SPORT, BPF_REG_1);
	if (len >= 8) {
		/* Loaded again: two copies of one register would be tied for the verifier. */
		bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_0, x);
		bf_be(a, BPF_REG_1, 16);
		store(a, BF_ICMP, BPF_REG_1);
	}
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_0, x + 2);
	bf_be(a, BPF_REG_1, 16);
	store(a, BF_DPORT, BPF_REG_1);
	if (len >= 8 && fields & BF_FIELD_BIT(BF_SPI)) {
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_0, x + 4);
		bf_be(a, BPF_REG_1, 32);
		store(a, BF_SPI, BPF_REG_1);
	}
	if (len >= 20) {
		bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_0, x + 13);
		store(a, BF_TCP_FLAGS, BPF_REG_1);
	}
	bf_jmp(a, done);
}

static void init_dynptr(struct bf_asm *a)
{
	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_movi(a, BPF_REG_2, 0);
	bf_mov(a, BPF_REG_3, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_3, BF_FRAME_DYNPTR);
	bf_kfunc(a, a->kernel->kfunc_dynptr_from_skb);
}

/*
 * What is behind the IP header: 20 bytes, or 8, or 4, as many of these as the packet has. Two copies
 * of the loads, from linear data and through the dynptr, for each of the three lengths.
 */
static void load_l4(struct bf_asm *a, uint64_t fields)
{
	static const uint32_t lengths[] = {20, 8, 4};
	int slow = bf_asm_label(a), done = bf_asm_label(a);
	unsigned int i;

	/* Nothing is there in a later fragment, if no match looks at it. */
	if (!(fields & BF_FRAGMENTS)) {
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, KEY(BF_FRAGOFF));
		bf_jifi(a, BPF_JNE, BPF_REG_1, 0, done);
	}

	/* r3 = len - data_len - thoff: linear bytes behind the IP header; less than none is slow */
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_6, KEY(BF_LEN));
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, a->kernel->skb_data_len);
	bf_alu(a, BPF_SUB, BPF_REG_3, BPF_REG_1);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_THOFF);
	bf_alu(a, BPF_SUB, BPF_REG_3, BPF_REG_1);
	bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_1);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, KEY(BF_L4LEN));
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		int shorter = bf_asm_label(a);

		bf_jifi(a, BPF_JLT, BPF_REG_2, lengths[i], shorter);
		bf_jifi(a, BPF_JSLT, BPF_REG_3, lengths[i], slow);
		bf_raw(a, BPF_REG_9, 0);
		load_l4_fields(a, fields, lengths[i], a->kernel->skb_cb, done);
		bf_asm_here(a, shorter);
	}
	bf_jmp(a, done);

	bf_asm_here(a, slow);
	if (!(fields & BF_TCP_OPTIONS))
		init_dynptr(a);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		int shorter = bf_asm_label(a);

		bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, KEY(BF_L4LEN));
		bf_jifi(a, BPF_JLT, BPF_REG_2, lengths[i], shorter);
		bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, BF_FRAME_THOFF);
		bf_packet(a, BPF_REG_6, BPF_REG_2, lengths[i]);
		bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, done);
		load_l4_fields(a, fields, lengths[i], 0, done);
		bf_asm_here(a, shorter);
	}
	bf_asm_here(a, done);
}

static void load_ifname(struct bf_asm *a, enum bf_field field, uint32_t state_dev)
{
	int none = bf_asm_label(a);

	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_8, state_dev);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, none);
	bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_1, a->kernel->dev_name);
	bf_stx(a, BPF_DW, BPF_REG_6, KEY(field), BPF_REG_2);
	bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_1, a->kernel->dev_name + 8);
	bf_stx(a, BPF_DW, BPF_REG_6, KEY(field) + 8, BPF_REG_2);
	bf_asm_here(a, none);
}

/* One direction's tuple of the entry at r9. */
static void load_tuple(struct bf_asm *a, int dir, enum bf_field src, enum bf_field sport)
{
	const struct bf_kernel *k = a->kernel;

	bf_raw(a, BPF_REG_9, k->ct_tuple[dir]);
	bf_raw_ldx(a, BPF_W, BPF_REG_1, k->tuple_src);
	bf_be(a, BPF_REG_1, 32);
	store(a, src, BPF_REG_1);
	bf_raw_ldx(a, BPF_W, BPF_REG_1, k->tuple_dst);
	bf_be(a, BPF_REG_1, 32);
	store(a, src + 1, BPF_REG_1);
	bf_raw_ldx(a, BPF_H, BPF_REG_1, k->tuple_sport);
	bf_be(a, BPF_REG_1, 16);
	store(a, sport, BPF_REG_1);
	bf_raw_ldx(a, BPF_H, BPF_REG_1, k->tuple_dport);
	bf_be(a, BPF_REG_1, 16);
	store(a, sport + 1, BPF_REG_1);
	if (!dir) {
		bf_raw_ldx(a, BPF_B, BPF_REG_1, k->tuple_protonum);
		store(a, BF_CT_PROTO, BPF_REG_1);
	}
}

/* max((s32)(ct->timeout - (u32)jiffies), 0) / HZ */
static void load_expires(struct bf_asm *a)
{
	int over = bf_asm_label(a);

	bf_raw(a, BPF_REG_9, a->kernel->ct_timeout);
	bf_raw_ldx(a, BPF_W, BPF_REG_1, 0);
	store(a, BF_CT_EXPIRES, BPF_REG_1);
	bf_helper(a, BPF_FUNC_jiffies64);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, KEY(BF_CT_EXPIRES));
	bf_sti(a, BPF_W, BPF_REG_6, KEY(BF_CT_EXPIRES), 0);
	bf_alu32(a, BPF_SUB, BPF_REG_1, BPF_REG_0);
	bf_jif32i(a, BPF_JSLE, BPF_REG_1, 0, over);
	bf_alu32i(a, BPF_DIV, BPF_REG_1, a->kernel->hz);
	store(a, BF_CT_EXPIRES, BPF_REG_1);
	bf_asm_here(a, over);
}

/* A packet without an entry: r1 is its ctinfo. */
static void load_untracked(struct bf_asm *a)
{
	int invalid = bf_asm_label(a);

	bf_movi(a, BPF_REG_2, XT_CONNTRACK_STATE_INVALID);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 7 /* IP_CT_UNTRACKED, not in the UAPI */, invalid);
	bf_movi(a, BPF_REG_2, XT_CONNTRACK_STATE_UNTRACKED);
	bf_asm_here(a, invalid);
	store(a, BF_CT_STATE, BPF_REG_2);
}

_Static_assert(IP_CT_IS_REPLY == 3 && XT_CONNTRACK_STATE_BIT(0) == 2, "see load_state");
_Static_assert(IPS_SRC_NAT << 2 == XT_CONNTRACK_STATE_SNAT &&
		       IPS_DST_NAT << 2 == XT_CONNTRACK_STATE_DNAT,
	       "see load_state");

/* Direction, status and state of the packet with ctinfo r1 and the entry at r9. */
static void load_state(struct bf_asm *a)
{
	/* dir = ctinfo >= IP_CT_IS_REPLY */
	bf_mov(a, BPF_REG_2, BPF_REG_1);
	bf_alui(a, BPF_ADD, BPF_REG_2, 5);
	bf_alui(a, BPF_RSH, BPF_REG_2, 3);
	store(a, BF_CT_DIR, BPF_REG_2);

	/* state = 1 << (ctinfo - 3 * dir + 1) */
	bf_alui(a, BPF_MUL, BPF_REG_2, IP_CT_IS_REPLY);
	bf_alu(a, BPF_SUB, BPF_REG_1, BPF_REG_2);
	bf_alui(a, BPF_AND, BPF_REG_1, 7);
	bf_movi(a, BPF_REG_2, 2);
	bf_alu(a, BPF_LSH, BPF_REG_2, BPF_REG_1);
	store(a, BF_CT_STATE, BPF_REG_2);

	/* state |= (status & (IPS_SRC_NAT | IPS_DST_NAT)) << 2 */
	bf_raw(a, BPF_REG_9, a->kernel->ct_status);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	store(a, BF_CT_STATUS, BPF_REG_1);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_alui(a, BPF_AND, BPF_REG_1, IPS_SRC_NAT | IPS_DST_NAT);
	bf_alui(a, BPF_LSH, BPF_REG_1, 2);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, KEY(BF_CT_STATE));
	bf_alu(a, BPF_OR, BPF_REG_1, BPF_REG_2);
	store(a, BF_CT_STATE, BPF_REG_1);
}

/* nf_ct_get(skb): the entry's address, and how the packet relates to it in the low three bits. */
static void load_conntrack(struct bf_asm *a, uint64_t fields)
{
	int untracked = bf_asm_label(a), done = bf_asm_label(a);

	bf_ldx(a, BPF_DW, BPF_REG_9, BPF_REG_7, a->kernel->skb_nfct);
	bf_mov(a, BPF_REG_1, BPF_REG_9);
	bf_alui(a, BPF_AND, BPF_REG_1, 7);
	bf_alui(a, BPF_AND, BPF_REG_9, ~7);
	bf_jifi(a, BPF_JEQ, BPF_REG_9, 0, untracked);
	load_state(a);
	if (fields & (CT_TUPLE_FIELDS(ORIG) | BF_FIELD_BIT(BF_CT_PROTO)))
		load_tuple(a, 0, BF_CT_ORIGSRC, BF_CT_ORIGSRC_PORT);
	if (fields & CT_TUPLE_FIELDS(REPL))
		load_tuple(a, 1, BF_CT_REPLSRC, BF_CT_REPLSRC_PORT);
	if (fields & BF_FIELD_BIT(BF_CT_MARK)) {
		bf_raw(a, BPF_REG_9, a->kernel->ct_mark);
		bf_raw_ldx(a, BPF_W, BPF_REG_1, 0);
		store(a, BF_CT_MARK, BPF_REG_1);
	}
	if (fields & BF_FIELD_BIT(BF_CT_EXPIRES))
		load_expires(a);
	bf_jmp(a, done);
	bf_asm_here(a, untracked);
	load_untracked(a);
	bf_asm_here(a, done);
}

void bf_emit_key_link(struct bf_asm *a, const struct bf_program *p, int readable)
{
	const struct bf_kernel *k = a->kernel;
	uint64_t fields = p->fields;
	int off, key = bf_key_bytes(fields), end = readable > key ? readable : key;

	bf_ldx(a, BPF_DW, BPF_REG_7, BPF_REG_1, k->nf_ctx_skb);
	bf_ldx(a, BPF_DW, BPF_REG_8, BPF_REG_1, k->nf_ctx_state);
	bf_mov(a, BPF_REG_6, BPF_REG_10);
	bf_alui(a, BPF_ADD, BPF_REG_6, BF_FRAME_BASE);
	for (off = 0; off < end; off += 8)
		bf_sti(a, BPF_DW, BPF_REG_6, off, 0);
	if (readable > BF_FRAME_STATE)
		bf_stx(a, BPF_DW, BPF_REG_6, BF_FRAME_STATE, BPF_REG_8);
	if (readable > BF_FRAME_PACKET)
		bf_stx(a, BPF_DW, BPF_REG_6, BF_FRAME_PACKET, BPF_REG_7);

	bf_helper(a, BPF_FUNC_get_smp_processor_id);
	if (fields & BF_FIELD_BIT(BF_CPU))
		store(a, BF_CPU, BPF_REG_0);
	bf_alui(a, BPF_MUL, BPF_REG_0, p->stride);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_COUNTERS, BPF_REG_0);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, k->skb_len);
	store(a, BF_LEN, BPF_REG_1);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_8, k->state_hook);
	store(a, BF_HOOK, BPF_REG_1);

	if (fields & BF_FIELD_BIT(BF_MARK)) {
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, k->skb_mark);
		store(a, BF_MARK, BPF_REG_1);
	}
	if (fields & (IP_FIELDS | L4_FIELDS | BF_TCP_OPTIONS))
		load_ip_header(a, fields);
	if (fields & BF_TCP_OPTIONS)
		init_dynptr(a);
	if (fields & L4_FIELDS)
		load_l4(a, fields);
	if (fields & BF_TCP_OPTIONS)
		bf_emit_tcp_options(a, fields);
	if (fields & BF_MAC_FIELDS)
		load_mac(a);
	if (fields & BF_OWNER_FIELDS)
		load_owner(a);
	if (fields & (0xfULL << BF_IIF))
		load_ifname(a, BF_IIF, k->state_in);
	if (fields & (0xfULL << BF_OIF))
		load_ifname(a, BF_OIF, k->state_out);
	if (fields & BF_CT_FIELDS)
		load_conntrack(a, fields);
}
