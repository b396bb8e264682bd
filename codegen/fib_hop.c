// SPDX-License-Identifier: GPL-2.0
/* Of a walk through a routing table: the next hops of a route. See fib.c. */
#include <linux/ip.h>
#include <linux/rtnetlink.h>

#include "fib_walk.h"

/* To @label if the route is the answer already, and its next hops are looked at once more. */
static void if_answer(struct walk *w, int label)
{
	if (!w->back_way)
		return;
	get(w, BPF_REG_1, BF_FIB_TYPE);
	bf_jifi(w->a, BPF_JNE, BPF_REG_1, 0, label);
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
void bf_fib_emit_object(struct walk *w)
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
 *	if (hop >= fi->fib_nhs)
 *		goto next_alias;
 *	nhc = &fi->fib_nh[hop].nh_common;
 */
void bf_fib_emit_hop(struct walk *w)
{
	struct bf_asm *a = w->a;
	const struct bf_kernel *k = w->k;
	int more = bf_asm_label(a);

	get(w, BPF_REG_9, BF_FIB_INFO);
	load(w, BPF_W, BPF_REG_1, BPF_REG_9, k->fib_nhs);
	get(w, BPF_REG_8, BF_FIB_HOP);
	bf_jif(a, BPF_JLT, BPF_REG_8, BPF_REG_1, more);
	if_answer(w, w->stop);
	bf_jmp(a, w->next_alias);
	bf_asm_here(a, more);
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
void bf_fib_emit_group(struct walk *w)
{
	struct bf_asm *a = w->a;
	const struct bf_kernel *k = w->k;
	int more = bf_asm_label(a);

	get(w, BPF_REG_9, BF_FIB_INFO);
	load(w, BPF_H, BPF_REG_1, BPF_REG_9, k->nh_group_num_nh);
	get(w, BPF_REG_8, BF_FIB_HOP);
	bf_jif(a, BPF_JLT, BPF_REG_8, BPF_REG_1, more);
	if_answer(w, w->stop);
	bf_jmp(a, w->back);
	bf_asm_here(a, more);
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
	if_answer(w, w->uses);
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
 * The same for the way back, for which fib_info_nh_uses_dev() counts each of its next hops, the unusable ones as well:
 *
 *	type = fa->fa_type;
 *	if (nhc->nhc_dev == dev) {
 *		type |= BF_FIB_BY_DEV;
 *		stop;
 *	}
 *	if (phase == PHASE_SINGLE || phase == PHASE_HOP && fi->fib_nhs == 1)
 *		stop;
 *	hop = 0;
 *
 * and behind that, for each:
 *
 * uses:
 *	if (nhc->nhc_dev == dev) {
 *		type |= BF_FIB_BY_DEV;
 *		stop;
 *	}
 *	hop++;
 */
static void emit_way_back(struct walk *w)
{
	struct bf_asm *a = w->a;
	const struct bf_kernel *k = w->k;
	int by_dev = bf_asm_label(a), others = bf_asm_label(a);

	load(w, BPF_B, BPF_REG_1, BPF_REG_7, (int)k->fa_type - (int)k->fa_list);
	set(w, BF_FIB_TYPE, BPF_REG_1);
	load(w, BPF_DW, BPF_REG_1, BPF_REG_9, k->nhc_dev);
	get(w, BPF_REG_8, BF_FIB_DEV);
	bf_jif(a, BPF_JEQ, BPF_REG_1, BPF_REG_8, by_dev);
	get(w, BPF_REG_1, BF_FIB_PHASE);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, PHASE_SINGLE, w->stop);
	bf_jifi(a, BPF_JNE, BPF_REG_1, PHASE_HOP, others);
	get(w, BPF_REG_8, BF_FIB_INFO);
	load(w, BPF_W, BPF_REG_1, BPF_REG_8, k->fib_nhs);
	bf_jif32i(a, BPF_JEQ, BPF_REG_1, 1, w->stop);
	bf_asm_here(a, others);
	seti(w, BF_FIB_HOP, 0);
	bf_jmp(a, w->go_on);

	bf_asm_here(a, w->uses);
	load(w, BPF_DW, BPF_REG_1, BPF_REG_9, k->nhc_dev);
	get(w, BPF_REG_8, BF_FIB_DEV);
	bf_jif(a, BPF_JNE, BPF_REG_1, BPF_REG_8, w->bad_hop);
	bf_asm_here(a, by_dev);
	get(w, BPF_REG_1, BF_FIB_TYPE);
	bf_alui(a, BPF_OR, BPF_REG_1, BF_FIB_BY_DEV);
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

void bf_fib_emit_hops(struct walk *w)
{
	emit_check_hop(w);
	if (w->back_way)
		emit_way_back(w);
	else
		emit_found(w);
	emit_bad_hop(w);
}
