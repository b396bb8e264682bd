// SPDX-License-Identifier: GPL-2.0
/* Root programs and guards. r6 is the context in all of them. See root.h. */
#include <errno.h>
#include <linux/if_ether.h>
#include <linux/netfilter_ipv4.h>
#include <linux/pkt_cls.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "asm.h"
#include "root.h"

#define MAP_SWITCH 0
#define MAP_DEVS   1

/* In skb->tc_index: judged at ingress; judged at the egress of an interface above. */
#define TAG_IN	0xbf01
#define TAG_OUT 0xbf02

/* In front of a frame: judged by XDP. */
#define META_SIZE 8
#define META_LOW  0x6c696662
#define META_HIGH 0x21726574

#define SKB(member) ((int)offsetof(struct __sk_buff, member))

static void emit_begin(struct bf_asm *a)
{
	bf_mov(a, BPF_REG_6, BPF_REG_1);
}

static void emit_return(struct bf_asm *a, int32_t value)
{
	bf_movi(a, BPF_REG_0, value);
	bf_exit(a);
}

/* tail_call(ctx, switch, slot), which returns only if there is no program. */
static void emit_run(struct bf_asm *a, enum bf_slot slot)
{
	bf_mov(a, BPF_REG_1, BPF_REG_6);
	bf_map(a, BPF_REG_2, MAP_SWITCH);
	bf_movi(a, BPF_REG_3, slot);
	bf_helper(a, BPF_FUNC_tail_call);
}

static void emit_set_skb(struct bf_asm *a, int off, int32_t value)
{
	bf_movi(a, BPF_REG_2, value);
	bf_stx(a, BPF_W, BPF_REG_6, off, BPF_REG_2);
}

static void emit_plain(struct bf_asm *a, int32_t pass)
{
	emit_begin(a);
	emit_run(a, BF_SLOT_GUARD);
	emit_run(a, BF_SLOT_TABLE);
	emit_return(a, pass);
}

static void emit_tc_ingress(struct bf_asm *a)
{
	emit_begin(a);
	emit_set_skb(a, SKB(cb[0]), BF_TC_INGRESS);
	emit_run(a, BF_SLOT_GUARD);
	emit_run(a, BF_SLOT_TABLE);
	emit_return(a, TC_ACT_UNSPEC);
}

/* r7 = BF_DEV_* of skb->ifindex, 0 if it is not known (yet): then what it sends is judged. */
static void emit_dev_flags(struct bf_asm *a)
{
	int unknown = bf_asm_label(a);

	bf_movi(a, BPF_REG_7, 0);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, SKB(ifindex));
	bf_stx(a, BPF_W, BPF_REG_10, -4, BPF_REG_1);
	bf_map(a, BPF_REG_1, MAP_DEVS);
	bf_mov(a, BPF_REG_2, BPF_REG_10);
	bf_alui(a, BPF_ADD, BPF_REG_2, -4);
	bf_helper(a, BPF_FUNC_map_lookup_elem);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, unknown);
	bf_ldx(a, BPF_H, BPF_REG_7, BPF_REG_0, offsetof(struct bf_dev, flags));
	bf_asm_here(a, unknown);
}

/* To @pass with what IP has not sent: other protocols, and frames of packet sockets. */
static void emit_only_ip(struct bf_asm *a, int pass)
{
	int own = bf_asm_label(a);

	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, SKB(protocol));
	bf_be(a, BPF_REG_1, 16);
	bf_jifi(a, BPF_JNE, BPF_REG_1, ETH_P_IP, pass);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_6, SKB(sk));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, own);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_1, offsetof(struct bpf_sock, family));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, AF_PACKET, pass);
	bf_asm_here(a, own);
}

/* If r8, the tag, says that it was judged above: to @pass; the tag stays for the next one below. */
static void emit_judged_above(struct bf_asm *a, int pass)
{
	int other = bf_asm_label(a);

	bf_jifi(a, BPF_JNE, BPF_REG_8, TAG_OUT, other);
	bf_jifi(a, BPF_JSET, BPF_REG_7, BF_DEV_STACKED, pass);
	emit_set_skb(a, SKB(tc_index), 0);
	bf_jmp(a, pass);
	bf_asm_here(a, other);
}

static void emit_tc_egress(struct bf_asm *a)
{
	int pass = bf_asm_label(a), judge = bf_asm_label(a), no_tag = bf_asm_label(a);

	emit_begin(a);
	/* A tag of ingress does not leave the namespace. */
	bf_ldx(a, BPF_W, BPF_REG_8, BPF_REG_6, SKB(tc_index));
	bf_jifi(a, BPF_JNE, BPF_REG_8, TAG_IN, no_tag);
	emit_set_skb(a, SKB(tc_index), 0);
	bf_asm_here(a, no_tag);
	/* skb->skb_iif: forwarded, here or through a bridge */
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, SKB(ingress_ifindex));
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, pass);
	emit_dev_flags(a);
	emit_judged_above(a, pass);
	bf_jifi(a, BPF_JSET, BPF_REG_7, BF_DEV_PORT, pass);
	emit_only_ip(a, pass);
	bf_alui(a, BPF_AND, BPF_REG_7, BF_DEV_STACKED);
	bf_jifi(a, BPF_JEQ, BPF_REG_7, 0, judge);
	emit_set_skb(a, SKB(tc_index), TAG_OUT);
	bf_asm_here(a, judge);
	emit_set_skb(a, SKB(cb[0]), BF_TC_EGRESS);
	emit_run(a, BF_SLOT_TABLE);
	bf_asm_here(a, pass);
	emit_return(a, TC_ACT_UNSPEC);
}

/* At LOCAL_IN and FORWARD; what goes out may be a tunnel's packet, with the tag of what is in it. */
static void emit_guard_link(struct bf_asm *a, const struct bf_kernel *k)
{
	int judge = bf_asm_label(a);

	emit_begin(a);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_6, k->nf_ctx_state);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_1, k->state_hook);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, NF_INET_LOCAL_OUT, judge);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_6, k->nf_ctx_skb);
	bf_ldx(a, BPF_H, BPF_REG_1, BPF_REG_1, k->skb_tc_index);
	bf_jifi(a, BPF_JNE, BPF_REG_1, TAG_IN, judge);
	emit_return(a, NF_ACCEPT);
	bf_asm_here(a, judge);
	emit_run(a, BF_SLOT_TABLE);
	emit_return(a, NF_ACCEPT);
}

/* r2 = the metadata in front of the frame; to @none if there is not so much. @data..: of the context */
static void emit_meta(struct bf_asm *a, int data_meta, int data, int none)
{
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, data_meta);
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_6, data);
	bf_mov(a, BPF_REG_4, BPF_REG_2);
	bf_alui(a, BPF_ADD, BPF_REG_4, META_SIZE);
	bf_jif(a, BPF_JGT, BPF_REG_4, BPF_REG_3, none);
}

static void emit_guard_tc(struct bf_asm *a)
{
	int judge = bf_asm_label(a);

	emit_begin(a);
	emit_set_skb(a, SKB(tc_index), TAG_IN);
	emit_meta(a, SKB(data_meta), SKB(data), judge);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_2, 0);
	bf_jif32i(a, BPF_JNE, BPF_REG_1, META_LOW, judge);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_2, 4);
	bf_jif32i(a, BPF_JNE, BPF_REG_1, META_HIGH, judge);
	emit_return(a, TC_ACT_UNSPEC);
	bf_asm_here(a, judge);
	emit_run(a, BF_SLOT_TABLE);
	emit_set_skb(a, SKB(tc_index), 0);
	emit_return(a, TC_ACT_UNSPEC);
}

static void emit_adjust_meta(struct bf_asm *a, int32_t by)
{
	bf_mov(a, BPF_REG_1, BPF_REG_6);
	bf_movi(a, BPF_REG_2, by);
	bf_helper(a, BPF_FUNC_xdp_adjust_meta);
}

/* A driver may have no room for metadata: then a packet is judged at tc ingress as well. */
static void emit_guard_xdp(struct bf_asm *a)
{
	int judge = bf_asm_label(a), pass = bf_asm_label(a);

	emit_begin(a);
	emit_adjust_meta(a, -META_SIZE);
	bf_mov(a, BPF_REG_7, BPF_REG_0);
	bf_jifi(a, BPF_JNE, BPF_REG_7, 0, judge);
	emit_meta(a, offsetof(struct xdp_md, data_meta), offsetof(struct xdp_md, data), judge);
	bf_mov32i(a, BPF_REG_1, META_LOW);
	bf_stx(a, BPF_W, BPF_REG_2, 0, BPF_REG_1);
	bf_mov32i(a, BPF_REG_1, META_HIGH);
	bf_stx(a, BPF_W, BPF_REG_2, 4, BPF_REG_1);
	bf_asm_here(a, judge);
	emit_run(a, BF_SLOT_TABLE);
	/* Nobody has judged it. */
	bf_jifi(a, BPF_JNE, BPF_REG_7, 0, pass);
	emit_adjust_meta(a, META_SIZE);
	bf_asm_here(a, pass);
	emit_return(a, XDP_PASS);
}

static void emit_root(struct bf_asm *a, enum bf_root root)
{
	switch (root) {
	case BF_ROOT_LINK:
		return emit_plain(a, NF_ACCEPT);
	case BF_ROOT_TC_INGRESS:
		return emit_tc_ingress(a);
	case BF_ROOT_TC_EGRESS:
		return emit_tc_egress(a);
	case BF_ROOT_XDP:
	case BF_ROOT_EARLY:
		return emit_plain(a, XDP_PASS);
	case BF_GUARD_LINK:
		return emit_guard_link(a, a->kernel);
	case BF_GUARD_TC:
		return emit_guard_tc(a);
	case BF_GUARD_XDP:
		return emit_guard_xdp(a);
	}
}

int bf_compile_root(const struct bf_kernel *kernel, enum bf_root root, struct bf_program **program)
{
	static const enum bf_attach attaches[] = {
		[BF_ROOT_LINK] = BF_ATTACH_LINK,    [BF_ROOT_TC_INGRESS] = BF_ATTACH_TC,
		[BF_ROOT_TC_EGRESS] = BF_ATTACH_TC, [BF_ROOT_XDP] = BF_ATTACH_XDP,
		[BF_GUARD_LINK] = BF_ATTACH_LINK,   [BF_GUARD_TC] = BF_ATTACH_TC,
		[BF_GUARD_XDP] = BF_ATTACH_XDP,	    [BF_ROOT_EARLY] = BF_ATTACH_XDP,
	};
	struct bf_program *p;
	struct bf_asm a;
	int err;

	*program = NULL;
	if (root == BF_GUARD_LINK && !kernel->skb_tc_index)
		return -EOPNOTSUPP;
	p = calloc(1, sizeof(*p));
	if (!p)
		return -ENOMEM;
	p->attach = attaches[root];
	p->frags = root == BF_ROOT_EARLY;
	bf_asm_init(&a, kernel);
	emit_root(&a, root);
	err = bf_asm_finish(&a);
	if (!err) {
		p->insns = a.insns;
		p->nr_insns = a.nr_insns;
		a.insns = NULL;
		*program = p;
	} else {
		free(p);
	}
	bf_asm_free(&a);
	return err;
}
