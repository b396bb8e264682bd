// SPDX-License-Identifier: GPL-2.0
/* Pieces that every form of a table's program is made of. r6 is the frame's address throughout. */
#include <linux/in.h>
#include <linux/netfilter.h>
#include <linux/pkt_cls.h>

#include "early.h"

/* struct tcphdr without options, and where its byte with the data offset is. */
#define TCP_HEADER 20
#define TCP_DOFF   12

#define KEY(field) (BF_FRAME_KEY + 4 * (field))

int bf_key_bytes(uint64_t fields)
{
	int end = BF_HOOK + 1, field;

	for (field = end; field < BF_NR_FIELDS; field++)
		if (fields & BF_FIELD_BIT(field))
			end = field + 1;
	return (KEY(end) + 7) & ~7;
}

void bf_emit_key(struct bf_asm *a, const struct bf_program *p, int readable, int pass, int drop)
{
	bf_asm_note(a, BF_PART_KEY, 0, 0);
	if (p->early)
		bf_emit_key_early(a, p, readable, pass);
	else if (p->behind)
		bf_emit_key_note(a, p);
	else if (p->attach == BF_ATTACH_LINK)
		bf_emit_key_link(a, p, readable);
	else if (p->attach == BF_ATTACH_MODULE)
		bf_emit_key_module(a, p, readable, drop);
	else
		bf_emit_key_packet(a, p, readable, pass, drop);
}

/*
 * NF_DROP is 0, NF_ACCEPT is 1: one line through both of
 *
 *	TC_ACT_SHOT	2	XDP_DROP	1
 *	TC_ACT_UNSPEC  -1	XDP_PASS	2
 */
void bf_emit_return_verdict(struct bf_asm *a)
{
	if (a->attach == BF_ATTACH_TC) {
		bf_alui(a, BPF_MUL, BPF_REG_0, TC_ACT_UNSPEC - TC_ACT_SHOT);
		bf_alui(a, BPF_ADD, BPF_REG_0, TC_ACT_SHOT);
	} else if (a->attach == BF_ATTACH_XDP) {
		bf_alui(a, BPF_ADD, BPF_REG_0, XDP_DROP);
	}
	bf_exit(a);
}

void bf_emit_plain_verdict(struct bf_asm *a, int verdict)
{
	if (a->attach == BF_ATTACH_TC)
		verdict = verdict == NF_ACCEPT ? TC_ACT_UNSPEC : TC_ACT_SHOT;
	else if (a->attach == BF_ATTACH_XDP)
		verdict = verdict == NF_ACCEPT ? XDP_PASS : XDP_DROP;
	bf_movi(a, BPF_REG_0, verdict);
	bf_exit(a);
}

void bf_emit_test(struct bf_asm *a, const struct bf_op *op, int fail)
{
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_KEY + 4 * op->field);
	if (op->code == BF_OP_EQ) {
		if (op->a != UINT32_MAX)
			bf_alu32i(a, BPF_AND, BPF_REG_1, op->a);
		bf_jif32i(a, op->invert ? BPF_JEQ : BPF_JNE, BPF_REG_1, op->b, fail);
		return;
	}
	if (op->a > op->b) { /* an empty range, which the kernel accepts */
		if (!op->invert)
			bf_jmp(a, fail);
		return;
	}
	if (op->a)
		bf_alu32i(a, BPF_SUB, BPF_REG_1, op->a);
	bf_jif32i(a, op->invert ? BPF_JLE : BPF_JGT, BPF_REG_1, op->b - op->a, fail);
}

/*
 *	optlen = 0;
 *	if (proto == IPPROTO_TCP && (!fragoff || fields & BF_FRAGMENTS) && l4len >= 20) {
 *		len = (byte 12 >> 4) * 4 - 20;
 *		if (len < 0 || read(options, thoff + 20, len))
 *			optlen = BF_OPTLEN_BAD;
 *		else
 *			optlen = len;
 *	}
 *
 * r9 is len.
 */
void bf_emit_tcp_options(struct bf_asm *a, uint64_t fields)
{
	int done = bf_asm_label(a), bad = bf_asm_label(a);

	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, KEY(BF_PROTO));
	bf_jifi(a, BPF_JNE, BPF_REG_1, IPPROTO_TCP, done);
	if (!(fields & BF_FRAGMENTS)) {
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, KEY(BF_FRAGOFF));
		bf_jifi(a, BPF_JNE, BPF_REG_1, 0, done);
	}
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, KEY(BF_L4LEN));
	bf_jifi(a, BPF_JLT, BPF_REG_1, TCP_HEADER, done);

	bf_ldx(a, BPF_W, BPF_REG_0, BPF_REG_6, BF_FRAME_THOFF);
	bf_alui(a, BPF_ADD, BPF_REG_0, TCP_DOFF);
	bf_movi(a, BPF_REG_9, 1);
	bf_packet_read(a, BPF_REG_6, BF_FRAME_BUF, BPF_REG_0, BPF_REG_9);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, bad);
	bf_ldx(a, BPF_B, BPF_REG_9, BPF_REG_6, BF_FRAME_BUF);
	bf_alui(a, BPF_RSH, BPF_REG_9, 4);
	bf_alui(a, BPF_LSH, BPF_REG_9, 2);
	bf_jifi(a, BPF_JLT, BPF_REG_9, TCP_HEADER, bad);
	/* Not "equal": Linux 6.1 would not learn from that that there are options. */
	bf_jifi(a, BPF_JLE, BPF_REG_9, TCP_HEADER, done);
	bf_alui(a, BPF_SUB, BPF_REG_9, TCP_HEADER);

	bf_ldx(a, BPF_W, BPF_REG_0, BPF_REG_6, BF_FRAME_THOFF);
	bf_alui(a, BPF_ADD, BPF_REG_0, TCP_HEADER);
	bf_packet_read(a, BPF_REG_6, BF_FRAME_OPTIONS, BPF_REG_0, BPF_REG_9);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, bad);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_OPTLEN, BPF_REG_9);
	bf_jmp(a, done);
	bf_asm_here(a, bad);
	bf_sti(a, BPF_W, BPF_REG_6, BF_FRAME_OPTLEN, BF_OPTLEN_BAD);
	bf_asm_here(a, done);
}

void bf_emit_set_mark(struct bf_asm *a)
{
	bf_stx(a, BPF_W, BPF_REG_6, KEY(BF_MARK), BPF_REG_1);
	/* The packet gets it behind the program. */
	if (a->attach == BF_ATTACH_LINK || (a->late_marks && a->decides))
		return;
	/* If the program only asks, too, for the matches that are asked: the module takes it back. */
	bf_ldx(a, BPF_DW, BPF_REG_2, BPF_REG_6, BF_FRAME_SKB);
	bf_stx(a, BPF_W, BPF_REG_2, offsetof(struct __sk_buff, mark), BPF_REG_1);
}

/* key[field] += r1 - key[BF_LEN] */
static void grow(struct bf_asm *a, enum bf_field field)
{
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, KEY(BF_LEN));
	bf_ldx(a, BPF_W, BPF_REG_3, BPF_REG_6, KEY(field));
	bf_alu32(a, BPF_SUB, BPF_REG_3, BPF_REG_2);
	bf_alu32(a, BPF_ADD, BPF_REG_3, BPF_REG_1);
	bf_stx(a, BPF_W, BPF_REG_6, KEY(field), BPF_REG_3);
}

void bf_emit_grow(struct bf_asm *a, const struct bf_rules *rules)
{
	if (!a->behind)
		return;
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_NOW);
	grow(a, BF_L4LEN);
	if (rules->fields & BF_FIELD_BIT(BF_TOTLEN))
		grow(a, BF_TOTLEN);
	bf_stx(a, BPF_W, BPF_REG_6, KEY(BF_LEN), BPF_REG_1);
}

/* trace->entries[trace->nr++ % BF_TRACE_MAX] = r1 */
static void emit_trace(struct bf_asm *a)
{
	bf_map_value(a, BPF_REG_2, BF_MAP_TRACE);
	bf_ldx(a, BPF_DW, BPF_REG_3, BPF_REG_2, offsetof(struct bf_trace, nr));
	bf_mov(a, BPF_REG_4, BPF_REG_3);
	bf_alui(a, BPF_ADD, BPF_REG_3, 1);
	bf_stx(a, BPF_DW, BPF_REG_2, offsetof(struct bf_trace, nr), BPF_REG_3);
	bf_alui(a, BPF_AND, BPF_REG_4, BF_TRACE_MAX - 1);
	bf_alui(a, BPF_LSH, BPF_REG_4, 2);
	bf_alu(a, BPF_ADD, BPF_REG_2, BPF_REG_4);
	bf_stx(a, BPF_W, BPF_REG_2, offsetof(struct bf_trace, entries), BPF_REG_1);
}

/*
 *	if (noted < BF_EARLY_NOTES)
 *		notes[noted++] = r1;
 *	else
 *		noted = 255;
 */
static void emit_note_early(struct bf_asm *a)
{
	int full = bf_asm_label(a), done = bf_asm_label(a);

	bf_ldx(a, BPF_B, BPF_REG_2, BPF_REG_6, BF_FRAME_NOTED);
	bf_jifi(a, BPF_JGE, BPF_REG_2, BF_EARLY_NOTES, full);
	bf_mov(a, BPF_REG_3, BPF_REG_2);
	bf_alui(a, BPF_LSH, BPF_REG_3, 2);
	bf_alu(a, BPF_ADD, BPF_REG_3, BPF_REG_6);
	bf_stx(a, BPF_W, BPF_REG_3, BF_FRAME_NOTES, BPF_REG_1);
	bf_alui(a, BPF_ADD, BPF_REG_2, 1);
	bf_stx(a, BPF_B, BPF_REG_6, BF_FRAME_NOTED, BPF_REG_2);
	bf_jmp(a, done);
	bf_asm_here(a, full);
	bf_sti(a, BPF_B, BPF_REG_6, BF_FRAME_NOTED, 255);
	bf_asm_here(a, done);
}

void bf_emit_count(struct bf_asm *a)
{
	int done = bf_asm_label(a);

	if (!a->decides)
		return;
	if (a->early) {
		emit_note_early(a);
		return;
	}
	if (a->behind)
		bf_emit_ahead(a, BPF_REG_6, done);
	if (a->trace)
		emit_trace(a);
	/* c = &counters[cpu * stride + r1] */
	bf_ldx(a, BPF_W, BPF_REG_2, BPF_REG_6, BF_FRAME_COUNTERS);
	bf_alu32(a, BPF_ADD, BPF_REG_1, BPF_REG_2);
	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_BUF, BPF_REG_1);
	bf_map(a, BPF_REG_1, BF_MAP_COUNTERS);
	bf_mov(a, BPF_REG_2, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_2, BF_FRAME_BUF);
	bf_helper(a, BPF_FUNC_map_lookup_elem);
	bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, done);

	/*
	 * c->pcnt++; c->bcnt += skb->len. Atomic, although the counter is this CPU's own: a packet that
	 * a process sends can be interrupted here by one that is received.
	 */
	bf_movi(a, BPF_REG_1, 1);
	bf_atomic(a, BPF_DW, BPF_ADD, BPF_REG_0, 0, BPF_REG_1);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, BF_FRAME_KEY + 4 * BF_LEN);
	bf_atomic(a, BPF_DW, BPF_ADD, BPF_REG_0, 8, BPF_REG_1);
	bf_asm_here(a, done);
}

void bf_emit_cond(struct bf_asm *a, const int *functions, uint32_t type)
{
	int missing = bf_asm_label(a);

	bf_stx(a, BPF_W, BPF_REG_6, BF_FRAME_BUF, BPF_REG_1);
	bf_map(a, BPF_REG_1, BF_MAP_CONDS);
	bf_mov(a, BPF_REG_2, BPF_REG_6);
	bf_alui(a, BPF_ADD, BPF_REG_2, BF_FRAME_BUF);
	bf_helper(a, BPF_FUNC_map_lookup_elem);
	bf_mov(a, BPF_REG_1, BPF_REG_0);
	bf_movi(a, BPF_REG_0, BF_HOTDROP);
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, missing);
	bf_mov(a, BPF_REG_2, BPF_REG_6);
	bf_call(a, functions[type]);
	bf_asm_here(a, missing);
}

void bf_emit_cond_functions(struct bf_asm *a, const struct bf_rules *rules, const int *functions)
{
	uint32_t i;

	for (i = 0; i < rules->nr_types; i++) {
		int null = bf_asm_label(a), ok = bf_asm_label(a);

		bf_asm_note(a, BF_PART_COND, i, 0);
		if (rules->types[i] == &bf_cond_ask) {
			bf_function(a, functions[i]);
			bf_cond_ask.emit(a);
			continue;
		}
		bf_global_function(a, functions[i]);
		bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, null);
		bf_jifi(a, BPF_JNE, BPF_REG_2, 0, ok);
		bf_asm_here(a, null);
		bf_movi(a, BPF_REG_0, BF_HOTDROP);
		bf_exit(a);
		bf_asm_here(a, ok);
		rules->types[i]->emit(a);
	}
}
