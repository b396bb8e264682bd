// SPDX-License-Identifier: GPL-2.0
/*
 * -m policy, as xt_policy.c has it: the IPsec transforms that a packet has gone through, or is to go
 * through. Read from the sk_buff and its route, at links as at the module's hooks.
 */
#include <errno.h>
#include <linux/netfilter/xt_policy.h>

#include "asm.h"
#include "match.h"
#include "skb_ext.h"

/* XFRM_MAX_DEPTH: transforms of a packet, in or out. */
#define MAX_DEPTH 6

/* Elements that one condition has room for. */
#define PART 2

enum { SADDR, DADDR, PROTO, MODE, SPI, REQID, NR_TESTS };

/**
 * struct policy_state - a rule, or the part of it that is about two of its elements
 * @len: how many transforms there must be, if @strict
 * @first: number of the transform that the first of the two is for
 * @end: number of the one behind the last that is tested here
 * @none: there must be no transform
 * @elem: words as they lie in memory, compared where @mask has bits. @match: bit SADDR and so on of what
 *	is asked for; @invert: of what must differ
 */
struct policy_state {
	uint8_t out, strict, none;
	uint8_t len, first, end;
	struct policy_elem {
		uint32_t saddr, smask, daddr, dmask;
		uint32_t spi, reqid;
		uint8_t proto, mode;
		uint8_t match, invert;
	} elem[PART];
};

_Static_assert(sizeof(struct policy_state) <= BF_COND_STATE, "the state of a condition");

#define STATE(member) ((int)offsetof(struct policy_state, member))
/* Of an element whose number times its size has been added to the state's address. */
#define ELEM(member)  (STATE(elem) + (int)offsetof(struct policy_elem, member))

/* On the stack: the transforms, in the order in which the elements are compared with them; the one at hand. */
#define LIST (-8 * MAX_DEPTH)
#define XFRM (LIST - 8)

static int policy_check(const struct ipt_entry *e, const void *data, unsigned int hook_mask,
			struct bf_why *why)
{
	const struct xt_policy_info *info = data;

	if (!(info->flags & (XT_POLICY_MATCH_IN | XT_POLICY_MATCH_OUT)))
		return bf_why(why, -EINVAL, "policy: neither --dir in nor --dir out");
	if (hook_mask & (1U << NF_INET_PRE_ROUTING | 1U << NF_INET_LOCAL_IN) &&
	    info->flags & XT_POLICY_MATCH_OUT)
		return bf_why(why, -EINVAL, "policy: INPUT has no outgoing policy");
	if (hook_mask & (1U << NF_INET_POST_ROUTING | 1U << NF_INET_LOCAL_OUT) &&
	    info->flags & XT_POLICY_MATCH_IN)
		return bf_why(why, -EINVAL, "policy: OUTPUT has no incoming policy");
	if (info->len > XT_POLICY_MAX_ELEM)
		return bf_why(why, -EINVAL, "policy: %u elements are too many", info->len);
	/* Kernels before 2026 compare them in another order, and read in front of the list: let this one judge. */
	if (info->flags & XT_POLICY_MATCH_IN && info->flags & XT_POLICY_MATCH_STRICT &&
	    !(info->flags & XT_POLICY_MATCH_NONE) && info->len > 1)
		return bf_why(why, BF_NOT_TRANSLATABLE,
			      "policy: --dir in --strict with several elements");
	return 0;
}

/*
 * The transforms that the packet r7 has gone through, the last one first: to the list, and their number
 * to r7. To @none if it has no struct sec_path. r9 is that.
 */
static void emit_list_in(struct bf_asm *a, int none)
{
	const struct bf_kernel *k = a->kernel;
	int done = bf_asm_label(a), i;

	bf_emit_skb_ext(a, BPF_REG_7, BPF_REG_9, k->ext_sec_path, none);
	bf_raw(a, BPF_REG_9, k->sp_len);
	bf_raw_ldx(a, k->sp_len_size == 1 ? BPF_B : BPF_W, BPF_REG_7, 0);
	bf_jifi(a, BPF_JGT, BPF_REG_7, MAX_DEPTH, none); /* no kernel has that */
	for (i = 0; i < MAX_DEPTH; i++) {
		bf_jifi(a, BPF_JLE, BPF_REG_7, i, done);
		bf_mov(a, BPF_REG_1, BPF_REG_7);
		bf_alui(a, BPF_SUB, BPF_REG_1, i + 1);
		bf_alui(a, BPF_LSH, BPF_REG_1, 3);
		bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_9);
		bf_raw(a, BPF_REG_1, k->sp_xvec);
		bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
		bf_stx(a, BPF_DW, BPF_REG_10, LIST + 8 * i, BPF_REG_1);
	}
	bf_asm_here(a, done);
}

/*
 * Those that it is to go through, from the outside:
 *
 *	for (n = 0, dst = skb_dst(skb); dst && dst->xfrm; dst = ((struct xfrm_dst *)dst)->child)
 *		list[n++] = dst->xfrm;
 *
 * r9 is dst.
 */
static void emit_list_out(struct bf_asm *a, int none)
{
	const struct bf_kernel *k = a->kernel;
	int done = bf_asm_label(a), i;

	bf_raw(a, BPF_REG_7, k->skb_refdst);
	bf_raw_ldx(a, BPF_DW, BPF_REG_9, 0);
	bf_alui(a, BPF_AND, BPF_REG_9, ~1); /* SKB_DST_NOREF */
	bf_movi(a, BPF_REG_7, 0);
	for (i = 0; i < MAX_DEPTH; i++) {
		bf_jifi(a, BPF_JEQ, BPF_REG_9, 0, i ? done : none);
		bf_raw(a, BPF_REG_9, k->dst_xfrm);
		bf_raw_ldx(a, BPF_DW, BPF_REG_1, 0);
		bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, i ? done : none);
		bf_stx(a, BPF_DW, BPF_REG_10, LIST + 8 * i, BPF_REG_1);
		bf_alui(a, BPF_ADD, BPF_REG_7, 1);
		bf_raw(a, BPF_REG_9, k->xdst_child);
		bf_raw_ldx(a, BPF_DW, BPF_REG_9, 0);
	}
	bf_asm_here(a, done);
}

/*
 * One test of match_xfrm_state(): the element is at r8, the transform in XFRM. To @no if it misses.
 *
 *	if (e->match & bit && !((x->member ^ e->member) & mask) == !!(e->invert & bit))
 *		goto no;
 */
static void emit_test(struct bf_asm *a, int test, int size, uint32_t member, int value, int mask,
		      int no)
{
	int skip = bf_asm_label(a), same = bf_asm_label(a);

	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_8, ELEM(match));
	bf_alui(a, BPF_AND, BPF_REG_1, 1 << test);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, skip);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_10, XFRM);
	bf_raw(a, BPF_REG_1, member);
	bf_raw_ldx(a, size, BPF_REG_1, 0);
	bf_ldx(a, size, BPF_REG_2, BPF_REG_8, value);
	bf_alu(a, BPF_XOR, BPF_REG_1, BPF_REG_2);
	if (mask >= 0) {
		bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_8, mask);
		bf_alu(a, BPF_AND, BPF_REG_1, BPF_REG_2);
	}
	/* r2 = bit if it must differ; r1 = bit if it does */
	bf_ldx(a, BPF_B, BPF_REG_2, BPF_REG_8, ELEM(invert));
	bf_alui(a, BPF_AND, BPF_REG_2, 1 << test);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, same);
	bf_movi(a, BPF_REG_1, 1 << test);
	bf_asm_here(a, same);
	bf_jif(a, BPF_JNE, BPF_REG_1, BPF_REG_2, no);
	bf_asm_here(a, skip);
}

static void emit_tests(struct bf_asm *a, int no)
{
	const struct bf_kernel *k = a->kernel;

	emit_test(a, SADDR, BPF_W, k->xs_saddr, ELEM(saddr), ELEM(smask), no);
	emit_test(a, DADDR, BPF_W, k->xs_daddr, ELEM(daddr), ELEM(dmask), no);
	emit_test(a, PROTO, BPF_B, k->xs_proto, ELEM(proto), -1, no);
	emit_test(a, MODE, BPF_B, k->xs_mode, ELEM(mode), -1, no);
	emit_test(a, SPI, BPF_W, k->xs_spi, ELEM(spi), -1, no);
	emit_test(a, REQID, BPF_W, k->xs_reqid, ELEM(reqid), -1, no);
}

/* The transform whose number is in r9: from the list to XFRM. */
static void emit_take(struct bf_asm *a)
{
	bf_mov(a, BPF_REG_1, BPF_REG_9);
	bf_alui(a, BPF_LSH, BPF_REG_1, 3);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_10);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_1, LIST);
	bf_stx(a, BPF_DW, BPF_REG_10, XFRM, BPF_REG_1);
}

/* Falls through if it is not strict. Clobbers r1. */
static void emit_if_strict(struct bf_asm *a, int strict)
{
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, STATE(strict));
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, strict);
}

/*
 * r7 transforms are in the list: to @yes or @no. r6 is the state, ELEM(member) of r8 the element.
 *
 *	for (i = 0; i < MAX_DEPTH; i++)
 *		if (strict) {
 *			if (i < first)
 *				continue;
 *			if (i >= end)
 *				goto yes;
 *			if (!matches(list[i], &elem[i - first]))
 *				goto no;
 *		} else {
 *			if (i >= n)
 *				goto no;
 *			if (matches(list[i], &elem[0]))
 *				goto yes;
 *		}
 *	goto no;
 *
 * r9 is i. A strict rule has 4 elements at most, and so ends in the loop.
 */
static void emit_search(struct bf_asm *a, int yes, int no)
{
	int again = bf_asm_label(a), strict = bf_asm_label(a), test = bf_asm_label(a);
	int missed = bf_asm_label(a), next = bf_asm_label(a);

	bf_movi(a, BPF_REG_9, 0);
	bf_asm_here(a, again);
	emit_if_strict(a, strict);
	bf_jif(a, BPF_JGE, BPF_REG_9, BPF_REG_7, no);
	bf_mov(a, BPF_REG_8, BPF_REG_6);
	bf_jmp(a, test);

	bf_asm_here(a, strict);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, STATE(end));
	bf_jif(a, BPF_JGE, BPF_REG_9, BPF_REG_1, yes);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, STATE(first));
	bf_jif(a, BPF_JLT, BPF_REG_9, BPF_REG_1, next);
	bf_mov(a, BPF_REG_8, BPF_REG_9);
	bf_alu(a, BPF_SUB, BPF_REG_8, BPF_REG_1);
	bf_alui(a, BPF_AND, BPF_REG_8, PART - 1);
	bf_alui(a, BPF_MUL, BPF_REG_8, sizeof(struct policy_elem));
	bf_alu(a, BPF_ADD, BPF_REG_8, BPF_REG_6);

	bf_asm_here(a, test);
	emit_take(a);
	emit_tests(a, missed);
	emit_if_strict(a, next);
	bf_jmp(a, yes);
	bf_asm_here(a, missed);
	emit_if_strict(a, no);
	bf_asm_here(a, next);
	bf_alui(a, BPF_ADD, BPF_REG_9, 1);
	bf_jifi(a, BPF_JLT, BPF_REG_9, MAX_DEPTH, again);
	bf_jmp(a, no);
}

/*
 *	has = the transforms of that direction to the list;
 *	if (!has || state->none)
 *		return !has && state->none;
 *	if (strict && n != len)
 *		return 0;
 *	search
 */
static void policy_emit(struct bf_asm *a)
{
	int none = bf_asm_label(a), out = bf_asm_label(a), have = bf_asm_label(a);
	int yes = bf_asm_label(a), no = bf_asm_label(a), search = bf_asm_label(a), i;

	bf_mov(a, BPF_REG_6, BPF_REG_1);
	bf_ldx(a, BPF_DW, BPF_REG_7, BPF_REG_2, BF_FRAME_PACKET);
	for (i = 0; i < MAX_DEPTH; i++)
		bf_sti(a, BPF_DW, BPF_REG_10, LIST + 8 * i, 0);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, STATE(out));
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, out);
	emit_list_in(a, none);
	bf_jmp(a, have);
	bf_asm_here(a, out);
	emit_list_out(a, none);

	bf_asm_here(a, have);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, STATE(none));
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, no);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, STATE(strict));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, search);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_6, STATE(len));
	bf_jif(a, BPF_JNE, BPF_REG_1, BPF_REG_7, no);
	bf_asm_here(a, search);
	emit_search(a, yes, no);

	bf_asm_here(a, yes);
	bf_movi(a, BPF_REG_0, 1);
	bf_exit(a);
	bf_asm_here(a, no);
	bf_movi(a, BPF_REG_0, 0);
	bf_exit(a);
	bf_asm_here(a, none);
	bf_ldx(a, BPF_B, BPF_REG_0, BPF_REG_6, STATE(none));
	bf_exit(a);
}

static const char *policy_lacks(const struct bf_kernel *kernel, enum bf_attach attach)
{
	if (!kernel->has_links)
		return "it reads the packet by functions that came with Linux 6.4";
	return kernel->has_xfrm ? NULL : "the kernel's BTF does not describe IPsec";
}

static const struct bf_cond_type cond_policy = {
	.name = "policy",
	.emit = policy_emit,
	.lacks = policy_lacks,
	.fields = BF_PACKET_ADDRESS,
};

static struct policy_elem elem_of(const struct xt_policy_elem *e)
{
	struct policy_elem elem = {.saddr = e->saddr.a4.s_addr,
				   .smask = e->smask.a4.s_addr,
				   .daddr = e->daddr.a4.s_addr,
				   .dmask = e->dmask.a4.s_addr,
				   .spi = e->spi,
				   .reqid = e->reqid,
				   .proto = e->proto,
				   .mode = e->mode};
	const struct xt_policy_spec *specs[] = {&e->match, &e->invert};
	uint8_t *bits[] = {&elem.match, &elem.invert};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(specs); i++)
		*bits[i] = specs[i]->saddr << SADDR | specs[i]->daddr << DADDR |
			   specs[i]->proto << PROTO | specs[i]->mode << MODE |
			   specs[i]->spi << SPI | specs[i]->reqid << REQID;
	return elem;
}

/* All parts are about the same packet, and their conjunction is the rule. */
static void policy_compile(struct bf_rule *r, const struct ipt_entry *e, const void *data)
{
	const struct xt_policy_info *info = data;
	struct policy_state state = {.out = !(info->flags & XT_POLICY_MATCH_IN),
				     .strict = !!(info->flags & XT_POLICY_MATCH_STRICT),
				     .none = !!(info->flags & XT_POLICY_MATCH_NONE),
				     .len = info->len};
	/* Only strict rules look behind the first element, and none does with --pol none. */
	unsigned int used = state.none ? 0 : state.strict ? info->len : info->len > 0, i;

	if (bf_asks_instead(r)) {
		bf_ask_compile(r, e, info);
		return;
	}
	if (!used && !state.none && !state.strict) {
		bf_never(r, BF_TO_NEXT);
		return;
	}
	do {
		memset(state.elem, 0, sizeof(state.elem));
		for (i = 0; i < PART && state.first + i < used; i++)
			state.elem[i] = elem_of(&info->pol[state.first + i]);
		state.end = state.first + i;
		bf_cond(r, &cond_policy, &state, sizeof(state), false, BF_TO_NEXT);
		state.first += PART;
	} while (state.first < used);
}

BF_ONLY_AT_HOOKS(policy, "IPsec has not begun there, or is over")

const struct bf_match bf_match_policy = {
	.name = "policy",
	.size = sizeof(struct xt_policy_info),
	.options = "--dir, --pol, --strict, --next; --reqid, --spi, --proto, --mode, --tunnel-src, "
		   "--tunnel-dst, all with !",
	.asks_instead = true,
	.check = policy_check,
	.place = policy_place,
	.compile = policy_compile,
};
