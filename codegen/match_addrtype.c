// SPDX-License-Identifier: GPL-2.0
/* -m addrtype, as xt_addrtype.c has it, revisions 0 and 1. */
#include <errno.h>
#include <linux/netfilter/xt_addrtype.h>
#include <linux/rtnetlink.h>

#include "asm.h"
#include "fib.h"
#include "match.h"
#include "uapi/bpfilter.h"

/* Which interface the route must lead to: the second index of bpfilter_packet.addr_type. */
enum { DEV_ANY, DEV_IN, DEV_OUT };

/**
 * struct addrtype_state - one address of one rule
 * @types: bit RTN_... of each type that matches
 * @dest: the destination, not the source
 * @dev: DEV_...
 * @slot: which byte of bpfilter_packet.addr_type it is
 */
struct addrtype_state {
	uint16_t types;
	uint8_t dest;
	uint8_t dev;
	uint8_t slot;
};

static int addrtype_check_1(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
			    struct bf_why *why)
{
	const struct xt_addrtype_info_v1 *info = data;
	bool in = info->flags & XT_ADDRTYPE_LIMIT_IFACE_IN;
	bool out = info->flags & XT_ADDRTYPE_LIMIT_IFACE_OUT;

	if (in && out)
		return bf_why(why, -EINVAL, "addrtype: limited to both interfaces");
	if (out && hook_mask & (1 << NF_INET_PRE_ROUTING | 1 << NF_INET_LOCAL_IN))
		return bf_why(why, -EINVAL, "addrtype: INPUT has no output interface");
	if (in && hook_mask & (1 << NF_INET_POST_ROUTING | 1 << NF_INET_LOCAL_OUT))
		return bf_why(why, -EINVAL, "addrtype: OUTPUT has no input interface");
	return 0;
}

/*
 * The context of the walk from the state r6 and the frame r7; answers that need no walk go to
 * @known with the type in r8:
 *
 *	net = hook_state->net;
 *	dev = state->dev == DEV_IN ? hook_state->in : state->dev == DEV_OUT ? hook_state->out : NULL;
 *	key = state->dest ? daddr : saddr;
 *	if (key == 0 || key == 0xffffffff)
 *		type = RTN_BROADCAST;
 *	else if (key >> 28 == 14)
 *		type = RTN_MULTICAST;
 */
static void emit_context(struct bf_asm *a, int known)
{
	const struct bf_kernel *k = a->kernel;
	int key = bf_asm_label(a), no_dev = bf_asm_label(a), out = bf_asm_label(a);

	bf_ldx(a, BPF_W, BPF_REG_9, BPF_REG_7, BF_FRAME_KEY + 4 * BF_SADDR);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, offsetof(struct addrtype_state, dest));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, key);
	bf_ldx(a, BPF_W, BPF_REG_9, BPF_REG_7, BF_FRAME_KEY + 4 * BF_DADDR);
	bf_asm_here(a, key);
	bf_movi(a, BPF_REG_8, RTN_BROADCAST);
	bf_jif32i(a, BPF_JEQ, BPF_REG_9, 0, known);
	bf_jif32i(a, BPF_JEQ, BPF_REG_9, 0xffffffff, known);
	bf_movi(a, BPF_REG_8, RTN_MULTICAST);
	bf_mov(a, BPF_REG_1, BPF_REG_9);
	bf_alu32i(a, BPF_RSH, BPF_REG_1, 28);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 14, known);
	bf_stx(a, BPF_W, BPF_REG_10, BF_FIB_BASE + BF_FIB_KEY, BPF_REG_9);

	bf_ldx(a, BPF_DW, BPF_REG_7, BPF_REG_7, BF_FRAME_STATE);
	bf_raw(a, BPF_REG_7, k->state_net);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_stx(a, BPF_DW, BPF_REG_10, BF_FIB_BASE + BF_FIB_NET, BPF_REG_1);
	bf_fib_opaque_zero(a, BPF_REG_2, BPF_REG_1, BPF_REG_3);
	bf_mov(a, BPF_REG_1, BPF_REG_2);
	bf_ldx(a, BPF_B, BPF_REG_8, BPF_REG_6, offsetof(struct addrtype_state, dev));
	bf_jifi(a, BPF_JEQ, BPF_REG_8, DEV_ANY, no_dev);
	bf_jifi(a, BPF_JEQ, BPF_REG_8, DEV_OUT, out);
	bf_raw(a, BPF_REG_7, k->state_in);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_jmp(a, no_dev);
	bf_asm_here(a, out);
	bf_raw(a, BPF_REG_7, k->state_out);
	bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
	bf_asm_here(a, no_dev);
	bf_stx(a, BPF_DW, BPF_REG_10, BF_FIB_BASE + BF_FIB_DEV, BPF_REG_1);
}

/*
 *	type = inet_dev_addr_type(net, dev, key);
 *	return !!(state->types & 1 << type);
 *
 * r6 is the state, r7 the frame and then the hook state, r8 the type, r9 the address. A routing
 * table that has no end drops the packet: what it is cannot be told.
 */
static void emit_walk(struct bf_asm *a)
{
	int walk = bf_asm_label(a), known = bf_asm_label(a), stuck = bf_asm_label(a);

	bf_mov(a, BPF_REG_6, BPF_REG_1);
	bf_mov(a, BPF_REG_7, BPF_REG_2);
	emit_context(a, known);
	bf_fib_walk(a, walk, stuck);
	bf_ldx(a, BPF_W, BPF_REG_8, BPF_REG_10, BF_FIB_BASE + BF_FIB_TYPE);
	bf_asm_here(a, known);
	bf_ldx(a, BPF_H, BPF_REG_0, BPF_REG_6, offsetof(struct addrtype_state, types));
	bf_alu(a, BPF_RSH, BPF_REG_0, BPF_REG_8);
	bf_alui(a, BPF_AND, BPF_REG_0, 1);
	bf_exit(a);
	bf_asm_here(a, stuck);
	bf_movi(a, BPF_REG_0, BF_HOTDROP);
	bf_exit(a);
	bf_fib_function(a, walk);
}

/*
 * The module has asked the kernel:
 *
 *	type = addr_type[state->dest][state->dev];
 *	return !!(state->types & 1 << type);
 */
static void emit_asked(struct bf_asm *a)
{
	bf_ldx(a, BPF_B, BPF_REG_3, BPF_REG_1, offsetof(struct addrtype_state, slot));
	bf_alui(a, BPF_AND, BPF_REG_3, 7);
	bf_alu(a, BPF_ADD, BPF_REG_2, BPF_REG_3);
	bf_ldx(a, BPF_B, BPF_REG_3, BPF_REG_2, BF_FRAME_STATE);
	bf_alui(a, BPF_AND, BPF_REG_3, 31);
	bf_ldx(a, BPF_H, BPF_REG_0, BPF_REG_1, offsetof(struct addrtype_state, types));
	bf_alu(a, BPF_RSH, BPF_REG_0, BPF_REG_3);
	bf_alui(a, BPF_AND, BPF_REG_0, 1);
	bf_exit(a);
}

static void addrtype_emit(struct bf_asm *a)
{
	if (a->attach == BF_ATTACH_LINK)
		emit_walk(a);
	else
		emit_asked(a);
}

static uint32_t addrtype_want(const void *data)
{
	const struct addrtype_state *state = data;

	return BPFILTER_WANT_TYPE(state->dest, state->dev);
}

static const struct bf_cond_type cond_addrtype = {
	.name = "addrtype",
	.emit = addrtype_emit,
	.want = addrtype_want,
	.fields = BF_FIELD_BIT(BF_SADDR) | BF_FIELD_BIT(BF_DADDR),
	.fib = true,
};

static void compile(struct bf_rule *r, uint16_t source, bool not_source, uint16_t dest,
		    bool not_dest, uint8_t dev)
{
	const struct addrtype_state src = {source, 0, dev, dev}, dst = {dest, 1, dev, 3 + dev};

	if (source)
		bf_cond(r, &cond_addrtype, &src, sizeof(src), not_source, BF_TO_NEXT);
	if (dest)
		bf_cond(r, &cond_addrtype, &dst, sizeof(dst), not_dest, BF_TO_NEXT);
}

static void addrtype_compile_0(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_addrtype_info *info = data;

	/* Words, of which the kernel uses the lowest bit. */
	compile(r, info->source, info->invert_source & 1, info->dest, info->invert_dest & 1,
		DEV_ANY);
}

static void addrtype_compile_1(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_addrtype_info_v1 *info = data;
	uint8_t dev = info->flags & XT_ADDRTYPE_LIMIT_IFACE_IN	  ? DEV_IN
		      : info->flags & XT_ADDRTYPE_LIMIT_IFACE_OUT ? DEV_OUT
								  : DEV_ANY;

	compile(r, info->source, info->flags & XT_ADDRTYPE_INVERT_SOURCE, info->dest,
		info->flags & XT_ADDRTYPE_INVERT_DEST, dev);
}

static int addrtype_place(const void *info, enum bf_attach attach, struct bf_why *why)
{
	return bf_not_placed(why, "addrtype", attach,
			     "programs there cannot ask for the type of an address");
}

const struct bf_match bf_match_addrtype_0 = {
	.name = "addrtype",
	.size = sizeof(struct xt_addrtype_info),
	.place = addrtype_place,
	.compile = addrtype_compile_0,
};

const struct bf_match bf_match_addrtype_1 = {
	.name = "addrtype",
	.revision = 1,
	.size = sizeof(struct xt_addrtype_info_v1),
	.options = "--src-type, --dst-type, all with !, --limit-iface-in, --limit-iface-out",
	.check = addrtype_check_1,
	.place = addrtype_place,
	.compile = addrtype_compile_1,
};
