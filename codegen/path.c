// SPDX-License-Identifier: GPL-2.0
/*
 * Would a packet come to INPUT or FORWARD as it is in the driver? The early-drop stage asks that of the kernel's own structures, for
 * each packet that it is about to drop, as late as can be (but for where it goes and GRO with TCP, which spares ACKs the search): so
 * whatever anybody changes is seen by the next packet, and nobody has to be told. What is looked at, in the order in which the stack comes by it:
 *
 *	the interface		in this namespace; no port, nothing at tc or nf_tables' ingress, no VRF; no tags taken off
 *	GRO			a datagram is merged if its socket wants that: where there are sockets that do, in any namespace, it goes
 *				up if there is any for it; a
 *				segment without data ends what is held: of TCP, only what asks for a connection stays (that, as
 *				it is most of what comes, in front of the rules)
 *	PREROUTING		no hook but those of ip_tables' raw, mangle and nat with an empty chain, whose policy accepts,
 *				and defragmentation, which leaves alone what is no fragment, and br_netfilter's, which
 *				does what has come through a bridge; and conntrack's, if the packet is NEW (tracked.h)
 *	the routing		no policy routing; the source is no address of the machine's, or where rp_filter is on, it lets the
 *				source pass (path_source.c); the longest match for the destination is a local address, of which all
 *				is alive; or the packet is forwarded (path_forward.c)
 *	LOCAL_IN, FORWARD	as PREROUTING; then the table's link
 *
 * All runs under rcu_read_lock(), which the structures live by but for ip_tables' rules: those are read between two looks
 * at the pointer to them. A bad address reads as 0, which nothing here takes for "harmless".
 *
 *	r6	the frame's address
 *	r7	as each part says
 *	r8	the interface's struct net_device
 *	r9	its struct net
 */
#include <linux/if_ether.h>
#include <linux/ip.h>
#include <linux/netfilter.h>
#include <linux/netfilter_ipv4/ip_tables.h>
#include <linux/rtnetlink.h>

#include "early.h"
#include "fib.h"
#include "key_packet.h"
#include "tracked.h"

#define TCP_FIN 0x01
#define TCP_SYN 0x02
#define TCP_RST 0x04
#define TCP_ACK 0x10

/* In the frame, where nothing is needed any more: uint64_t. */
#define HOOKS	(BF_FRAME_RETURNS)	/* the struct nf_hook_entries at hand */
#define TABLE	(BF_FRAME_RETURNS + 8)	/* the struct xt_table */
#define PRIVATE (BF_FRAME_RETURNS + 16) /* its struct xt_table_info */
#define FEATURE (BF_FRAME_RETURNS + 24)

/* Hooks that are looked at in one place; with more the packet goes up. */
#define MAX_HOOKS 7

/* Nodes from a trie's root to a leaf. */
#define MAX_NODES 14

/* Bytes of struct nf_hook_entry: function, private. */
#define HOOK_SIZE 16

#define VERDICT (sizeof(struct ipt_entry) + offsetof(struct xt_standard_target, verdict))

/**
 * struct path - being written
 * @up: label: as bf_emit_path() has it
 * @why: labels: the same for a reason that is not the packet's own, by enum bf_early_why
 */
struct path {
	struct bf_asm *a;
	const struct bf_kernel *k;
	const struct bf_early *early;
	int up;
	int why[BF_NR_EARLY];
};

/* dst = *(size *)(base + off) of kernel memory. dst may be r1 to r5 until the next one. */
static void read_at(struct path *p, int size, int dst, int base, int off)
{
	bf_raw(p->a, base, off);
	bf_raw_ldx(p->a, size, dst, 0);
}

static void keep(struct path *p, int where, int reg)
{
	bf_stx(p->a, BPF_DW, BPF_REG_6, where, reg);
}

static void recall(struct path *p, int reg, int where)
{
	bf_ldx(p->a, BPF_DW, reg, BPF_REG_6, where);
}

static void unless_zero(struct path *p, int reg, enum bf_early_why why)
{
	bf_jifi(p->a, BPF_JNE, reg, 0, p->why[why]);
}

/* --- the interface ----------------------------------------------------------------------------- */

/* r8, r9. r7 is the context. */
static void find_device(struct path *p, const struct bf_program *program)
{
	struct bf_packet_key k = {.a = p->a, .p = program};
	struct bf_asm *a = p->a;

	bf_emit_dev(&k);
	bf_mov(a, BPF_REG_8, BPF_REG_1);
	read_at(p, BPF_DW, BPF_REG_9, BPF_REG_8, p->k->dev_net);
	read_at(p, BPF_DW, BPF_REG_1, BPF_REG_9, p->k->net_cookie);
	bf_ld_imm64(a, BPF_REG_2, p->early->cookie);
	bf_jif(a, BPF_JNE, BPF_REG_1, BPF_REG_2, p->why[BF_EARLY_ELSEWHERE]);
}

static void check_takers(struct path *p)
{
	read_at(p, BPF_DW, BPF_REG_1, BPF_REG_8, p->k->dev_rx_handler);
	unless_zero(p, BPF_REG_1, BF_EARLY_PORT);
	if (p->k->dev_dsa) {
		read_at(p, BPF_DW, BPF_REG_1, BPF_REG_8, p->k->dev_dsa);
		unless_zero(p, BPF_REG_1, BF_EARLY_PORT);
	}
	if (p->k->dev_tc_ingress) {
		read_at(p, BPF_DW, BPF_REG_1, BPF_REG_8, p->k->dev_tc_ingress);
		unless_zero(p, BPF_REG_1, BF_EARLY_TC);
	}
	read_at(p, BPF_DW, BPF_REG_1, BPF_REG_8, p->k->dev_nf_ingress);
	unless_zero(p, BPF_REG_1, BF_EARLY_NFT_INGRESS);
	read_at(p, BPF_W, BPF_REG_1, BPF_REG_8, p->k->dev_priv_flags);
	bf_alu32i(p->a, BPF_AND, BPF_REG_1, p->k->flags_vrf);
	unless_zero(p, BPF_REG_1, BF_EARLY_VRF);
}

/* r1 = the first four bytes of the name of the interface's kind, r2 = the fifth. To @none if it has no kind. */
static void read_kind(struct path *p, int none)
{
	struct bf_asm *a = p->a;

	read_at(p, BPF_DW, BPF_REG_1, BPF_REG_8, p->k->dev_link_ops);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, none);
	read_at(p, BPF_DW, BPF_REG_1, BPF_REG_1, p->k->link_ops_kind);
	bf_raw(a, BPF_REG_1, 0);
	bf_raw_ldx(a, BPF_W, BPF_REG_1, 0);
	bf_raw_ldx(a, BPF_B, BPF_REG_2, 4);
}

/*
 * To up if there is more in the frame than the packet, which comes as sk_buff r1 and has no checksum yet: ip_rcv_core() cuts that off,
 * and discards what is to get its checksum there. r7 is the context.
 */
static void check_trailer(struct path *p)
{
	struct bf_asm *a = p->a;
	int summed = bf_asm_label(a);

	if (p->k->has_tracked) {
		/* CHECKSUM_PARTIAL is both bits. */
		read_at(p, BPF_B, BPF_REG_1, BPF_REG_1, p->k->skb_summed);
		bf_alui(a, BPF_RSH, BPF_REG_1, p->k->skb_summed_bit);
		bf_alui(a, BPF_AND, BPF_REG_1, 3);
		bf_jifi(a, BPF_JNE, BPF_REG_1, 3, summed);
	}
	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_helper(a, BPF_FUNC_xdp_get_buff_len);
	bf_alui(a, BPF_SUB, BPF_REG_0, ETH_HLEN);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, BF_FRAME_KEY + 4 * BF_LEN);
	bf_jif(a, BPF_JNE, BPF_REG_0, BPF_REG_2, p->up);
	bf_asm_here(a, summed);
}

/*
 * A card that takes tags off the frames does not show them here, and says by its features whether it does. With a veth
 * these say nothing: what it has is an sk_buff, whose tag is where the other end's stack has put it. r7 is the context.
 */
static void check_tags(struct path *p)
{
	struct bf_asm *a = p->a;
	int none = bf_asm_label(a), card = bf_asm_label(a);

	read_at(p, BPF_DW, BPF_REG_1, BPF_REG_8, p->k->dev_features);
	keep(p, FEATURE, BPF_REG_1);
	bf_sti(a, BPF_DW, BPF_REG_6, BF_FRAME_SUMMED, 0);
	read_kind(p, card);
	bf_jif32i(a, BPF_JNE, BPF_REG_1, 'v' | 'e' << 8 | 't' << 16 | 'h' << 24, card);
	bf_jifi(a, BPF_JNE, BPF_REG_2, 0, card);
	if (p->k->veth_skb) {
		read_at(p, BPF_DW, BPF_REG_1, BPF_REG_7, p->k->veth_skb);
		keep(p, BF_FRAME_SUMMED, BPF_REG_1);
		bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, none);
		read_at(p, BPF_W, BPF_REG_1, BPF_REG_1, p->k->skb_vlan);
		bf_jifi(a, BPF_JNE, BPF_REG_1, 0, p->up);
		recall(p, BPF_REG_1, BF_FRAME_SUMMED);
		check_trailer(p);
		bf_jmp(a, none);
	} else {
		bf_jmp(a, p->why[BF_EARLY_VLAN]);
	}
	bf_asm_here(a, card);
	recall(p, BPF_REG_1, FEATURE);
	bf_ld_imm64(a, BPF_REG_2, p->k->features_vlan);
	bf_alu(a, BPF_AND, BPF_REG_1, BPF_REG_2);
	unless_zero(p, BPF_REG_1, BF_EARLY_VLAN);
	bf_asm_here(a, none);
}

static void store_address(struct path *p, int to, enum bf_field field)
{
	bf_ldx(p->a, BPF_W, BPF_REG_1, BPF_REG_6, BF_KEY(field));
	bf_be(p->a, BPF_REG_1, 32);
	bf_stx(p->a, BPF_W, BPF_REG_6, to, BPF_REG_1);
}

/* To @none unless the interface, whose features r1 has, has GRO. */
static void if_gro(struct path *p, int none)
{
	bf_ld_imm64(p->a, BPF_REG_2, p->k->feature_gro);
	bf_alu(p->a, BPF_AND, BPF_REG_1, BPF_REG_2);
	bf_jifi(p->a, BPF_JEQ, BPF_REG_1, 0, none);
}

/* With GRO a segment but for a first SYN goes up: one without data would end what is held of its connection. */
static void check_gro_tcp(struct path *p)
{
	struct bf_asm *a = p->a;
	int none = bf_asm_label(a);

	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_KEY(BF_PROTO));
	bf_jifi(a, BPF_JNE, BPF_REG_1, IPPROTO_TCP, none);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_KEY(BF_TCP_FLAGS));
	bf_alui(a, BPF_AND, BPF_REG_1, TCP_FIN | TCP_SYN | TCP_RST | TCP_ACK);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, TCP_SYN, none);
	read_at(p, BPF_DW, BPF_REG_1, BPF_REG_8, p->k->dev_features);
	if_gro(p, none);
	bf_jmp(a, p->up);
	bf_asm_here(a, none);
}

/* Datagrams without a socket are not merged. */
static void check_merging(struct path *p)
{
	struct bf_asm *a = p->a;

	recall(p, BPF_REG_1, FEATURE);
	bf_ld_imm64(a, BPF_REG_2, p->k->features_merge);
	bf_alu(a, BPF_AND, BPF_REG_1, BPF_REG_2);
	unless_zero(p, BPF_REG_1, BF_EARLY_GRO);
}

/* To @up with a datagram for which there is a socket, if any socket is for merged ones. r7 is the context. */
static void check_gro(struct path *p)
{
	struct bf_asm *a = p->a;
	int none = bf_asm_label(a);

	check_merging(p);
	recall(p, BPF_REG_1, FEATURE);
	if_gro(p, none);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_KEY(BF_PROTO));
	bf_jifi(a, BPF_JNE, BPF_REG_1, IPPROTO_UDP, none);
	if (p->k->udp_merging) {
		bf_ld_imm64(a, BPF_REG_1, p->k->udp_merging);
		read_at(p, BPF_W, BPF_REG_1, BPF_REG_1, 0);
		bf_jif32i(a, BPF_JEQ, BPF_REG_1, 0, none);
	}
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_KEY(BF_L4LEN));
	bf_jifi(a, BPF_JLT, BPF_REG_1, 8, none);
	bf_emit_sk_lookup(a, BPF_FUNC_sk_lookup_udp);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, none);
	bf_emit_sk_release(a);
	bf_jmp(a, p->up);
	bf_asm_here(a, none);
}

/* --- netfilter's hooks ------------------------------------------------------------------------- */

/*
 * The hook is that of an ip_tables table, which is TABLE: its chain for @hook must be its policy alone, and that accept:
 *
 *	private->hook_entry[hook] == private->underflow[hook] && verdict == ACCEPT && private is still it
 */
static void check_table(struct path *p, unsigned int hook)
{
	struct bf_asm *a = p->a;
	const struct bf_kernel *k = p->k;

	recall(p, BPF_REG_7, TABLE);
	read_at(p, BPF_DW, BPF_REG_7, BPF_REG_7, k->table_private);
	keep(p, PRIVATE, BPF_REG_7);
	read_at(p, BPF_W, BPF_REG_1, BPF_REG_7, k->info_hook_entry + 4 * hook);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_BUF, BPF_REG_1);
	read_at(p, BPF_W, BPF_REG_1, BPF_REG_7, k->info_underflow + 4 * hook);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, BF_FRAME_BUF);
	bf_jif(a, BPF_JNE, BPF_REG_1, BPF_REG_2, p->why[BF_EARLY_TABLE]);
	bf_alu(a, BPF_ADD, BPF_REG_7, BPF_REG_1);
	read_at(p, BPF_W, BPF_REG_1, BPF_REG_7, k->info_entries + VERDICT);
	bf_jif32i(a, BPF_JNE, BPF_REG_1, -NF_ACCEPT - 1, p->why[BF_EARLY_TABLE]);
	recall(p, BPF_REG_7, TABLE);
	read_at(p, BPF_DW, BPF_REG_1, BPF_REG_7, k->table_private);
	recall(p, BPF_REG_2, PRIVATE);
	bf_jif(a, BPF_JNE, BPF_REG_1, BPF_REG_2, p->why[BF_EARLY_TABLE]);
}

/* To @label if r1 is the address of that function. */
static void if_function(struct path *p, uint64_t address, int label)
{
	if (!address)
		return;
	bf_ld_imm64(p->a, BPF_REG_2, address);
	bf_jif(p->a, BPF_JEQ, BPF_REG_1, BPF_REG_2, label);
}

/* Our link, if this is it: the hook's private is the program. r3 = that. To @done, or on to BF_EARLY_HOOK. */
static void check_link(struct path *p, int done)
{
	struct bf_asm *a = p->a;

	read_at(p, BPF_DW, BPF_REG_1, BPF_REG_3, p->k->prog_aux);
	read_at(p, BPF_W, BPF_REG_1, BPF_REG_1, p->k->aux_id);
	bf_jif32i(a, BPF_JEQ, BPF_REG_1, p->early->root_id, done);
	bf_jmp(a, p->why[BF_EARLY_HOOK]);
}

/*
 * nat's hook for all that has a chain there, whose private r3 is: TABLE is that of ip_tables, or there is none. To @harmless or
 * @table, or on to BF_EARLY_HOOK.
 */
static void check_nat(struct path *p, int harmless, int table)
{
	struct bf_asm *a = p->a;
	const struct bf_kernel *k = p->k;

	read_at(p, BPF_DW, BPF_REG_7, BPF_REG_3, k->nat_entries);
	bf_jifi(a, BPF_JEQ, BPF_REG_7, 0, harmless);
	read_at(p, BPF_H, BPF_REG_1, BPF_REG_7, k->hooks_nr);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 1, p->why[BF_EARLY_HOOK]);
	bf_raw(a, BPF_REG_7, k->hooks_list);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_raw_ldx(a, BPF_DW, BPF_REG_3, 8);
	keep(p, TABLE, BPF_REG_3);
	if_function(p, k->fn_ipt, table);
	bf_jmp(a, p->why[BF_EARLY_HOOK]);
}

/* To @tracked, or to @nat, if that is the hook whose function is r1, and all is known that must be then. */
static void if_tracking(struct path *p, unsigned int hook, int tracked, int nat)
{
	const struct bf_kernel *k = p->k;

	if (hook != NF_INET_PRE_ROUTING || !bf_tracked_known(k)) {
		if_function(p, k->fn_conntrack, p->why[BF_EARLY_CONNTRACK]);
		return;
	}
	if_function(p, k->fn_conntrack, tracked);
	if (k->has_nat)
		if_function(p, k->fn_nat, nat);
}

/* One entry of HOOKS, number @i. Falls through if it is harmless. */
static void check_hook(struct path *p, unsigned int hook, int i, int done)
{
	struct bf_asm *a = p->a;
	const struct bf_kernel *k = p->k;
	int harmless = bf_asm_label(a), table = bf_asm_label(a), link = bf_asm_label(a);
	int tracked = bf_asm_label(a), nat = bf_asm_label(a);

	recall(p, BPF_REG_7, HOOKS);
	bf_raw(a, BPF_REG_7, k->hooks_list + HOOK_SIZE * i);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_raw_ldx(a, BPF_DW, BPF_REG_3, 8);
	keep(p, TABLE, BPF_REG_3);
	if_function(p, k->fn_ipt, table);
	if_function(p, k->fn_mangle, table);
	if_function(p, k->fn_defrag, harmless);
	if_function(p, k->fn_bridge, harmless);
	if_tracking(p, hook, tracked, nat);
	if (hook != NF_INET_PRE_ROUTING)
		if_function(p, k->fn_link, link);
	bf_jmp(a, p->why[BF_EARLY_HOOK]);
	bf_asm_here(a, tracked);
	if (hook == NF_INET_PRE_ROUTING) {
		bf_sti(a, BPF_DW, BPF_REG_6, BF_FRAME_TRACKED, 1);
		bf_jmp(a, harmless);
	}
	bf_asm_here(a, nat);
	if (hook == NF_INET_PRE_ROUTING && k->has_nat)
		check_nat(p, harmless, table);
	bf_asm_here(a, link);
	if (hook != NF_INET_PRE_ROUTING)
		check_link(p, done);
	bf_asm_here(a, table);
	if (k->fn_ipt || k->fn_mangle)
		check_table(p, hook);
	bf_asm_here(a, harmless);
}

/* Those in front of the filter table, at @hook. */
static void check_hooks(struct path *p, unsigned int hook)
{
	struct bf_asm *a = p->a;
	int done = bf_asm_label(a), i;
	int end = hook == NF_INET_PRE_ROUTING ? done : p->why[BF_EARLY_HOOK];

	read_at(p, BPF_DW, BPF_REG_7, BPF_REG_9, p->k->net_hooks + 8 * hook);
	keep(p, HOOKS, BPF_REG_7);
	bf_jifi(a, BPF_JEQ, BPF_REG_7, 0, end);
	for (i = 0; i < MAX_HOOKS; i++) {
		recall(p, BPF_REG_7, HOOKS);
		read_at(p, BPF_H, BPF_REG_1, BPF_REG_7, p->k->hooks_nr);
		bf_jifi(a, BPF_JLE, BPF_REG_1, i, end);
		check_hook(p, hook, i, done);
	}
	recall(p, BPF_REG_7, HOOKS);
	read_at(p, BPF_H, BPF_REG_1, BPF_REG_7, p->k->hooks_nr);
	bf_jifi(a, BPF_JLE, BPF_REG_1, MAX_HOOKS, end);
	bf_jmp(a, p->why[BF_EARLY_HOOK]);
	bf_asm_here(a, done);
}

/* --- the routing ------------------------------------------------------------------------------- */

/* Nothing that makes more than the address matter; the interface has IP. To @filtered with rp_filter. */
static void check_routing(struct path *p, int filtered)
{
	const int rp_filter = 4 * (IPV4_DEVCONF_RP_FILTER - 1);
	struct bf_asm *a = p->a;
	const struct bf_kernel *k = p->k;

	if (k->fib_multiple_tables) {
		read_at(p, BPF_B, BPF_REG_1, BPF_REG_9, k->net_custom_rules);
		unless_zero(p, BPF_REG_1, BF_EARLY_ROUTING);
	}
	read_at(p, BPF_B, BPF_REG_1, BPF_REG_9, k->net_custom_local);
	unless_zero(p, BPF_REG_1, BF_EARLY_ROUTING);
	if (k->net_tclassid) {
		read_at(p, BPF_W, BPF_REG_1, BPF_REG_9, k->net_tclassid);
		unless_zero(p, BPF_REG_1, BF_EARLY_ROUTING);
	}
	read_at(p, BPF_DW, BPF_REG_7, BPF_REG_8, k->dev_ip_ptr);
	bf_jifi(a, BPF_JEQ, BPF_REG_7, 0, p->up);
	read_at(p, BPF_W, BPF_REG_1, BPF_REG_7, k->in_device_cnf + k->devconf_data + rp_filter);
	bf_jif32i(a, BPF_JNE, BPF_REG_1, 0, filtered);
	read_at(p, BPF_DW, BPF_REG_7, BPF_REG_9, k->net_devconf_all);
	bf_jifi(a, BPF_JEQ, BPF_REG_7, 0, p->up);
	read_at(p, BPF_W, BPF_REG_1, BPF_REG_7, k->devconf_data + rp_filter);
	bf_jif32i(a, BPF_JNE, BPF_REG_1, 0, filtered);
}

/*
 * r7 = the first route of the leaf of main's trie, which local's are in as well, that has all bits of the address. To
 * @none if there is no such leaf.
 */
static void find_leaf(struct path *p, enum bf_field field, int none)
{
	struct bf_asm *a = p->a;
	const struct bf_kernel *k = p->k;
	int leaf = bf_asm_label(a), i;

	read_at(p, BPF_DW, BPF_REG_7, BPF_REG_9, k->net_fib_main);
	bf_jifi(a, BPF_JEQ, BPF_REG_7, 0, p->up);
	read_at(p, BPF_DW, BPF_REG_7, BPF_REG_7, k->tb_data);
	read_at(p, BPF_DW, BPF_REG_7, BPF_REG_7, k->trie_kv + k->kv_tnode);
	bf_jifi(a, BPF_JEQ, BPF_REG_7, 0, none);
	for (i = 0; i < MAX_NODES; i++) {
		bf_raw(a, BPF_REG_7, 0);
		bf_raw_ldx(a, BPF_W, BPF_REG_1, k->kv_key);
		bf_raw_ldx(a, BPF_B, BPF_REG_2, k->kv_pos);
		bf_raw_ldx(a, BPF_B, BPF_REG_3, k->kv_bits);
		bf_ldx(a, BPF_W, BPF_REG_4, BPF_REG_6, BF_KEY(field));
		bf_alu(a, BPF_XOR, BPF_REG_1, BPF_REG_4);
		bf_alu(a, BPF_RSH, BPF_REG_1, BPF_REG_2);
		bf_mov(a, BPF_REG_2, BPF_REG_1);
		bf_alu(a, BPF_RSH, BPF_REG_2, BPF_REG_3);
		/* A bit that is skipped differs; or of a leaf, whose BITS are 0, any. */
		bf_jifi(a, BPF_JNE, BPF_REG_2, 0, none);
		bf_jifi(a, BPF_JEQ, BPF_REG_3, 0, leaf);
		bf_alui(a, BPF_LSH, BPF_REG_1, 3);
		bf_alu(a, BPF_ADD, BPF_REG_7, BPF_REG_1);
		read_at(p, BPF_DW, BPF_REG_7, BPF_REG_7, k->kv_tnode);
		bf_jifi(a, BPF_JEQ, BPF_REG_7, 0, none);
	}
	bf_jmp(a, p->up);
	bf_asm_here(a, leaf);
	read_at(p, BPF_DW, BPF_REG_7, BPF_REG_7, k->kv_tnode);
	bf_jifi(a, BPF_JEQ, BPF_REG_7, 0, none);
}

/* x ^= y; x -= rol32(y, n). Clobbers r4 and r5. */
static void mix(struct bf_asm *a, int x, int y, int n)
{
	bf_alu32(a, BPF_XOR, x, y);
	bf_alu32(a, BPF_MOV, BPF_REG_4, y);
	bf_alu32i(a, BPF_LSH, BPF_REG_4, n);
	bf_alu32(a, BPF_MOV, BPF_REG_5, y);
	bf_alu32i(a, BPF_RSH, BPF_REG_5, 32 - n);
	bf_alu32(a, BPF_OR, BPF_REG_4, BPF_REG_5);
	bf_alu32(a, BPF_SUB, x, BPF_REG_4);
}

/* r3 = jhash_1word(r2, r1). Clobbers r1 to r5. */
static void emit_jhash(struct bf_asm *a)
{
	bf_alu32i(a, BPF_ADD, BPF_REG_1, 0xdeadbeef + (1 << 2));
	bf_alu32(a, BPF_ADD, BPF_REG_2, BPF_REG_1);
	bf_alu32(a, BPF_MOV, BPF_REG_3, BPF_REG_1);
	/* a, b, c are r2, r1, r3. */
	mix(a, BPF_REG_3, BPF_REG_1, 14);
	mix(a, BPF_REG_2, BPF_REG_3, 11);
	mix(a, BPF_REG_1, BPF_REG_2, 25);
	mix(a, BPF_REG_3, BPF_REG_1, 16);
	mix(a, BPF_REG_2, BPF_REG_3, 4);
	mix(a, BPF_REG_1, BPF_REG_2, 14);
	mix(a, BPF_REG_3, BPF_REG_1, 24);
}

/* Addresses that are looked at in one list of the hash table; with more the packet goes up. */
#define MAX_ADDRESSES 16

/*
 * r7 = the list that the address in BF_FRAME_BUF, in the packet's order, would be in. Clobbers r0 to r5.
 * inet_lookup_ifaddr_rcu(), since Linux 6.14, and before:
 *
 *	list = &net->ipv4.inet_addr_lst[hash_32(jhash_1word(addr, net->hash_mix), 8)];
 *	list = &inet_addr_lst[hash_32(addr ^ net->hash_mix, 8)];
 */
static void find_list(struct path *p)
{
	struct bf_asm *a = p->a;
	const struct bf_kernel *k = p->k;

	read_at(p, BPF_W, BPF_REG_1, BPF_REG_9, k->net_hash_mix);
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, BF_FRAME_BUF);
	if (k->net_addresses) {
		emit_jhash(a);
	} else {
		bf_mov(a, BPF_REG_3, BPF_REG_1);
		bf_alu32(a, BPF_XOR, BPF_REG_3, BPF_REG_2);
	}
	bf_alu32i(a, BPF_MUL, BPF_REG_3, 0x61c88647);
	bf_alu32i(a, BPF_RSH, BPF_REG_3, 32 - 8);
	bf_alui(a, BPF_LSH, BPF_REG_3, 3);
	bf_mov(a, BPF_REG_7, BPF_REG_3);
	if (k->net_addresses)
		read_at(p, BPF_DW, BPF_REG_1, BPF_REG_9, k->net_addresses);
	else
		bf_ld_imm64(a, BPF_REG_1, k->all_addresses);
	bf_alu(a, BPF_ADD, BPF_REG_7, BPF_REG_1);
}

/* Is an interface's address, be it up or not, the one in BF_FRAME_BUF? To @found or @missing. */
static void find_address(struct path *p, int found, int missing)
{
	struct bf_asm *a = p->a;
	const struct bf_kernel *k = p->k;
	const int node = (int)k->ifa_node;
	int i;

	find_list(p);
	for (i = 0; i < MAX_ADDRESSES; i++) {
		int other = bf_asm_label(a);

		/* The next one is the first thing in a list's head, and in a node. */
		read_at(p, BPF_DW, BPF_REG_7, BPF_REG_7, 0);
		bf_jifi(a, BPF_JEQ, BPF_REG_7, 0, missing);
		read_at(p, BPF_W, BPF_REG_1, BPF_REG_7, (int)k->ifa_local - node);
		bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, BF_FRAME_BUF);
		bf_jif(a, BPF_JNE, BPF_REG_1, BPF_REG_2, other);
		if (!k->net_addresses) {
			read_at(p, BPF_DW, BPF_REG_1, BPF_REG_7, (int)k->ifa_dev - node);
			read_at(p, BPF_DW, BPF_REG_1, BPF_REG_1, k->in_device_dev);
			read_at(p, BPF_DW, BPF_REG_1, BPF_REG_1, k->dev_net);
			bf_jif(a, BPF_JNE, BPF_REG_1, BPF_REG_9, other);
		}
		bf_jmp(a, found);
		bf_asm_here(a, other);
	}
	bf_jmp(a, p->up);
}

static bool has_forward(const struct bf_program *program)
{
	return program->early_hooks & 1 << NF_INET_FORWARD;
}

/* To @label if it is FORWARD's. */
static void if_forwarded(struct path *p, const struct bf_program *program, int label)
{
	if (!has_forward(program))
		return;
	bf_ldx(p->a, BPF_W, BPF_REG_1, BPF_REG_6, BF_KEY(BF_HOOK));
	bf_jifi(p->a, BPF_JEQ, BPF_REG_1, NF_INET_FORWARD, label);
}

/*
 * BF_FRAME_BUF = an address that is one of the machine's for certain, in the packet's order: its destination, or where that is
 * forwarded the first one of the interface.
 */
static void find_own(struct path *p, const struct bf_program *program)
{
	struct bf_asm *a = p->a;
	int forwarded = bf_asm_label(a), done = bf_asm_label(a);

	if_forwarded(p, program, forwarded);
	store_address(p, BF_FRAME_BUF, BF_DADDR);
	bf_jmp(a, done);
	bf_asm_here(a, forwarded);
	if (has_forward(program)) {
		read_at(p, BPF_DW, BPF_REG_1, BPF_REG_8, p->k->dev_ip_ptr);
		read_at(p, BPF_DW, BPF_REG_1, BPF_REG_1, p->k->in_device_addrs);
		bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, p->up);
		read_at(p, BPF_W, BPF_REG_1, BPF_REG_1, p->k->ifa_local);
		bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_BUF, BPF_REG_1);
	}
	bf_asm_here(a, done);
}

/*
 * The source is none of the machine's addresses. Where it is not known that this kernel finds them so, it must be one without a route
 * of its own, and one of the machine's must be found in the same way; but one of 256 is found by chance.
 */
static void check_source(struct path *p, const struct bf_program *program)
{
	struct bf_asm *a = p->a;
	int none = bf_asm_label(a), known = bf_asm_label(a), other = bf_asm_label(a);

	if (!p->k->addresses_known) {
		find_leaf(p, BF_SADDR, none);
		/* A route to that address alone, whatever it is. */
		bf_jmp(a, p->up);
		bf_asm_here(a, none);
		find_own(p, program);
		find_address(p, known, p->why[BF_EARLY_ADDRESSES]);
		bf_asm_here(a, known);
	}
	store_address(p, BF_FRAME_BUF, BF_SADDR);
	find_address(p, p->up, other);
	bf_asm_here(a, other);
}

/*
 * The destination is one of the machine's addresses: its first route is a local one, without a TOS, and alive, as its one next hop
 * is. To @other if its first route is not one to an address of the machine.
 */
static void check_destination(struct path *p, int other)
{
	struct bf_asm *a = p->a;
	const struct bf_kernel *k = p->k;

	find_leaf(p, BF_DADDR, other);
	read_at(p, BPF_B, BPF_REG_1, BPF_REG_7, (int)k->fa_slen - (int)k->fa_list);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, other);
	read_at(p, BPF_B, BPF_REG_1, BPF_REG_7, (int)k->fa_type - (int)k->fa_list);
	bf_jifi(a, BPF_JNE, BPF_REG_1, RTN_LOCAL, other);
	read_at(p, BPF_B, BPF_REG_1, BPF_REG_7, (int)k->fa_dscp - (int)k->fa_list);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, p->up);
	read_at(p, BPF_DW, BPF_REG_7, BPF_REG_7, (int)k->fa_info - (int)k->fa_list);
	bf_jifi(a, BPF_JEQ, BPF_REG_7, 0, p->up);
	read_at(p, BPF_B, BPF_REG_1, BPF_REG_7, k->fib_dead);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, p->up);
	read_at(p, BPF_W, BPF_REG_1, BPF_REG_7, k->fib_flags);
	bf_alui(a, BPF_AND, BPF_REG_1, RTNH_F_DEAD | RTNH_F_LINKDOWN);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, p->up);
	read_at(p, BPF_DW, BPF_REG_1, BPF_REG_7, k->fib_nexthop);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, p->up);
	read_at(p, BPF_B, BPF_REG_1, BPF_REG_7, k->fib_nh + k->nhc_flags);
	bf_alui(a, BPF_AND, BPF_REG_1, RTNH_F_DEAD | RTNH_F_LINKDOWN);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, p->up);
}

/* --- all of it --------------------------------------------------------------------------------- */

/* Where the reasons lead to, which are counted. */
static void emit_reasons(struct path *p)
{
	struct bf_asm *a = p->a;
	int count = bf_asm_label(a), i;

	for (i = BF_EARLY_NONE + 1; i < BF_NR_EARLY; i++) {
		bf_asm_here(a, p->why[i]);
		bf_movi(a, BPF_REG_7, i);
		bf_jmp(a, count);
	}
	bf_asm_here(a, count);
	bf_emit_early_count(a);
	bf_jmp(a, p->up);
}

void bf_emit_chain(struct bf_asm *a, const struct bf_program *program, int up)
{
	struct path p = {.a = a, .k = a->kernel, .early = program->early, .up = up};
	int other = bf_asm_label(a), done = bf_asm_label(a);

	check_gro_tcp(&p);
	read_at(&p, BPF_DW, BPF_REG_9, BPF_REG_8, p.k->dev_net);
	check_destination(&p, has_forward(program) ? other : up);
	if (program->early_hooks & 1 << NF_INET_LOCAL_IN)
		bf_emit_early_hook(a, NF_INET_LOCAL_IN);
	else
		bf_jmp(a, up);
	bf_jmp(a, done);
	bf_asm_here(a, other);
	if (has_forward(program)) {
		bf_emit_forward(a, program, up);
		bf_emit_early_hook(a, NF_INET_FORWARD);
	}
	bf_asm_here(a, done);
}

/* Between the routing and the table. */
static void check_late_hooks(struct path *p, const struct bf_program *program)
{
	struct bf_asm *a = p->a;
	int forwarded = bf_asm_label(a), done = bf_asm_label(a);

	if_forwarded(p, program, forwarded);
	check_hooks(p, NF_INET_LOCAL_IN);
	bf_jmp(a, done);
	bf_asm_here(a, forwarded);
	if (has_forward(program)) {
		bf_emit_ipsec(a, p->why[BF_EARLY_IPSEC]);
		check_hooks(p, NF_INET_FORWARD);
	}
	bf_asm_here(a, done);
}

void bf_emit_path_functions(struct bf_asm *a, const struct bf_program *program)
{
	int walk = bf_asm_label(a);

	bf_emit_source_function(a, walk);
	if (has_forward(program))
		bf_emit_forward_function(a, walk);
	bf_fib_back_function(a, walk);
}

void bf_emit_path(struct bf_asm *a, const struct bf_program *program, int up)
{
	struct path p = {.a = a, .k = a->kernel, .early = program->early, .up = up};
	int clear = bf_asm_label(a), filtered = bf_asm_label(a), passes = bf_asm_label(a);
	int forwarded = bf_asm_label(a), i;

	for (i = 0; i < BF_NR_EARLY; i++)
		p.why[i] = bf_asm_label(a);
	bf_ldx(a, BPF_DW, BPF_REG_7, BPF_REG_6, BF_FRAME_SKB);
	find_device(&p, program);
	check_takers(&p);
	check_tags(&p);
	bf_sti(a, BPF_DW, BPF_REG_6, BF_FRAME_TRACKED, 0);
	check_hooks(&p, NF_INET_PRE_ROUTING);
	check_routing(&p, filtered);
	check_source(&p, program);
	bf_jmp(a, passes);
	bf_asm_here(a, filtered);
	bf_emit_source(a, up);
	bf_asm_here(a, passes);
	check_late_hooks(&p, program);
	bf_ldx(a, BPF_DW, BPF_REG_7, BPF_REG_6, BF_FRAME_SKB);
	bf_emit_tracked(a, program, up, p.why);
	bf_ldx(a, BPF_DW, BPF_REG_7, BPF_REG_6, BF_FRAME_SKB);
	if_forwarded(&p, program, forwarded);
	check_gro(&p);
	bf_jmp(a, clear);
	bf_asm_here(a, forwarded);
	if (has_forward(program)) {
		check_merging(&p);
		bf_emit_socket(a, up);
	}
	bf_jmp(a, clear);
	emit_reasons(&p);
	bf_asm_here(a, clear);
}
