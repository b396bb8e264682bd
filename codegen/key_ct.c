// SPDX-License-Identifier: GPL-2.0
/*
 * The state that conntrack will find a packet in, or (at the egress) has found it in.
 *
 * At the egress it is exact: the packet has its entry, which it keeps over the loopback. At the ingress conntrack has not seen the packet
 * yet. BF_CT_STATE then is a set: of all states that the packet may turn out to have. With one in it
 * everything is as elsewhere; with more the rules decide with care (bf_ct_state() in match_conntrack.c):
 * no packet is accepted that may have a state with which it would be dropped.
 *
 *	TCP, UDP	   looked up by bpf_skb_ct_lookup() or bpf_xdp_ct_lookup(). An entry says which state
 *			   it is; that conntrack may find the packet INVALID all the same, for its checksum
 *			   or its sequence numbers, is not seen here
 *	  TCP flags	   that do not fit the state of their connection: INVALID as well
 *	  SYN, an entry	   may begin anew: NEW, ESTABLISHED or INVALID
 *	  none		   NEW; of TCP an ACK may be picked up (NEW) or not (INVALID), as a sysctl says, and
 *			   anything else but a SYN is INVALID
 *	  malformed	   INVALID, as tcp_error() and udp_error() have it
 *	ICMP errors	   RELATED or INVALID: which one, the packet in it says, if that is TCP or UDP
 *	other ICMP	   those functions do not find it. Requests are NEW or ESTABLISHED, the rest
 *			   ESTABLISHED or INVALID
 *	other protocols	   anything, and so is the first fragment of a packet: conntrack sees all of it
 */
#include <errno.h>
#include <linux/icmp.h>
#include <linux/in.h>
#include <linux/netfilter/nf_conntrack_common.h>
#include <linux/netfilter/nf_conntrack_tcp.h>
#include <linux/netfilter/nf_conntrack_tuple_common.h>
#include <linux/netfilter/xt_conntrack.h>

#include "key_packet.h"

#define INVALID	    XT_CONNTRACK_STATE_INVALID
#define ESTABLISHED XT_CONNTRACK_STATE_BIT(IP_CT_ESTABLISHED)
#define RELATED	    XT_CONNTRACK_STATE_BIT(IP_CT_RELATED)
#define NEW	    XT_CONNTRACK_STATE_BIT(IP_CT_NEW)
#define ANY	    (INVALID | ESTABLISHED | RELATED | NEW)

#define CTINFO_UNTRACKED 7 /* IP_CT_UNTRACKED, not in the UAPI */

#define IP_HEADER   20
#define ICMP_HEADER 8
#define PORTS	    4

#define TCP_HEADER 20
#define UDP_HEADER 8
#define TCP_FIN	   0x01
#define TCP_SYN	   0x02
#define TCP_RST	   0x04
#define TCP_ACK	   0x10
#define TCP_URG	   0x20

/* struct bpf_ct_opts of Linux 6.0 and later, behind the tuple in BUF. */
#define TUPLE_SIZE   12
#define OPTS	     (BF_FRAME_BUF + TUPLE_SIZE)
#define OPTS_ERROR   4
#define OPTS_L4PROTO 8
#define OPTS_DIR     9
#define OPTS_SIZE    12

/* Flag combinations that conntrack takes for valid, of those that it looks at: bit numbers. */
static const uint8_t valid_flags[] = {
	TCP_SYN,	   TCP_SYN | TCP_URG, TCP_SYN | TCP_ACK,	   TCP_RST,
	TCP_RST | TCP_ACK, TCP_FIN | TCP_ACK, TCP_FIN | TCP_ACK | TCP_URG, TCP_ACK,
	TCP_ACK | TCP_URG,
};

/*
 * The states of a connection in which a packet with some flags is not INVALID for them: bit numbers, by
 * direction and flags. As tcp_conntracks[] of nf_conntrack_proto_tcp.c has it; a SYN is a matter of its own.
 */
#define STATES(from, to) ((1ULL << ((to) + 1)) - (1ULL << (from)))
enum { SYNACK_SET, FIN_SET, ACK_SET, RST_SET, SET_BITS = 10 };
#define SET(set, states) ((uint64_t)(states) << (set)*SET_BITS)

static const uint64_t fitting[] = {
	[IP_CT_DIR_ORIGINAL] =
		SET(SYNACK_SET, 1ULL << TCP_CONNTRACK_SYN_RECV | 1ULL << TCP_CONNTRACK_SYN_SENT2) |
		SET(FIN_SET, STATES(TCP_CONNTRACK_SYN_RECV, TCP_CONNTRACK_CLOSE)) |
		SET(ACK_SET, STATES(TCP_CONNTRACK_SYN_RECV, TCP_CONNTRACK_CLOSE)) |
		SET(RST_SET, STATES(TCP_CONNTRACK_SYN_SENT, TCP_CONNTRACK_SYN_SENT2)),
	[IP_CT_DIR_REPLY] = SET(SYNACK_SET, STATES(TCP_CONNTRACK_SYN_SENT, TCP_CONNTRACK_SYN_RECV) |
						    1ULL << TCP_CONNTRACK_SYN_SENT2) |
			    SET(FIN_SET, STATES(TCP_CONNTRACK_SYN_RECV, TCP_CONNTRACK_CLOSE)) |
			    SET(ACK_SET, STATES(TCP_CONNTRACK_SYN_SENT, TCP_CONNTRACK_SYN_SENT2)) |
			    SET(RST_SET, STATES(TCP_CONNTRACK_SYN_SENT, TCP_CONNTRACK_SYN_SENT2)),
};

static void load(struct bf_asm *a, int reg, enum bf_field field)
{
	bf_ldx(a, BPF_W, reg, BPF_REG_6, BF_KEY(field));
}

/*
 * r8 = the state of a packet with skb->_nfct:
 *
 *	dir = ctinfo >= IP_CT_IS_REPLY;
 *	state = XT_CONNTRACK_STATE_BIT(ctinfo - dir * IP_CT_IS_REPLY);
 *
 * The context is the skb's address, of which the verifier only knows that it is one.
 */
static void known_state(struct bf_packet_key *k, int done)
{
	struct bf_asm *a = k->a;
	int untracked = bf_asm_label(a);

	bf_mov(a, BPF_REG_1, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_1, BF_FRAME_BUF);
	bf_movi(a, BPF_REG_2, 8);
	bf_mov(a, BPF_REG_3, BPF_REG_7);
	bf_alui(a, BPF_ADD, BPF_REG_3, a->kernel->skb_nfct);
	bf_helper(a, BPF_FUNC_probe_read_kernel);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, k->drop);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_6, BF_FRAME_BUF);
	bf_mov(a, BPF_REG_3, BPF_REG_1);
	bf_alui(a, BPF_AND, BPF_REG_1, 7);
	bf_alui(a, BPF_AND, BPF_REG_3, ~7);
	bf_jifi(a, BPF_JEQ, BPF_REG_3, 0, untracked);
	bf_mov(a, BPF_REG_2, BPF_REG_1);
	bf_alui(a, BPF_ADD, BPF_REG_2, 5);
	bf_alui(a, BPF_RSH, BPF_REG_2, 3);
	bf_alui(a, BPF_MUL, BPF_REG_2, IP_CT_IS_REPLY);
	bf_alu(a, BPF_SUB, BPF_REG_1, BPF_REG_2);
	bf_alui(a, BPF_AND, BPF_REG_1, 7);
	bf_movi(a, BPF_REG_8, 2);
	bf_alu(a, BPF_LSH, BPF_REG_8, BPF_REG_1);
	bf_jmp(a, done);
	bf_asm_here(a, untracked);
	bf_movi(a, BPF_REG_8, XT_CONNTRACK_STATE_UNTRACKED);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, CTINFO_UNTRACKED, done);
	bf_movi(a, BPF_REG_8, INVALID);
	bf_emit_if_egress(k, done);
	bf_movi(a, BPF_REG_8, ANY);
	bf_jmp(a, done);
}

/* r9 = TCP flags. To @invalid if conntrack calls it that without looking further. */
static void check_tcp(struct bf_packet_key *k, int invalid)
{
	struct bf_asm *a = k->a;
	uint64_t valid = 0;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(valid_flags); i++)
		valid |= 1ULL << valid_flags[i];
	load(a, BPF_REG_1, BF_L4LEN);
	bf_jifi(a, BPF_JLT, BPF_REG_1, TCP_HEADER, invalid);
	/* doff * 4 */
	bf_ldx(a, BPF_B, BPF_REG_2, BPF_REG_6, BF_FRAME_BUF + 12);
	bf_alui(a, BPF_RSH, BPF_REG_2, 4);
	bf_alui(a, BPF_LSH, BPF_REG_2, 2);
	bf_jifi(a, BPF_JLT, BPF_REG_2, TCP_HEADER, invalid);
	bf_jif(a, BPF_JGT, BPF_REG_2, BPF_REG_1, invalid);
	load(a, BPF_REG_9, BF_TCP_FLAGS);
	bf_alui(a, BPF_AND, BPF_REG_9, TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK | TCP_URG);
	bf_ld_imm64(a, BPF_REG_1, valid);
	bf_alu(a, BPF_RSH, BPF_REG_1, BPF_REG_9);
	bf_alui(a, BPF_AND, BPF_REG_1, 1);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, invalid);
}

static void check_udp(struct bf_packet_key *k, int invalid)
{
	struct bf_asm *a = k->a;

	load(a, BPF_REG_1, BF_L4LEN);
	bf_jifi(a, BPF_JLT, BPF_REG_1, UDP_HEADER, invalid);
	bf_ldx(a, BPF_H, BPF_REG_2, BPF_REG_6, BF_FRAME_BUF + 4);
	bf_be(a, BPF_REG_2, 16);
	bf_jifi(a, BPF_JLT, BPF_REG_2, UDP_HEADER, invalid);
	bf_jif(a, BPF_JGT, BPF_REG_2, BPF_REG_1, invalid);
	/* What a SYN and nothing else would be. */
	bf_movi(a, BPF_REG_9, TCP_SYN);
}

/* BUF = the packet's tuple; r5 = its protocol. */
static void fill_tuple(struct bf_asm *a)
{
	load(a, BPF_REG_1, BF_SADDR);
	bf_be(a, BPF_REG_1, 32);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_BUF, BPF_REG_1);
	load(a, BPF_REG_1, BF_DADDR);
	bf_be(a, BPF_REG_1, 32);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_BUF + 4, BPF_REG_1);
	load(a, BPF_REG_1, BF_SPORT);
	bf_be(a, BPF_REG_1, 16);
	bf_stx(a, BPF_H, BPF_REG_6, BF_FRAME_BUF + 8, BPF_REG_1);
	load(a, BPF_REG_1, BF_DPORT);
	bf_be(a, BPF_REG_1, 16);
	bf_stx(a, BPF_H, BPF_REG_6, BF_FRAME_BUF + 10, BPF_REG_1);
	load(a, BPF_REG_5, BF_PROTO);
}

/* r0 = the entry with the tuple in BUF, of protocol r5, which is to be released, or NULL. r7 is the context. */
static void find_entry(struct bf_asm *a)
{
	const struct bf_kernel *kernel = a->kernel;

	bf_sti(a, BPF_W, BPF_REG_6, OPTS, BPF_F_CURRENT_NETNS);
	bf_sti(a, BPF_W, BPF_REG_6, OPTS + 4, 0);
	bf_sti(a, BPF_W, BPF_REG_6, OPTS + 8, 0);
	bf_stx(a, BPF_B, BPF_REG_6, OPTS + OPTS_L4PROTO, BPF_REG_5);
	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_mov(a, BPF_REG_2, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_2, BF_FRAME_BUF);
	bf_movi(a, BPF_REG_3, TUPLE_SIZE);
	bf_mov(a, BPF_REG_4, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_4, OPTS);
	bf_movi(a, BPF_REG_5, OPTS_SIZE);
	bf_kfunc_ct(a, a->attach == BF_ATTACH_TC ? kernel->kfunc_skb_ct_lookup
						 : kernel->kfunc_xdp_ct_lookup);
}

void bf_emit_no_ct_entry(struct bf_asm *a, int found)
{
	int none = bf_asm_label(a);

	fill_tuple(a);
	find_entry(a);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, none);
	bf_mov(a, BPF_REG_1, BPF_REG_0);
	bf_kfunc_ct(a, a->kernel->kfunc_ct_release);
	bf_jmp(a, found);
	bf_asm_here(a, none);
	/* -ENOENT, or nobody has looked for it. */
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, OPTS + OPTS_ERROR);
	bf_jif32i(a, BPF_JNE, BPF_REG_1, -ENOENT, found);
}

/*
 * Look for the tuple in BUF, of protocol r5. To @none if there is no entry; else r8 = its status and, in
 * the upper half, what a TCP connection has as its state, and r1 = the direction.
 */
static void look_up(struct bf_packet_key *k, int none)
{
	struct bf_asm *a = k->a;
	const struct bf_kernel *kernel = a->kernel;

	find_entry(a);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, none);
	bf_ldx(a, BPF_W, BPF_REG_8, BPF_REG_0, kernel->ct_status);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_0, kernel->ct_tcp_state);
	bf_alui(a, BPF_LSH, BPF_REG_1, 32);
	bf_alu(a, BPF_OR, BPF_REG_8, BPF_REG_1);
	bf_mov(a, BPF_REG_1, BPF_REG_0);
	bf_kfunc_ct(a, kernel->kfunc_ct_release);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, OPTS + OPTS_DIR);
}

/*
 * r5 = INVALID if that is what a TCP packet may be for its flags, else 0; r8, r1 and r9 as look_up() leaves
 * them.
 */
static void check_flags(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;
	int out = bf_asm_label(a), have = bf_asm_label(a), original = bf_asm_label(a);

	bf_movi(a, BPF_REG_5, 0);
	load(a, BPF_REG_2, BF_PROTO);
	bf_jifi(a, BPF_JNE, BPF_REG_2, IPPROTO_TCP, out);
	bf_mov(a, BPF_REG_2, BPF_REG_9);
	bf_alui(a, BPF_AND, BPF_REG_2, TCP_SYN | TCP_ACK);
	bf_jifi(a, BPF_JEQ, BPF_REG_2, TCP_SYN, out);
	bf_movi(a, BPF_REG_3, RST_SET * SET_BITS);
	bf_jifi(a, BPF_JSET, BPF_REG_9, TCP_RST, have);
	bf_movi(a, BPF_REG_3, SYNACK_SET * SET_BITS);
	bf_jifi(a, BPF_JSET, BPF_REG_9, TCP_SYN, have);
	bf_movi(a, BPF_REG_3, FIN_SET * SET_BITS);
	bf_jifi(a, BPF_JSET, BPF_REG_9, TCP_FIN, have);
	bf_movi(a, BPF_REG_3, ACK_SET * SET_BITS);
	bf_asm_here(a, have);
	bf_mov(a, BPF_REG_2, BPF_REG_8);
	bf_alui(a, BPF_RSH, BPF_REG_2, 32);
	bf_alu(a, BPF_ADD, BPF_REG_2, BPF_REG_3);
	bf_alui(a, BPF_AND, BPF_REG_2, 63);
	bf_ld_imm64(a, BPF_REG_5, fitting[IP_CT_DIR_ORIGINAL]);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, original);
	bf_ld_imm64(a, BPF_REG_5, fitting[IP_CT_DIR_REPLY]);
	bf_asm_here(a, original);
	bf_alu(a, BPF_RSH, BPF_REG_5, BPF_REG_2);
	bf_alui(a, BPF_AND, BPF_REG_5, 1);
	bf_alui(a, BPF_XOR, BPF_REG_5, 1);
	bf_asm_here(a, out);
}

_Static_assert(INVALID == 1, "check_flags() makes a bit of it");

/*
 * r8 is the entry's status, r1 the direction, r9 the flags:
 *
 *	if (dir == REPLY || status & IPS_SEEN_REPLY)
 *		state = tcp && syn && !ack ? NEW | ESTABLISHED | INVALID : ESTABLISHED;
 *	else
 *		state = status & IPS_EXPECTED ? RELATED : NEW;
 *	if (tcp && !(syn && !ack) && !(fitting[dir] >> set(flags) * SET_BITS + tcp_state & 1))
 *		state |= INVALID;
 */
static void state_of_entry(struct bf_packet_key *k, int done)
{
	struct bf_asm *a = k->a;
	int established = bf_asm_label(a), found = bf_asm_label(a);

	check_flags(k);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, established);
	bf_mov(a, BPF_REG_1, BPF_REG_8);
	bf_alui(a, BPF_AND, BPF_REG_1, IPS_SEEN_REPLY);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, established);
	bf_mov(a, BPF_REG_1, BPF_REG_8);
	bf_movi(a, BPF_REG_8, RELATED);
	bf_alui(a, BPF_AND, BPF_REG_1, IPS_EXPECTED);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, found);
	bf_movi(a, BPF_REG_8, NEW);
	bf_jmp(a, found);

	bf_asm_here(a, established);
	bf_movi(a, BPF_REG_8, ESTABLISHED);
	load(a, BPF_REG_1, BF_PROTO);
	bf_jifi(a, BPF_JNE, BPF_REG_1, IPPROTO_TCP, found);
	bf_alui(a, BPF_AND, BPF_REG_9, TCP_SYN | TCP_ACK);
	bf_jifi(a, BPF_JNE, BPF_REG_9, TCP_SYN, found);
	bf_movi(a, BPF_REG_8, NEW | ESTABLISHED | INVALID);
	bf_asm_here(a, found);
	bf_alu(a, BPF_OR, BPF_REG_8, BPF_REG_5);
	bf_jmp(a, done);
}

/* There is no entry for a packet with the flags r9. Of UDP they are a SYN's. */
static void state_of_none(struct bf_packet_key *k, int done)
{
	struct bf_asm *a = k->a;
	int no_ack = bf_asm_label(a);

	bf_alui(a, BPF_AND, BPF_REG_9, TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK);
	bf_movi(a, BPF_REG_8, NEW);
	bf_jifi(a, BPF_JEQ, BPF_REG_9, TCP_SYN, done);
	bf_jifi(a, BPF_JNE, BPF_REG_9, TCP_ACK, no_ack);
	bf_movi(a, BPF_REG_8, NEW | INVALID);
	bf_jmp(a, done);
	bf_asm_here(a, no_ack);
	bf_movi(a, BPF_REG_8, INVALID);
	bf_jmp(a, done);
}

/*
 * r8 = the state of an ICMP error, as nf_conntrack_inet_error() has it: that of a packet with the tuple of
 * the one in it turned around, if there is an entry, and if it has come to who sent that.
 *
 *	if (l4len < 8 + 20 || !read(BUF, thoff + 8, 20) || BUF's fragoff)
 *		INVALID;
 *	hlen = BUF's ihl * 4;
 *	if (l4len < 8 + hlen + 4 || BUF's saddr != daddr)
 *		INVALID;
 *	if (hlen < 20 || BUF's protocol is neither TCP nor UDP)
 *		RELATED | INVALID;
 *	read(BUF + 20, thoff + 8 + hlen, 4);
 */
static void read_inner(struct bf_packet_key *k, int unknown, int invalid)
{
	struct bf_asm *a = k->a;
	int known = bf_asm_label(a);

	load(a, BPF_REG_1, BF_L4LEN);
	bf_jifi(a, BPF_JLT, BPF_REG_1, ICMP_HEADER + IP_HEADER, invalid);
	bf_ldx(a, BPF_W, BPF_REG_8, BPF_REG_6, BF_FRAME_THOFF);
	bf_alui(a, BPF_ADD, BPF_REG_8, ICMP_HEADER);
	bf_movi(a, BPF_REG_9, IP_HEADER);
	bf_packet_read(a, BPF_REG_6, BF_FRAME_BUF, BPF_REG_8, BPF_REG_9);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, k->drop);
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_6, BF_FRAME_BUF + 6);
	bf_be(a, BPF_REG_1, 16);
	bf_alui(a, BPF_AND, BPF_REG_1, 0x1fff);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, invalid);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, BF_FRAME_BUF);
	bf_alui(a, BPF_AND, BPF_REG_1, 0xf);
	bf_alui(a, BPF_LSH, BPF_REG_1, 2);
	load(a, BPF_REG_2, BF_L4LEN);
	bf_alui(a, BPF_SUB, BPF_REG_2, ICMP_HEADER + PORTS);
	bf_jif(a, BPF_JGT, BPF_REG_1, BPF_REG_2, invalid);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, BF_FRAME_BUF + 12);
	bf_be(a, BPF_REG_2, 32);
	load(a, BPF_REG_3, BF_DADDR);
	bf_jif(a, BPF_JNE, BPF_REG_2, BPF_REG_3, invalid);
	bf_jifi(a, BPF_JLT, BPF_REG_1, IP_HEADER, unknown);
	bf_alu(a, BPF_ADD, BPF_REG_8, BPF_REG_1);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, BF_FRAME_BUF + 9);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, IPPROTO_TCP, known);
	bf_jifi(a, BPF_JNE, BPF_REG_1, IPPROTO_UDP, unknown);
	bf_asm_here(a, known);
	bf_movi(a, BPF_REG_9, PORTS);
	bf_packet_read(a, BPF_REG_6, BF_FRAME_BUF + IP_HEADER, BPF_REG_8, BPF_REG_9);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, k->drop);
}

static void state_of_error(struct bf_packet_key *k, int invalid, int done)
{
	struct bf_asm *a = k->a;
	int unknown = bf_asm_label(a);

	read_inner(k, unknown, invalid);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_BUF + 16);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, BF_FRAME_BUF + 12);
	bf_ldx(a, BPF_H, BPF_REG_3, BPF_REG_6, BF_FRAME_BUF + IP_HEADER + 2);
	bf_ldx(a, BPF_H, BPF_REG_4, BPF_REG_6, BF_FRAME_BUF + IP_HEADER);
	bf_ldx(a, BPF_B, BPF_REG_5, BPF_REG_6, BF_FRAME_BUF + 9);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_BUF, BPF_REG_1);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_BUF + 4, BPF_REG_2);
	bf_stx(a, BPF_H, BPF_REG_6, BF_FRAME_BUF + 8, BPF_REG_3);
	bf_stx(a, BPF_H, BPF_REG_6, BF_FRAME_BUF + 10, BPF_REG_4);
	look_up(k, invalid);
	bf_movi(a, BPF_REG_8, RELATED);
	bf_jmp(a, done);
	bf_asm_here(a, unknown);
	bf_movi(a, BPF_REG_8, RELATED | INVALID);
	bf_jmp(a, done);
}

/* r8 = what an ICMP packet may be, by its type. */
static void state_of_icmp(struct bf_packet_key *k, int invalid, int done)
{
	const uint64_t requests = 1ULL << ICMP_ECHO | 1ULL << ICMP_TIMESTAMP |
				  1ULL << ICMP_INFO_REQUEST | 1ULL << ICMP_ADDRESS;
	const uint64_t errors = 1ULL << ICMP_DEST_UNREACH | 1ULL << ICMP_SOURCE_QUENCH |
				1ULL << ICMP_REDIRECT | 1ULL << ICMP_TIME_EXCEEDED |
				1ULL << ICMP_PARAMETERPROB;
	struct bf_asm *a = k->a;
	int error = bf_asm_label(a);

	load(a, BPF_REG_1, BF_L4LEN);
	bf_jifi(a, BPF_JLT, BPF_REG_1, ICMP_HEADER, invalid);
	load(a, BPF_REG_1, BF_ICMP);
	bf_alui(a, BPF_RSH, BPF_REG_1, 8);
	bf_jifi(a, BPF_JGT, BPF_REG_1, NR_ICMP_TYPES, invalid);
	bf_ld_imm64(a, BPF_REG_2, requests);
	bf_alu(a, BPF_RSH, BPF_REG_2, BPF_REG_1);
	bf_alui(a, BPF_AND, BPF_REG_2, 1);
	bf_movi(a, BPF_REG_8, NEW | ESTABLISHED);
	bf_jifi(a, BPF_JNE, BPF_REG_2, 0, done);
	bf_ld_imm64(a, BPF_REG_2, errors);
	bf_alu(a, BPF_RSH, BPF_REG_2, BPF_REG_1);
	bf_alui(a, BPF_AND, BPF_REG_2, 1);
	bf_jifi(a, BPF_JNE, BPF_REG_2, 0, error);
	bf_movi(a, BPF_REG_8, ESTABLISHED | INVALID);
	bf_jmp(a, done);
	bf_asm_here(a, error);
	state_of_error(k, invalid, done);
}

void bf_emit_ct_state(struct bf_packet_key *k)
{
	struct bf_asm *a = k->a;
	int egress = bf_asm_label(a), udp = bf_asm_label(a), other = bf_asm_label(a);
	int icmp = bf_asm_label(a), none = bf_asm_label(a), invalid = bf_asm_label(a);
	int find = bf_asm_label(a), done = bf_asm_label(a);

	bf_emit_if_egress(k, egress);
	if (a->attach == BF_ATTACH_TC) {
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_7, offsetof(struct __sk_buff, ifindex));
		bf_jifi(a, BPF_JEQ, BPF_REG_1, BF_LOOPBACK, egress);
	}
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_MORE);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, other);
	load(a, BPF_REG_1, BF_PROTO);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, IPPROTO_UDP, udp);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, IPPROTO_ICMP, icmp);
	bf_jifi(a, BPF_JNE, BPF_REG_1, IPPROTO_TCP, other);
	check_tcp(k, invalid);
	bf_jmp(a, find);
	bf_asm_here(a, udp);
	check_udp(k, invalid);
	bf_asm_here(a, find);
	fill_tuple(a);
	look_up(k, none);
	state_of_entry(k, done);
	bf_asm_here(a, none);
	state_of_none(k, done);
	bf_asm_here(a, icmp);
	state_of_icmp(k, invalid, done);
	bf_asm_here(a, other);
	bf_movi(a, BPF_REG_8, ANY);
	bf_jmp(a, done);
	bf_asm_here(a, invalid);
	bf_movi(a, BPF_REG_8, INVALID);
	bf_jmp(a, done);
	bf_asm_here(a, egress);
	if (a->attach == BF_ATTACH_TC)
		known_state(k, done);

	/* As with the hook, the verifier shall not know which one it is. */
	bf_asm_here(a, done);
	load(a, BPF_REG_1, BF_LEN);
	load(a, BPF_REG_2, BF_LEN);
	bf_alu(a, BPF_XOR, BPF_REG_1, BPF_REG_2);
	bf_alu(a, BPF_XOR, BPF_REG_1, BPF_REG_8);
	bf_stx(a, BPF_W, BPF_REG_6, BF_KEY(BF_CT_STATE), BPF_REG_1);
}
