// SPDX-License-Identifier: GPL-2.0
/*
 * -m physdev, as xt_physdev.c has it: the ports of a bridge, which br_netfilter notes with the packets
 * that pass it. Read from the sk_buff, at links as at the module's hooks.
 */
#include <errno.h>
#include <linux/netfilter/xt_physdev.h>
#include <string.h>

#include "asm.h"
#include "match.h"
#include "skb_ext.h"

/* What is known of a packet; a number below 16. */
#define HAS_INFO  0x1 /* it has passed a bridge */
#define HAS_IN	  0x2 /* a port that it came in by, that still is there */
#define HAS_OUT	  0x4
#define HAS_NAME  0x8 /* the rule's name is that port's */
#define ALL_KNOWN 0xf

/* Interfaces of one namespace that fall together by their index: 65,536 in all, and more. */
#define MAX_CHAIN 256
#define HASH_MASK 255

/**
 * struct physdev_state - a rule, or its part about one of two names
 * @name: (name ^ @name) & @mask is 0 where it is the rule's
 * @holds: bit n: the match holds where n is known
 * @out: the name is that of the outgoing port
 * @in: the incoming port matters
 */
struct physdev_state {
	uint64_t name[2], mask[2];
	uint16_t holds;
	uint8_t out, in;
};

_Static_assert(sizeof(struct physdev_state) <= BF_COND_STATE, "the state of a condition");

#define STATE(member) offsetof(struct physdev_state, member)

static bool is_whole(const char *name)
{
	return *name && strnlen(name, IFNAMSIZ) < IFNAMSIZ;
}

static int physdev_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
			 struct bf_why *why)
{
	const struct xt_physdev_info *info = data;
	bool bridged = info->bitmask & ~info->invert & XT_PHYSDEV_OP_BRIDGED;

	if (!(info->bitmask & XT_PHYSDEV_OP_MASK) || info->bitmask & ~XT_PHYSDEV_OP_MASK)
		return bf_why(why, -EINVAL, "physdev: no options, or unknown ones: 0x%x",
			      info->bitmask);
	if (info->bitmask & (XT_PHYSDEV_OP_OUT | XT_PHYSDEV_OP_ISOUT) && !bridged &&
	    hook_mask & 1U << NF_INET_LOCAL_OUT)
		return bf_why(why, -EINVAL, "physdev: OUTPUT does not know the outgoing port");
	/* Kernels before 7 accept these: let this one judge. */
	if ((info->bitmask & XT_PHYSDEV_OP_IN && !is_whole(info->physindev)) ||
	    (info->bitmask & XT_PHYSDEV_OP_OUT && !is_whole(info->physoutdev)))
		return bf_why(why, BF_NOT_TRANSLATABLE,
			      "physdev: a port's name that is empty or without an end");
	return 0;
}

/* physdev_mt() with those options, of which @asked are not about a name alone. */
static bool port_holds(uint8_t asked, uint8_t invert, unsigned int known)
{
	bool in = known & HAS_IN, out = known & HAS_OUT, same = known & HAS_NAME;

	if (!(known & HAS_INFO))
		return !(asked & ~invert);
	if (asked & XT_PHYSDEV_OP_BRIDGED && out == !!(invert & XT_PHYSDEV_OP_BRIDGED))
		return false;
	if (asked & XT_PHYSDEV_OP_ISIN && in == !!(invert & XT_PHYSDEV_OP_ISIN))
		return false;
	if (asked & XT_PHYSDEV_OP_ISOUT && out == !!(invert & XT_PHYSDEV_OP_ISOUT))
		return false;
	if (asked & XT_PHYSDEV_OP_IN && in && same == !!(invert & XT_PHYSDEV_OP_IN))
		return false;
	if (asked & XT_PHYSDEV_OP_OUT && (!out || same == !!(invert & XT_PHYSDEV_OP_OUT)))
		return false;
	return true;
}

/*
 *	differs = (dev->name ^ state->name) & state->mask;
 *	if (!differs)
 *		r8 |= HAS_NAME;
 *
 * r6 is the state, @dev any register.
 */
static void emit_compare(struct bf_asm *a, int dev)
{
	int differs = bf_asm_label(a), i;

	bf_raw(a, dev, a->kernel->dev_name);
	bf_movi(a, BPF_REG_3, 0);
	for (i = 0; i < 2; i++) {
		bf_raw_ldx(a, BPF_DW, BPF_REG_1, 8 * i);
		bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_6, STATE(name) + 8 * i);
		bf_alu(a, BPF_XOR, BPF_REG_1, BPF_REG_2);
		bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_6, STATE(mask) + 8 * i);
		bf_alu(a, BPF_AND, BPF_REG_1, BPF_REG_2);
		bf_alu(a, BPF_OR, BPF_REG_3, BPF_REG_1);
	}
	bf_jifi(a, BPF_JNE, BPF_REG_3, 0, differs);
	bf_alui(a, BPF_OR, BPF_REG_8, HAS_NAME);
	bf_asm_here(a, differs);
}

/*
 * dev_get_by_index_rcu() in the namespace of the packet's device, r7 being the packet: from the index
 * r9 to the device r9. To @none if there is none, to @stuck if too many fall together.
 *
 *	node = net->dev_index_head[ifindex & HASH_MASK].first;
 *	for (i = 0; i < MAX_CHAIN; i++, node = node->next)
 *		if (!node)
 *			goto none;
 *		else if (container_of(node, struct net_device, index_hlist)->ifindex == ifindex)
 *			break;
 */
static void emit_device(struct bf_asm *a, int none, int stuck)
{
	const struct bf_kernel *k = a->kernel;
	int again = bf_asm_label(a), found = bf_asm_label(a);

	bf_raw(a, BPF_REG_7, k->skb_dev);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_raw(a, BPF_REG_1, k->dev_net);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_raw(a, BPF_REG_1, k->net_dev_index_head);
	bf_raw_ldx(a, BPF_DW, BPF_REG_7, 0);
	bf_mov(a, BPF_REG_1, BPF_REG_9);
	bf_alui(a, BPF_AND, BPF_REG_1, HASH_MASK);
	bf_alui(a, BPF_LSH, BPF_REG_1, 3);
	bf_alu(a, BPF_ADD, BPF_REG_7, BPF_REG_1);
	bf_sti(a, BPF_DW, BPF_REG_10, -8, 0);
	bf_asm_here(a, again);
	/* A list's head and its nodes both begin with what follows. */
	bf_raw(a, BPF_REG_7, 0);
	bf_raw_ldx(a, BPF_DW, BPF_REG_7, 0);
	bf_jifi(a, BPF_JEQ, BPF_REG_7, 0, none);
	bf_raw(a, BPF_REG_7, (int)k->dev_ifindex - (int)k->dev_index_hlist);
	bf_raw_ldx(a, BPF_W, BPF_REG_1, 0);
	bf_jif(a, BPF_JEQ, BPF_REG_1, BPF_REG_9, found);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_10, -8);
	bf_alui(a, BPF_ADD, BPF_REG_1, 1);
	bf_stx(a, BPF_DW, BPF_REG_10, -8, BPF_REG_1);
	bf_jifi(a, BPF_JLT, BPF_REG_1, MAX_CHAIN, again);
	bf_jmp(a, stuck);
	bf_asm_here(a, found);
	bf_mov(a, BPF_REG_9, BPF_REG_7);
	bf_alui(a, BPF_SUB, BPF_REG_9, k->dev_index_hlist);
}

/* The port that the packet came in by, if it matters: from r9, the info, to r8. */
static void emit_in(struct bf_asm *a, int decide, int stuck)
{
	const struct bf_kernel *k = a->kernel;

	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, STATE(in));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, decide);
	bf_raw(a, BPF_REG_9, k->bridge_in);
	if (k->bridge_in_is_index) {
		bf_raw_ldx(a, BPF_W, BPF_REG_9, 0);
		emit_device(a, decide, stuck);
	} else {
		bf_raw_ldx(a, BPF_DW, BPF_REG_9, 0);
		bf_jifi(a, BPF_JEQ, BPF_REG_9, 0, decide);
	}
	bf_alui(a, BPF_OR, BPF_REG_8, HAS_IN);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, STATE(out));
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, decide);
	emit_compare(a, BPF_REG_9);
}

/* return state->holds >> known & 1; r6 is the state, r7 the packet, r8 what is known, r9 the info. */
static void physdev_emit(struct bf_asm *a)
{
	const struct bf_kernel *k = a->kernel;
	int decide = bf_asm_label(a), no_out = bf_asm_label(a), stuck = bf_asm_label(a);

	bf_mov(a, BPF_REG_6, BPF_REG_1);
	bf_ldx(a, BPF_DW, BPF_REG_7, BPF_REG_2, BF_FRAME_PACKET);
	bf_movi(a, BPF_REG_8, 0);
	bf_emit_skb_ext(a, BPF_REG_7, BPF_REG_9, k->ext_bridge, decide);
	bf_movi(a, BPF_REG_8, HAS_INFO);
	bf_raw(a, BPF_REG_9, k->bridge_out);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, no_out);
	bf_alui(a, BPF_OR, BPF_REG_8, HAS_OUT);
	bf_ldx(a, BPF_B, BPF_REG_2, BPF_REG_6, STATE(out));
	bf_jifi(a, BPF_JEQ, BPF_REG_2, 0, no_out);
	emit_compare(a, BPF_REG_1);
	bf_asm_here(a, no_out);
	emit_in(a, decide, stuck);
	bf_asm_here(a, decide);
	bf_ldx(a, BPF_H, BPF_REG_0, BPF_REG_6, STATE(holds));
	bf_alu(a, BPF_RSH, BPF_REG_0, BPF_REG_8);
	bf_alui(a, BPF_AND, BPF_REG_0, 1);
	bf_exit(a);
	if (!k->bridge_in_is_index)
		return;
	bf_asm_here(a, stuck);
	bf_movi(a, BPF_REG_0, BF_HOTDROP);
	bf_exit(a);
}

static const char *physdev_lacks(const struct bf_kernel *kernel, enum bf_attach attach)
{
	if (!kernel->has_links)
		return "it reads the packet by functions that came with Linux 6.4";
	if (!kernel->has_bridge)
		return "the kernel's BTF does not describe packets that pass a bridge";
	if (!kernel->has_br_netfilter)
		return "br_netfilter is not loaded, which ip_tables does";
	return NULL;
}

static const struct bf_cond_type cond_physdev = {
	.name = "physdev",
	.emit = physdev_emit,
	.lacks = physdev_lacks,
	.fields = BF_PACKET_ADDRESS,
};

/* What is asked of one port's name, and whatever else @asked says. */
static void add_part(struct bf_rule *r, const struct xt_physdev_info *info, uint8_t asked)
{
	struct physdev_state state = {.out = !(asked & XT_PHYSDEV_OP_IN),
				      .in = !!(asked & (XT_PHYSDEV_OP_IN | XT_PHYSDEV_OP_ISIN))};
	unsigned int known;

	memcpy(state.name, state.out ? info->physoutdev : info->physindev, sizeof(state.name));
	memcpy(state.mask, state.out ? info->out_mask : info->in_mask, sizeof(state.mask));
	for (known = 0; known <= ALL_KNOWN; known++)
		if (port_holds(asked, info->invert, known))
			state.holds |= 1U << known;
	bf_cond(r, &cond_physdev, &state, sizeof(state), false, BF_TO_NEXT);
}

/* Two names are two conditions: all of it is a conjunction. */
static void physdev_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_physdev_info *info = data;
	bool two = info->bitmask & XT_PHYSDEV_OP_IN && info->bitmask & XT_PHYSDEV_OP_OUT;

	if (bf_asks_instead(r)) {
		bf_ask_compile(r, e, info);
		return;
	}
	add_part(r, info, two ? info->bitmask & ~XT_PHYSDEV_OP_OUT : info->bitmask);
	if (two)
		add_part(r, info, XT_PHYSDEV_OP_OUT);
}

BF_ONLY_AT_HOOKS(physdev, "the ports of bridges are not known there")

const struct bf_match bf_match_physdev = {
	.name = "physdev",
	.size = sizeof(struct xt_physdev_info),
	.options = "--physdev-in, --physdev-out, --physdev-is-in, --physdev-is-out, "
		   "--physdev-is-bridged, all with !",
	.asks_instead = true,
	.check = physdev_check,
	.place = physdev_place,
	.compile = physdev_compile,
};
