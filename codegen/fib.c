// SPDX-License-Identifier: GPL-2.0
/*
 * __inet_dev_addr_type() (net/ipv4/fib_frontend.c) and fib_table_lookup() (net/ipv4/fib_trie.c) as
 * a state machine: bpf_loop() calls a function that takes one step. Loops inside loops would cost
 * the verifier dearly, and the walk goes back up as often as it likes.
 *
 * The flow that is looked up has an address and nothing else: no TOS, scope 0, no device. So
 * an alias with a TOS never matches, and the scope always does.
 *
 * Registers of the step: r6 is the context (enum bf_fib), r7 what BF_FIB_NODE points to, r8
 * and r9 as each phase says; r0 to r5 are lost with each read of kernel memory. Packets are
 * filtered under rcu_read_lock(), which is what the kernel's own walk relies on; an address
 * that is no longer valid reads as 0.
 */
#include <linux/ip.h>
#include <linux/rtnetlink.h>

#include "fib.h"

#define RT_KEYLENGTH 32

/* More than a trie of 32-bit keys and routes with hundreds of next hops can take. */
#define MAX_STEPS 65536

enum phase {
	PHASE_TABLE,  /* NODE is the next table of the hash chain */
	PHASE_DOWN,   /* NODE is a node on the way to the longest match */
	PHASE_PREFIX, /* NODE is a node that a shorter match may be under */
	PHASE_BACK,   /* PARENT's child INDEX was no match */
	PHASE_ALIAS,  /* NODE is the next route of a leaf */
	PHASE_HOP,    /* next hop HOP of route NODE; INFO is its fib_info */
	PHASE_GROUP,  /* next hop HOP of route NODE; INFO is the nh_group */
	PHASE_SINGLE, /* route NODE has one next hop, an object of its own */
	PHASE_DONE,
};

/* Labels that all phases share. */
struct walk {
	struct bf_asm *a;
	const struct bf_kernel *k;
	int go_on;	/* next step */
	int stop;	/* the type is known */
	int back;	/* go on with PHASE_BACK */
	int leaf;	/* r7 is a leaf that may match */
	int next_alias; /* r7 is a route that does not match */
	int hop;	/* r9 is a fib_nh_common: is it usable? */
	int bad_hop;	/* it is not */
};

/* dst = *(size *)(base + off) of kernel memory */
static void load(struct walk *w, int size, int dst, int base, int off)
{
	bf_raw(w->a, base, off);
	bf_raw_ldx(w->a, size, dst, 0);
}

static void get(struct walk *w, int dst, int field)
{
	bf_ldx(w->a, field < BF_FIB_INDEX ? BPF_DW : BPF_W, dst, BPF_REG_6, field);
}

static void set(struct walk *w, int field, int src)
{
	bf_stx(w->a, field < BF_FIB_INDEX ? BPF_DW : BPF_W, BPF_REG_6, field, src);
}

static void seti(struct walk *w, int field, int32_t value)
{
	bf_sti(w->a, BPF_W, BPF_REG_6, field, value);
}

/* r8 = key, r1 = pos, r2 = bits, r3 = slen of the node r7; its children stay readable at r0. */
static void load_node(struct walk *w)
{
	const struct bf_kernel *k = w->k;

	bf_raw(w->a, BPF_REG_7, 0);
	bf_raw_ldx(w->a, BPF_W, BPF_REG_8, k->kv_key);
	bf_raw_ldx(w->a, BPF_B, BPF_REG_1, k->kv_pos);
	bf_raw_ldx(w->a, BPF_B, BPF_REG_2, k->kv_bits);
	bf_raw_ldx(w->a, BPF_B, BPF_REG_3, k->kv_slen);
}

/* NODE = r7->tnode[r8]; the flags of r1 tell whether there is one */
static void load_child(struct walk *w)
{
	bf_alui(w->a, BPF_LSH, BPF_REG_8, 3);
	bf_alu(w->a, BPF_ADD, BPF_REG_8, BPF_REG_7);
	load(w, BPF_DW, BPF_REG_1, BPF_REG_8, w->k->kv_tnode);
	set(w, BF_FIB_NODE, BPF_REG_1);
}

/*
 *	if (!tb)
 *		stop;
 *	if (tb->tb_id != RT_TABLE_LOCAL) {
 *		tb = tb->tb_hlist.next;
 *		continue;
 *	}
 *	type = RTN_UNICAST;
 *	parent = ((struct trie *)tb->tb_data)->kv;
 *	index = 0;
 *	node = parent->tnode[0];
 *	if (!node)
 *		stop;
 */
static void emit_table(struct walk *w)
{
	struct bf_asm *a = w->a;
	const struct bf_kernel *k = w->k;
	int local = bf_asm_label(a);

	bf_jifi(a, BPF_JEQ, BPF_REG_7, 0, w->stop);
	load(w, BPF_W, BPF_REG_8, BPF_REG_7, (int)k->tb_id - (int)k->tb_hlist);
	bf_jif32i(a, BPF_JEQ, BPF_REG_8, RT_TABLE_LOCAL, local);
	load(w, BPF_DW, BPF_REG_1, BPF_REG_7, 0);
	set(w, BF_FIB_NODE, BPF_REG_1);
	bf_jmp(a, w->go_on);

	bf_asm_here(a, local);
	seti(w, BF_FIB_TYPE, RTN_UNICAST);
	load(w, BPF_DW, BPF_REG_7, BPF_REG_7, (int)k->tb_data - (int)k->tb_hlist);
	bf_alui(a, BPF_ADD, BPF_REG_7, k->trie_kv);
	set(w, BF_FIB_PARENT, BPF_REG_7);
	seti(w, BF_FIB_INDEX, 0);
	bf_movi(a, BPF_REG_8, 0);
	load_child(w);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, w->stop);
	seti(w, BF_FIB_PHASE, PHASE_DOWN);
	bf_jmp(a, w->go_on);
}

/*
 *	index = (key ^ n->key) >> n->pos;
 *	if (index >> n->bits) {		// a bit that the node skips differs
 *		phase = PHASE_PREFIX;
 *		continue;
 *	}
 *	if (!n->bits)
 *		goto leaf;
 *	if (n->slen > n->pos) {		// shorter prefixes are to be found below
 *		parent = n;
 *		parent_index = index;
 *	}
 *	node = n->tnode[index];
 *	if (!node)
 *		goto back;
 */
static void emit_down(struct walk *w)
{
	struct bf_asm *a = w->a;
	int prefix = bf_asm_label(a), deeper = bf_asm_label(a);

	load_node(w);
	get(w, BPF_REG_4, BF_FIB_KEY);
	bf_alu32(a, BPF_XOR, BPF_REG_8, BPF_REG_4);
	bf_alu(a, BPF_RSH, BPF_REG_8, BPF_REG_1);
	bf_mov(a, BPF_REG_4, BPF_REG_8);
	bf_alu(a, BPF_RSH, BPF_REG_4, BPF_REG_2);
	bf_jifi(a, BPF_JNE, BPF_REG_4, 0, prefix);
	bf_jifi(a, BPF_JEQ, BPF_REG_2, 0, w->leaf);
	bf_jif(a, BPF_JLE, BPF_REG_3, BPF_REG_1, deeper);
	set(w, BF_FIB_PARENT, BPF_REG_7);
	set(w, BF_FIB_INDEX, BPF_REG_8);
	bf_asm_here(a, deeper);
	load_child(w);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, w->back);
	bf_jmp(a, w->go_on);

	bf_asm_here(a, prefix);
	seti(w, BF_FIB_PHASE, PHASE_PREFIX);
	bf_jmp(a, w->go_on);
}

/*
 *	if ((key ^ n->key) & (n->key | -n->key) || n->slen == n->pos)
 *		goto back;
 *	if (!n->bits)
 *		goto leaf;
 *	node = n->tnode[0];
 *	if (!node)
 *		goto back;
 */
static void emit_prefix(struct walk *w)
{
	struct bf_asm *a = w->a;

	load_node(w);
	get(w, BPF_REG_4, BF_FIB_KEY);
	bf_alu32(a, BPF_XOR, BPF_REG_4, BPF_REG_8);
	bf_movi(a, BPF_REG_5, 0);
	bf_alu32(a, BPF_SUB, BPF_REG_5, BPF_REG_8);
	bf_alu32(a, BPF_OR, BPF_REG_5, BPF_REG_8);
	bf_alu32(a, BPF_AND, BPF_REG_4, BPF_REG_5);
	bf_jif32i(a, BPF_JNE, BPF_REG_4, 0, w->back);
	bf_jif(a, BPF_JEQ, BPF_REG_3, BPF_REG_1, w->back);
	bf_jifi(a, BPF_JEQ, BPF_REG_2, 0, w->leaf);
	bf_movi(a, BPF_REG_8, 0);
	load_child(w);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, w->back);
	bf_jmp(a, w->go_on);
}

/*
 *	if (!index) {
 *		if (parent->pos >= 32)
 *			stop;
 *		key = parent->key;
 *		parent = node_parent(parent);
 *		index = (key ^ parent->key) >> parent->pos;
 *		continue;
 *	}
 *	index &= index - 1;
 *	node = parent->tnode[index];
 *	if (node)
 *		phase = PHASE_PREFIX;
 */
static void emit_back(struct walk *w)
{
	struct bf_asm *a = w->a;
	int strip = bf_asm_label(a);

	get(w, BPF_REG_7, BF_FIB_PARENT);
	get(w, BPF_REG_8, BF_FIB_INDEX);
	bf_jifi(a, BPF_JNE, BPF_REG_8, 0, strip);
	load_node(w);
	bf_jifi(a, BPF_JGE, BPF_REG_1, RT_KEYLENGTH, w->stop);
	bf_mov(a, BPF_REG_9, BPF_REG_8);
	load(w, BPF_DW, BPF_REG_7, BPF_REG_7, w->k->kv_parent);
	load_node(w);
	bf_alu32(a, BPF_XOR, BPF_REG_8, BPF_REG_9);
	bf_alu(a, BPF_RSH, BPF_REG_8, BPF_REG_1);
	set(w, BF_FIB_PARENT, BPF_REG_7);
	set(w, BF_FIB_INDEX, BPF_REG_8);
	bf_jmp(a, w->go_on);

	bf_asm_here(a, strip);
	bf_mov(a, BPF_REG_1, BPF_REG_8);
	bf_alui(a, BPF_SUB, BPF_REG_1, 1);
	bf_alu(a, BPF_AND, BPF_REG_8, BPF_REG_1);
	set(w, BF_FIB_INDEX, BPF_REG_8);
	load_child(w);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, w->go_on);
	seti(w, BF_FIB_PHASE, PHASE_PREFIX);
	bf_jmp(a, w->go_on);
}

/*
 * The leaf r7 may match:
 *
 *	diff = key ^ n->key;
 *	node = n->leaf.first;
 */
static void emit_leaf(struct walk *w)
{
	struct bf_asm *a = w->a;

	load_node(w);
	get(w, BPF_REG_4, BF_FIB_KEY);
	bf_alu32(a, BPF_XOR, BPF_REG_8, BPF_REG_4);
	set(w, BF_FIB_DIFF, BPF_REG_8);
	bf_movi(a, BPF_REG_8, 0);
	load_child(w);
	seti(w, BF_FIB_PHASE, PHASE_ALIAS);
	bf_jmp(a, w->go_on);
}

/*
 * A route with a next hop that is an object of its own, r9:
 *
 *	if (!nh->is_group) {
 *		if (nh->nh_info->reject_nh)
 *			stop;
 *		goto hop;
 *	}
 *	info = nh->nh_grp;
 *	if (info->num_nh <= 1 && info->nh_entries[0].nh->nh_info->reject_nh)
 *		stop;
 */
static void emit_nexthop(struct walk *w)
{
	struct bf_asm *a = w->a;
	const struct bf_kernel *k = w->k;
	int group = bf_asm_label(a), several = bf_asm_label(a);

	load(w, BPF_B, BPF_REG_8, BPF_REG_9, k->nexthop_is_group);
	load(w, BPF_DW, BPF_REG_9, BPF_REG_9, k->nexthop_info);
	bf_jifi(a, BPF_JNE, BPF_REG_8, 0, group);
	load(w, BPF_B, BPF_REG_1, BPF_REG_9, k->nh_info_reject_nh);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, w->stop);
	seti(w, BF_FIB_PHASE, PHASE_SINGLE);
	bf_alui(a, BPF_ADD, BPF_REG_9, k->nh_info_nhc);
	bf_jmp(a, w->hop);

	bf_asm_here(a, group);
	set(w, BF_FIB_INFO, BPF_REG_9);
	seti(w, BF_FIB_PHASE, PHASE_GROUP);
	load(w, BPF_H, BPF_REG_1, BPF_REG_9, k->nh_group_num_nh);
	bf_jifi(a, BPF_JGT, BPF_REG_1, 1, several);
	load(w, BPF_DW, BPF_REG_9, BPF_REG_9, k->nh_group_entries + k->nh_entry_nh);
	load(w, BPF_DW, BPF_REG_9, BPF_REG_9, k->nexthop_info);
	load(w, BPF_B, BPF_REG_1, BPF_REG_9, k->nh_info_reject_nh);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, w->stop);
	bf_asm_here(a, several);
	bf_jmp(a, w->go_on);
}

/*
 *	if (!fa)
 *		goto back;
 *	if (diff >> fa->fa_slen || fa->fa_dscp || fi->fib_dead)
 *		goto next_alias;
 *	if (fa->fa_type >= RTN_BLACKHOLE)	// fib_props[].error: ends the lookup
 *		stop;
 *	if (fi->fib_flags & RTNH_F_DEAD)
 *		goto next_alias;
 *	hop = 0;
 *	if (fi->nh)
 *		(emit_nexthop)
 *
 * r8 is the fib_info.
 */
static void emit_alias(struct walk *w)
{
	struct bf_asm *a = w->a;
	const struct bf_kernel *k = w->k;
	int fa = k->fa_list, object = bf_asm_label(a);

	bf_jifi(a, BPF_JEQ, BPF_REG_7, 0, w->back);
	load(w, BPF_B, BPF_REG_8, BPF_REG_7, (int)k->fa_slen - fa);
	get(w, BPF_REG_1, BF_FIB_DIFF);
	bf_alu(a, BPF_RSH, BPF_REG_1, BPF_REG_8);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, w->next_alias);
	load(w, BPF_B, BPF_REG_1, BPF_REG_7, (int)k->fa_dscp - fa);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, w->next_alias);
	load(w, BPF_DW, BPF_REG_8, BPF_REG_7, (int)k->fa_info - fa);
	load(w, BPF_B, BPF_REG_1, BPF_REG_8, k->fib_dead);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, w->next_alias);
	load(w, BPF_B, BPF_REG_1, BPF_REG_7, (int)k->fa_type - fa);
	bf_jifi(a, BPF_JGE, BPF_REG_1, RTN_BLACKHOLE, w->stop);
	load(w, BPF_W, BPF_REG_1, BPF_REG_8, k->fib_flags);
	bf_alui(a, BPF_AND, BPF_REG_1, RTNH_F_DEAD);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, w->next_alias);

	seti(w, BF_FIB_HOP, 0);
	load(w, BPF_DW, BPF_REG_9, BPF_REG_8, k->fib_nexthop);
	bf_jifi(a, BPF_JNE, BPF_REG_9, 0, object);
	set(w, BF_FIB_INFO, BPF_REG_8);
	seti(w, BF_FIB_PHASE, PHASE_HOP);
	bf_jmp(a, w->go_on);
	bf_asm_here(a, object);
	emit_nexthop(w);
}

/*
 *	node = fa->fa_list.next;
 */
static void emit_next_alias(struct walk *w)
{
	bf_asm_here(w->a, w->next_alias);
	load(w, BPF_DW, BPF_REG_1, BPF_REG_7, 0);
	set(w, BF_FIB_NODE, BPF_REG_1);
	seti(w, BF_FIB_PHASE, PHASE_ALIAS);
	bf_jmp(w->a, w->go_on);
}

/*
 *	if (hop >= fi->fib_nhs)
 *		goto next_alias;
 *	nhc = &fi->fib_nh[hop].nh_common;
 */
static void emit_hop(struct walk *w)
{
	struct bf_asm *a = w->a;
	const struct bf_kernel *k = w->k;

	get(w, BPF_REG_9, BF_FIB_INFO);
	load(w, BPF_W, BPF_REG_1, BPF_REG_9, k->fib_nhs);
	get(w, BPF_REG_8, BF_FIB_HOP);
	bf_jif(a, BPF_JGE, BPF_REG_8, BPF_REG_1, w->next_alias);
	bf_alui(a, BPF_MUL, BPF_REG_8, k->fib_nh_size);
	bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_8);
	bf_alui(a, BPF_ADD, BPF_REG_9, k->fib_nh);
	bf_jmp(a, w->hop);
}

/* r9 = &r9->nh_entries[0].nh->nh_info->fib_nhc */
static void load_member(struct walk *w)
{
	const struct bf_kernel *k = w->k;

	load(w, BPF_DW, BPF_REG_9, BPF_REG_9, k->nh_group_entries + k->nh_entry_nh);
	load(w, BPF_DW, BPF_REG_9, BPF_REG_9, k->nexthop_info);
	bf_alui(w->a, BPF_ADD, BPF_REG_9, k->nh_info_nhc);
}

/*
 *	if (hop >= group->num_nh)
 *		goto back;
 *	nhc = &group->nh_entries[hop].nh->nh_info->fib_nhc;
 */
static void emit_group(struct walk *w)
{
	struct bf_asm *a = w->a;
	const struct bf_kernel *k = w->k;

	get(w, BPF_REG_9, BF_FIB_INFO);
	load(w, BPF_H, BPF_REG_1, BPF_REG_9, k->nh_group_num_nh);
	get(w, BPF_REG_8, BF_FIB_HOP);
	bf_jif(a, BPF_JGE, BPF_REG_8, BPF_REG_1, w->back);
	bf_alui(a, BPF_MUL, BPF_REG_8, k->nh_entry_size);
	bf_alu(a, BPF_ADD, BPF_REG_9, BPF_REG_8);
	load_member(w);
	bf_jmp(a, w->hop);
}

/*
 * fib_lookup_good_nhc() of the next hop r9:
 *
 *	if (nhc->nhc_flags & RTNH_F_DEAD)
 *		goto bad_hop;
 *	in_dev = nhc->nhc_dev->ip_ptr;
 *	if (nhc->nhc_flags & RTNH_F_LINKDOWN && in_dev &&
 *	    (net->ipv4.devconf_all->data[i] || in_dev->cnf.data[i]))
 *		goto bad_hop;
 *
 * r8 is the flags, then the device.
 */
static void emit_check_hop(struct walk *w)
{
	struct bf_asm *a = w->a;
	const struct bf_kernel *k = w->k;
	int linkdown = k->devconf_data + 4 * (IPV4_DEVCONF_IGNORE_ROUTES_WITH_LINKDOWN - 1);
	int good = bf_asm_label(a);

	bf_asm_here(a, w->hop);
	load(w, BPF_B, BPF_REG_8, BPF_REG_9, k->nhc_flags);
	bf_mov(a, BPF_REG_1, BPF_REG_8);
	bf_alui(a, BPF_AND, BPF_REG_1, RTNH_F_DEAD);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, w->bad_hop);
	bf_alui(a, BPF_AND, BPF_REG_8, RTNH_F_LINKDOWN);
	bf_jifi(a, BPF_JEQ, BPF_REG_8, 0, good);
	load(w, BPF_DW, BPF_REG_8, BPF_REG_9, k->nhc_dev);
	load(w, BPF_DW, BPF_REG_8, BPF_REG_8, k->dev_ip_ptr);
	bf_jifi(a, BPF_JEQ, BPF_REG_8, 0, good);
	load(w, BPF_W, BPF_REG_1, BPF_REG_8, k->in_device_cnf + linkdown);
	bf_jif32i(a, BPF_JNE, BPF_REG_1, 0, w->bad_hop);
	get(w, BPF_REG_8, BF_FIB_NET);
	load(w, BPF_DW, BPF_REG_8, BPF_REG_8, k->net_devconf_all);
	load(w, BPF_W, BPF_REG_1, BPF_REG_8, linkdown);
	bf_jif32i(a, BPF_JNE, BPF_REG_1, 0, w->bad_hop);
	bf_asm_here(a, good);
}

/*
 * A usable next hop makes the route the answer, but it is the first one's device that counts:
 *
 *	nhc = first of the route (PHASE_SINGLE: it is r9 already);
 *	if (!dev || dev == nhc->nhc_dev)
 *		type = fa->fa_type;
 *	stop;
 */
static void emit_found(struct walk *w)
{
	struct bf_asm *a = w->a;
	const struct bf_kernel *k = w->k;
	int typed = bf_asm_label(a), compare = bf_asm_label(a), group = bf_asm_label(a);

	get(w, BPF_REG_8, BF_FIB_DEV);
	bf_jifi(a, BPF_JEQ, BPF_REG_8, 0, typed);
	get(w, BPF_REG_1, BF_FIB_PHASE);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, PHASE_SINGLE, compare);
	get(w, BPF_REG_9, BF_FIB_INFO);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, PHASE_GROUP, group);
	bf_alui(a, BPF_ADD, BPF_REG_9, k->fib_nh);
	bf_jmp(a, compare);
	bf_asm_here(a, group);
	load_member(w);
	bf_asm_here(a, compare);
	load(w, BPF_DW, BPF_REG_1, BPF_REG_9, k->nhc_dev);
	bf_jif(a, BPF_JNE, BPF_REG_1, BPF_REG_8, w->stop);
	bf_asm_here(a, typed);
	load(w, BPF_B, BPF_REG_1, BPF_REG_7, (int)k->fa_type - (int)k->fa_list);
	set(w, BF_FIB_TYPE, BPF_REG_1);
	bf_jmp(a, w->stop);
}

/*
 *	if (phase == PHASE_SINGLE)
 *		goto back;
 *	hop++;
 */
static void emit_bad_hop(struct walk *w)
{
	struct bf_asm *a = w->a;

	bf_asm_here(a, w->bad_hop);
	get(w, BPF_REG_1, BF_FIB_PHASE);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, PHASE_SINGLE, w->back);
	get(w, BPF_REG_1, BF_FIB_HOP);
	bf_alui(a, BPF_ADD, BPF_REG_1, 1);
	set(w, BF_FIB_HOP, BPF_REG_1);
	bf_jmp(a, w->go_on);
}

static void emit_ends(struct walk *w)
{
	struct bf_asm *a = w->a;

	bf_asm_here(a, w->stop);
	seti(w, BF_FIB_PHASE, PHASE_DONE);
	bf_movi(a, BPF_REG_0, 1);
	bf_exit(a);
	bf_asm_here(a, w->back);
	seti(w, BF_FIB_PHASE, PHASE_BACK);
	bf_asm_here(a, w->go_on);
	bf_movi(a, BPF_REG_0, 0);
	bf_exit(a);
}

void bf_fib_function(struct bf_asm *a, int walk)
{
	static void (*const phases[])(struct walk * w) = {
		[PHASE_TABLE] = emit_table,   [PHASE_DOWN] = emit_down,
		[PHASE_PREFIX] = emit_prefix, [PHASE_BACK] = emit_back,
		[PHASE_ALIAS] = emit_alias,   [PHASE_HOP] = emit_hop,
		[PHASE_GROUP] = emit_group,
	};
	struct walk w = {
		.a = a,
		.k = a->kernel,
		.go_on = bf_asm_label(a),
		.stop = bf_asm_label(a),
		.back = bf_asm_label(a),
		.leaf = bf_asm_label(a),
		.next_alias = bf_asm_label(a),
		.hop = bf_asm_label(a),
		.bad_hop = bf_asm_label(a),
	};
	unsigned int i;

	/* long step(u32 i, void *context): 0 to go on, 1 to stop */
	bf_function(a, walk);
	bf_mov(a, BPF_REG_6, BPF_REG_2);
	get(&w, BPF_REG_7, BF_FIB_NODE);
	for (i = 0; i < ARRAY_SIZE(phases); i++) {
		int other = bf_asm_label(a);

		get(&w, BPF_REG_1, BF_FIB_PHASE);
		bf_jifi(a, BPF_JNE, BPF_REG_1, i, other);
		phases[i](&w);
		bf_asm_here(a, other);
	}
	bf_jmp(a, w.stop);
	bf_asm_here(a, w.leaf);
	emit_leaf(&w);
	emit_next_alias(&w);
	emit_check_hop(&w);
	emit_found(&w);
	emit_bad_hop(&w);
	emit_ends(&w);
}

void bf_fib_opaque_zero(struct bf_asm *a, int dst, int any, int tmp)
{
	bf_mov(a, dst, any);
	bf_mov(a, tmp, any);
	bf_alu(a, BPF_XOR, dst, tmp);
}

/*
 *	hash = net->ipv4.fib_table_hash;
 *	node = hash[RT_TABLE_LOCAL & (size - 1)].first;
 *	type = RTN_BROADCAST;		// what the kernel says where there is no table
 *	bpf_loop(MAX_STEPS, walk, context, 0);
 *	if (phase != PHASE_DONE)
 *		goto stuck;
 *
 * Nothing in the context begins with a value that the verifier knows: see bf_fib_opaque_zero().
 */
void bf_fib_walk(struct bf_asm *a, int walk, int stuck)
{
	static const int zero[] = {BF_FIB_INDEX, BF_FIB_PHASE, BF_FIB_HOP, BF_FIB_DIFF};
	/* FIB_TABLE_HASHSZ is 256, or 2 where there are just the two tables. */
	int slot = RT_TABLE_LOCAL & ((a->kernel->fib_multiple_tables ? 256 : 2) - 1);
	unsigned int i;

	_Static_assert(PHASE_TABLE == 0, "the walk begins with the table");
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_10, BF_FIB_BASE + BF_FIB_NET);
	bf_raw(a, BPF_REG_1, a->kernel->net_fib_table_hash);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_raw(a, BPF_REG_1, slot * 8);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_stx(a, BPF_DW, BPF_REG_10, BF_FIB_BASE + BF_FIB_NODE, BPF_REG_1);
	bf_fib_opaque_zero(a, BPF_REG_2, BPF_REG_1, BPF_REG_3);
	bf_stx(a, BPF_DW, BPF_REG_10, BF_FIB_BASE + BF_FIB_PARENT, BPF_REG_2);
	bf_stx(a, BPF_DW, BPF_REG_10, BF_FIB_BASE + BF_FIB_INFO, BPF_REG_2);
	for (i = 0; i < ARRAY_SIZE(zero); i++)
		bf_stx(a, BPF_W, BPF_REG_10, BF_FIB_BASE + zero[i], BPF_REG_2);
	bf_alui(a, BPF_XOR, BPF_REG_2, RTN_BROADCAST);
	bf_stx(a, BPF_W, BPF_REG_10, BF_FIB_BASE + BF_FIB_TYPE, BPF_REG_2);

	bf_movi(a, BPF_REG_1, MAX_STEPS);
	bf_function_addr(a, BPF_REG_2, walk);
	bf_mov(a, BPF_REG_3, BPF_REG_10);
	bf_alui(a, BPF_ADD, BPF_REG_3, BF_FIB_BASE);
	bf_movi(a, BPF_REG_4, 0);
	bf_helper(a, BPF_FUNC_loop);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_10, BF_FIB_BASE + BF_FIB_PHASE);
	bf_jifi(a, BPF_JNE, BPF_REG_1, PHASE_DONE, stuck);
}
