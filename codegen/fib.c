// SPDX-License-Identifier: GPL-2.0
/*
 * __inet_dev_addr_type() (net/ipv4/fib_frontend.c) and fib_table_lookup() (net/ipv4/fib_trie.c) as
 * a state machine: bpf_loop() calls a function that takes one step. Loops inside loops would cost
 * the verifier dearly, and the walk goes back up as often as it likes.
 *
 * The flow that is looked up has an address and nothing else: no TOS, scope 0, no device. So
 * an alias with a TOS never matches, and the scope always does. Another function of the same kind looks for
 * the way back to the source of a packet, as __fib_validate_source() does, in main's table.
 *
 * Registers of the step: r6 is the context (enum bf_fib), r7 what BF_FIB_NODE points to, r8
 * and r9 as each phase says; r0 to r5 are lost with each read of kernel memory. Packets are
 * filtered under rcu_read_lock(), which is what the kernel's own walk relies on; an address
 * that is no longer valid reads as 0.
 */
#include <linux/ip.h>
#include <linux/rtnetlink.h>

#include "fib_walk.h"

#define RT_KEYLENGTH 32

/* More than a trie of 32-bit keys and routes with hundreds of next hops can take. */
#define MAX_STEPS 65536

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
 * Go on with a phase whose code is further on. Of the way back, which is looked for with each packet that is dropped,
 * that is done in the same step; r7 is NODE.
 */
static void go_on_with(struct walk *w, enum bf_fib_phase phase)
{
	seti(w, BF_FIB_PHASE, phase);
	bf_jmp(w->a, w->back_way ? w->enter[phase] : w->go_on);
}

/* Nodes and children that are looked at in one step then, in each of the first phases. */
#define AT_ONCE 3

static void emit_some(struct walk *w, void (*emit)(struct walk *w, int next))
{
	int i, next;

	for (i = 1; w->back_way && i < AT_ONCE; i++) {
		next = bf_asm_label(w->a);
		emit(w, next);
		bf_asm_here(w->a, next);
	}
	emit(w, w->go_on);
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
static void emit_down_one(struct walk *w, int next)
{
	struct bf_asm *a = w->a;
	int prefix = bf_asm_label(a), deeper = bf_asm_label(a), none = bf_asm_label(a);

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
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, none);
	bf_mov(a, BPF_REG_7, BPF_REG_1);
	bf_jmp(a, next);

	bf_asm_here(a, none);
	go_on_with(w, PHASE_BACK);
	bf_asm_here(a, prefix);
	go_on_with(w, PHASE_PREFIX);
}

static void emit_down(struct walk *w)
{
	emit_some(w, emit_down_one);
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
static void emit_back_one(struct walk *w, int next)
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
	bf_jmp(a, next);

	bf_asm_here(a, strip);
	bf_mov(a, BPF_REG_1, BPF_REG_8);
	bf_alui(a, BPF_SUB, BPF_REG_1, 1);
	bf_alu(a, BPF_AND, BPF_REG_8, BPF_REG_1);
	set(w, BF_FIB_INDEX, BPF_REG_8);
	load_child(w);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, next);
	bf_mov(a, BPF_REG_7, BPF_REG_1);
	go_on_with(w, PHASE_PREFIX);
}

static void emit_back(struct walk *w)
{
	emit_some(w, emit_back_one);
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

	bf_asm_here(a, w->leaf);
	load_node(w);
	get(w, BPF_REG_4, BF_FIB_KEY);
	bf_alu32(a, BPF_XOR, BPF_REG_8, BPF_REG_4);
	set(w, BF_FIB_DIFF, BPF_REG_8);
	bf_movi(a, BPF_REG_8, 0);
	load_child(w);
	bf_mov(a, BPF_REG_7, BPF_REG_1);
	go_on_with(w, PHASE_ALIAS);
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
static void emit_prefix_one(struct walk *w, int next)
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
	bf_mov(a, BPF_REG_7, BPF_REG_1);
	bf_jmp(a, next);
}

static void emit_prefix(struct walk *w)
{
	emit_some(w, emit_prefix_one);
	emit_leaf(w);
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
 *		(bf_fib_emit_object)
 *
 * r8 is the fib_info. The TOS of a packet whose way back is looked for is not known: with such a route nothing is.
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
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, w->back_way ? w->stop : w->next_alias);
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
	go_on_with(w, PHASE_HOP);
	bf_asm_here(a, object);
	bf_fib_emit_object(w);
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

/* One that is gone on with from another one is behind that. */
static void emit_phases(struct walk *w)
{
	static const struct {
		enum bf_fib_phase phase;
		void (*emit)(struct walk *w);
	} phases[] = {
		{PHASE_TABLE, emit_table},	  {PHASE_DOWN, emit_down},
		{PHASE_BACK, emit_back},	  {PHASE_PREFIX, emit_prefix},
		{PHASE_ALIAS, emit_alias},	  {PHASE_HOP, bf_fib_emit_hop},
		{PHASE_GROUP, bf_fib_emit_group},
	};
	struct bf_asm *a = w->a;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(phases); i++) {
		int other = bf_asm_label(a);

		if (w->back_way && phases[i].phase == PHASE_TABLE)
			continue;
		get(w, BPF_REG_1, BF_FIB_PHASE);
		bf_jifi(a, BPF_JNE, BPF_REG_1, phases[i].phase, other);
		bf_asm_here(a, w->enter[phases[i].phase]);
		phases[i].emit(w);
		bf_asm_here(a, other);
	}
	bf_jmp(a, w->stop);
}

static void emit_function(struct bf_asm *a, int walk, bool back_way)
{
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
		.back_way = back_way,
		.uses = bf_asm_label(a),
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(w.enter); i++)
		w.enter[i] = bf_asm_label(a);
	/* long step(u32 i, void *context): 0 to go on, 1 to stop */
	bf_function(a, walk);
	bf_mov(a, BPF_REG_6, BPF_REG_2);
	get(&w, BPF_REG_7, BF_FIB_NODE);
	emit_phases(&w);
	emit_next_alias(&w);
	bf_fib_emit_hops(&w);
	emit_ends(&w);
}

void bf_fib_function(struct bf_asm *a, int walk)
{
	emit_function(a, walk, false);
}

void bf_fib_back_function(struct bf_asm *a, int walk)
{
	emit_function(a, walk, true);
}

void bf_fib_opaque_zero(struct bf_asm *a, int dst, int any, int tmp)
{
	bf_mov(a, dst, any);
	bf_mov(a, tmp, any);
	bf_alu(a, BPF_XOR, dst, tmp);
}

/* INDEX, PHASE, HOP, DIFF, PARENT and INFO are 0, as is r2. r1 is any number. Clobbers r3. */
static void emit_zeroes(struct bf_asm *a)
{
	static const int zero[] = {BF_FIB_INDEX, BF_FIB_PHASE, BF_FIB_HOP, BF_FIB_DIFF};
	unsigned int i;

	bf_fib_opaque_zero(a, BPF_REG_2, BPF_REG_1, BPF_REG_3);
	bf_stx(a, BPF_DW, BPF_REG_10, BF_FIB_BASE + BF_FIB_PARENT, BPF_REG_2);
	bf_stx(a, BPF_DW, BPF_REG_10, BF_FIB_BASE + BF_FIB_INFO, BPF_REG_2);
	for (i = 0; i < ARRAY_SIZE(zero); i++)
		bf_stx(a, BPF_W, BPF_REG_10, BF_FIB_BASE + zero[i], BPF_REG_2);
}

/* To @stuck if it does not end. */
static void emit_loop(struct bf_asm *a, int walk, int stuck)
{
	bf_movi(a, BPF_REG_1, MAX_STEPS);
	bf_function_addr(a, BPF_REG_2, walk);
	bf_mov(a, BPF_REG_3, BPF_REG_10);
	bf_alui(a, BPF_ADD, BPF_REG_3, BF_FIB_BASE);
	bf_movi(a, BPF_REG_4, 0);
	bf_helper(a, BPF_FUNC_loop);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_10, BF_FIB_BASE + BF_FIB_PHASE);
	bf_jifi(a, BPF_JNE, BPF_REG_1, PHASE_DONE, stuck);
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
	/* FIB_TABLE_HASHSZ is 256, or 2 where there are just the two tables. */
	int slot = RT_TABLE_LOCAL & ((a->kernel->fib_multiple_tables ? 256 : 2) - 1);

	_Static_assert(PHASE_TABLE == 0, "the walk begins with the table");
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_10, BF_FIB_BASE + BF_FIB_NET);
	bf_raw(a, BPF_REG_1, a->kernel->net_fib_table_hash);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_raw(a, BPF_REG_1, slot * 8);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_stx(a, BPF_DW, BPF_REG_10, BF_FIB_BASE + BF_FIB_NODE, BPF_REG_1);
	emit_zeroes(a);
	bf_alui(a, BPF_XOR, BPF_REG_2, RTN_BROADCAST);
	bf_stx(a, BPF_W, BPF_REG_10, BF_FIB_BASE + BF_FIB_TYPE, BPF_REG_2);
	emit_loop(a, walk, stuck);
}

/*
 *	parent = ((struct trie *)net->ipv4.fib_main->tb_data)->kv;
 *	index = 0;
 *	node = parent->tnode[0];
 *	if (!node)
 *		goto none;
 *	type = RTN_UNSPEC;
 *	phase = PHASE_DOWN;
 *	bpf_loop(MAX_STEPS, walk, context, 0);
 *	if (phase != PHASE_DONE)
 *		goto none;
 */
void bf_fib_walk_back(struct bf_asm *a, int walk, int none)
{
	const struct bf_kernel *k = a->kernel;

	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_10, BF_FIB_BASE + BF_FIB_NET);
	bf_raw(a, BPF_REG_1, k->net_fib_main);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, none);
	bf_raw(a, BPF_REG_1, k->tb_data);
	bf_raw_ldx(a, BPF_DW, BPF_REG_7, 0);
	bf_alui(a, BPF_ADD, BPF_REG_7, k->trie_kv);
	bf_raw(a, BPF_REG_7, k->kv_tnode);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, none);
	bf_stx(a, BPF_DW, BPF_REG_10, BF_FIB_BASE + BF_FIB_NODE, BPF_REG_1);
	emit_zeroes(a);
	bf_stx(a, BPF_DW, BPF_REG_10, BF_FIB_BASE + BF_FIB_PARENT, BPF_REG_7);
	bf_stx(a, BPF_W, BPF_REG_10, BF_FIB_BASE + BF_FIB_TYPE, BPF_REG_2);
	bf_alui(a, BPF_XOR, BPF_REG_2, PHASE_DOWN);
	bf_stx(a, BPF_W, BPF_REG_10, BF_FIB_BASE + BF_FIB_PHASE, BPF_REG_2);
	emit_loop(a, walk, none);
}
