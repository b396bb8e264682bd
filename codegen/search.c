// SPDX-License-Identifier: GPL-2.0
/*
 * How the record form's program searches a chain: down a tree, and through records. Registers as in
 * records.c.
 */
#include "records.h"

#define KEY(field)  (BF_FRAME_KEY + 4 * (field))
#define REC(member) offsetof(struct bf_record, member)
#define ROW_BYTES   (BF_PAGE_VALUES * sizeof(uint64_t))

_Static_assert(BF_SADDR == 0 && BF_DADDR == 1 && sizeof(struct bf_record) == 32,
	       "the key begins as a record does");

void bf_emit_word(struct bf_records *r)
{
	struct bf_asm *a = r->a;

	bf_alui(a, BPF_LSH, BPF_REG_1, 3);
	bf_jifi(a, BPF_JGT, BPF_REG_1, 8 * r->cap_words - 8, r->drop);
	bf_map_value(a, BPF_REG_2, BF_MAP_WORDS);
	bf_alu(a, BPF_ADD, BPF_REG_2, BPF_REG_1);
	bf_ldx(a, BPF_DW, BPF_REG_3, BPF_REG_2, 0);
}

/* r8 = address of record number r7 and the ones behind it; no such record: drop. Clobbers r1. */
void bf_emit_record(struct bf_records *r)
{
	struct bf_asm *a = r->a;

	bf_alu32(a, BPF_MOV, BPF_REG_1, BPF_REG_7);
	bf_alui(a, BPF_LSH, BPF_REG_1, 5);
	bf_jifi(a, BPF_JGT, BPF_REG_1, 32 * (r->cap_records - BF_RECORD_PADDING), r->drop);
	bf_map_value(a, BPF_REG_8, BF_MAP_RECORDS);
	bf_alu(a, BPF_ADD, BPF_REG_8, BPF_REG_1);
}

void bf_emit_if_page(struct bf_records *r, int pages)
{
	struct bf_asm *a = r->a;

	if (!r->layout->pages)
		return;
	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_alui(a, BPF_AND, BPF_REG_1, BF_PC_PAGE);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, pages);
}

/* r3 and r5 of the packet. */
static void emit_packet(const struct bf_records *r)
{
	struct bf_asm *a = r->a;

	bf_ldx(a, BPF_DW, BPF_REG_3, BPF_REG_6, KEY(BF_SADDR));
	bf_ldx(a, BPF_W, BPF_REG_5, BPF_REG_6, KEY(r->layout->predicates));
	bf_alui(a, BPF_XOR, BPF_REG_5, -1);
}

/*
 * r0 = 0 if the addresses and predicates of record @i at r8 are the packet's, r3 and r5, predicates in @ignore aside.
 * Clobbers r1.
 */
static void emit_compare(struct bf_asm *a, int i, uint32_t ignore)
{
	int at = i * sizeof(struct bf_record);

	bf_ldx(a, BPF_DW, BPF_REG_0, BPF_REG_8, at + REC(addresses));
	bf_alu(a, BPF_XOR, BPF_REG_0, BPF_REG_3);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_8, at + REC(mask));
	bf_alu(a, BPF_AND, BPF_REG_0, BPF_REG_1);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_8, at + REC(predicates));
	if (ignore)
		bf_alu32i(a, BPF_AND, BPF_REG_1, ~ignore);
	bf_alu(a, BPF_AND, BPF_REG_1, BPF_REG_5);
	bf_alu(a, BPF_OR, BPF_REG_0, BPF_REG_1);
}

/* if ((uint16_t)(key[field] - ports->first) > ports->span) goto miss; clobbers r1 and r2 */
static void emit_port(struct bf_asm *a, int at, enum bf_field field, int miss)
{
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, KEY(field));
	bf_ldx(a, BPF_H, BPF_REG_2, BPF_REG_8, at + offsetof(struct bf_ports, first));
	bf_alu(a, BPF_SUB, BPF_REG_1, BPF_REG_2);
	bf_alui(a, BPF_AND, BPF_REG_1, UINT16_MAX);
	bf_ldx(a, BPF_H, BPF_REG_2, BPF_REG_8, at + offsetof(struct bf_ports, span));
	bf_jif(a, BPF_JGT, BPF_REG_1, BPF_REG_2, miss);
}

static void emit_ports(const struct bf_records *r, int i, int miss)
{
	int at = i * sizeof(struct bf_record);

	if (!r->lift->ports)
		return;
	emit_port(r->a, at + REC(dport), BF_DPORT, miss);
	emit_port(r->a, at + REC(sport), BF_SPORT, miss);
}

/*
 * Of @n records from number r7 on, the first that holds: then to @holds with its number in r7, its
 * act in r8. To r->out if none does.
 */
void bf_emit_scan(struct bf_records *r, int n, int holds)
{
	struct bf_asm *a = r->a;
	int candidate[BF_RECORD_PADDING], next[BF_RECORD_PADDING + 1], i;

	for (i = 0; i < n; i++) {
		candidate[i] = bf_asm_label(a);
		next[i] = bf_asm_label(a);
	}
	next[n] = bf_asm_label(a);
	bf_emit_record(r);
	emit_packet(r);
	for (i = 0; i < n; i++) {
		bf_asm_here(a, next[i]);
		emit_compare(a, i, 0);
		bf_jifi(a, BPF_JEQ, BPF_REG_0, 0, candidate[i]);
	}
	bf_asm_here(a, next[n]);
	bf_alu32i(a, BPF_ADD, BPF_REG_7, n);
	bf_jmp(a, r->out);
	for (i = 0; i < n; i++) {
		bf_asm_here(a, candidate[i]);
		emit_ports(r, i, next[i + 1]);
		bf_ldx(a, BPF_W, BPF_REG_8, BPF_REG_8, 32 * i + REC(act));
		if (i)
			bf_alu32i(a, BPF_ADD, BPF_REG_7, i);
		bf_jmp(a, holds);
	}
}

/* The same for an odd packet: one record, whose number is also that of its entry. */
void bf_emit_scan_odd(struct bf_records *r, int holds)
{
	struct bf_asm *a = r->a;
	int miss = bf_asm_label(a), no_fragment = bf_asm_label(a), met = bf_asm_label(a);

	bf_emit_record(r);
	emit_packet(r);
	emit_compare(a, 0, r->lift->late);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, miss);

	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_alu32i(a, BPF_ADD, BPF_REG_1, r->layout->entry_words);
	bf_emit_word(r);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, KEY(BF_FRAGOFF));
	bf_jifi(a, BPF_JEQ, BPF_REG_1, 0, no_fragment);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 1, met);
	bf_jifi(a, BPF_JSLT, BPF_REG_3, 0, r->drop);
	bf_jmp(a, met);
	bf_asm_here(a, no_fragment);
	bf_alui(a, BPF_RSH, BPF_REG_3, BF_PLACE_NEED_SHIFT);
	bf_alui(a, BPF_AND, BPF_REG_3, BF_PLACE_NEED);
	bf_alui(a, BPF_LSH, BPF_REG_3, 2);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_6, KEY(BF_L4LEN));
	bf_jif(a, BPF_JLT, BPF_REG_1, BPF_REG_3, r->drop);
	bf_asm_here(a, met);

	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_8, REC(predicates));
	bf_alu(a, BPF_AND, BPF_REG_1, BPF_REG_5);
	bf_jifi(a, BPF_JNE, BPF_REG_1, 0, miss);
	emit_ports(r, 0, miss);
	bf_ldx(a, BPF_W, BPF_REG_8, BPF_REG_8, REC(act));
	bf_jmp(a, holds);
	bf_asm_here(a, miss);
	bf_alu32i(a, BPF_ADD, BPF_REG_7, 1);
	bf_jmp(a, r->out);
}

/* The candidates of page r4 that are in r3: the last bit's place is r7's, and its record's address r8. Clobbers r0 to r2. */
static void emit_candidate(struct bf_records *r)
{
	struct bf_asm *a = r->a;

	/* The bit alone: r1; its number: r1 */
	bf_movi(a, BPF_REG_1, 0);
	bf_alu(a, BPF_SUB, BPF_REG_1, BPF_REG_3);
	bf_alu(a, BPF_AND, BPF_REG_1, BPF_REG_3);
	bf_alu(a, BPF_XOR, BPF_REG_3, BPF_REG_1);
	bf_ld_imm64(a, BPF_REG_2, BF_RANK_FACTOR);
	bf_alu(a, BPF_MUL, BPF_REG_1, BPF_REG_2);
	bf_alui(a, BPF_RSH, BPF_REG_1, 64 - BF_PAGE_SHIFT);
	bf_map_value(a, BPF_REG_2, BF_MAP_WORDS);
	bf_alu(a, BPF_ADD, BPF_REG_2, BPF_REG_1);
	bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_2, 8 * BF_WORD_RANKS);
	bf_alui(a, BPF_AND, BPF_REG_1, BF_PAGE_RECORDS - 1);
	bf_alu32i(a, BPF_AND, BPF_REG_7, ~(BF_PAGE_RECORDS - 1));
	bf_alu32(a, BPF_OR, BPF_REG_7, BPF_REG_1);
	bf_alui(a, BPF_LSH, BPF_REG_1, 2);
	bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_4);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_1, offsetof(struct bf_page, records));
	bf_alui(a, BPF_LSH, BPF_REG_1, 5);
	bf_jifi(a, BPF_JGT, BPF_REG_1, 32 * (r->cap_records - BF_RECORD_PADDING), r->drop);
	bf_map_value(a, BPF_REG_8, BF_MAP_RECORDS);
	bf_alu(a, BPF_ADD, BPF_REG_8, BPF_REG_1);
}

/* r4 = address of the page that r7 is in, r3 = which of its records, from r7's on, the packet may match. Clobbers r0 to r2. */
static void emit_rows(struct bf_records *r)
{
	struct bf_asm *a = r->a;
	int i;

	bf_alu32(a, BPF_MOV, BPF_REG_1, BPF_REG_7);
	bf_alui(a, BPF_AND, BPF_REG_1, BF_PC_PAGE - 1);
	bf_alui(a, BPF_RSH, BPF_REG_1, BF_PAGE_SHIFT);
	bf_alui(a, BPF_MUL, BPF_REG_1, sizeof(struct bf_page));
	bf_jifi(a, BPF_JGT, BPF_REG_1, 8 * r->cap_words - sizeof(struct bf_page), r->drop);
	bf_map_value(a, BPF_REG_4, BF_MAP_WORDS);
	bf_alu(a, BPF_ADD, BPF_REG_4, BPF_REG_1);
	bf_movi(a, BPF_REG_3, -1);
	bf_mov(a, BPF_REG_1, BPF_REG_7);
	bf_alui(a, BPF_AND, BPF_REG_1, BF_PAGE_RECORDS - 1);
	bf_alu(a, BPF_LSH, BPF_REG_3, BPF_REG_1);
	/* r3 &= page->rows[i][key[page->byte[i]] >> page->shift[i] & 15] */
	for (i = 0; i < BF_PAGE_WINDOWS; i++) {
		bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_4, offsetof(struct bf_page, byte) + i);
		bf_alui(a, BPF_AND, BPF_REG_1, r->layout->last_field << 2 | 3);
		bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_6);
		bf_ldx(a, BPF_B, BPF_REG_1, BPF_REG_1, BF_FRAME_KEY);
		bf_ldx(a, BPF_B, BPF_REG_2, BPF_REG_4, offsetof(struct bf_page, shift) + i);
		bf_alu32(a, BPF_RSH, BPF_REG_1, BPF_REG_2);
		bf_alui(a, BPF_AND, BPF_REG_1, BF_PAGE_VALUES - 1);
		bf_alui(a, BPF_LSH, BPF_REG_1, 3);
		bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_4);
		bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_1,
		       offsetof(struct bf_page, rows[0]) + i * ROW_BYTES);
		bf_alu(a, BPF_AND, BPF_REG_3, BPF_REG_1);
	}
}

/* To @miss if the candidate at r8 does not hold, else to @holds with its act in r8. Clobbers r0 to r2. */
static void emit_try(struct bf_records *r, int holds, int miss)
{
	struct bf_asm *a = r->a;

	bf_ldx(a, BPF_DW, BPF_REG_0, BPF_REG_8, REC(addresses));
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_6, KEY(BF_SADDR));
	bf_alu(a, BPF_XOR, BPF_REG_0, BPF_REG_1);
	bf_ldx(a, BPF_DW, BPF_REG_1, BPF_REG_8, REC(mask));
	bf_alu(a, BPF_AND, BPF_REG_0, BPF_REG_1);
	bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_8, REC(predicates));
	bf_alu(a, BPF_AND, BPF_REG_1, BPF_REG_5);
	bf_alu(a, BPF_OR, BPF_REG_0, BPF_REG_1);
	bf_jifi(a, BPF_JNE, BPF_REG_0, 0, miss);
	emit_ports(r, 0, miss);
	bf_ldx(a, BPF_W, BPF_REG_8, BPF_REG_8, REC(act));
	bf_jmp(a, holds);
}

void bf_emit_pages(struct bf_records *r, bool loop, int holds)
{
	struct bf_asm *a = r->a;
	int page = bf_asm_label(a), next = bf_asm_label(a), end = bf_asm_label(a);
	int behind = bf_asm_label(a), last = bf_asm_label(a), i;

	bf_asm_here(a, page);
	emit_rows(r);
	bf_ldx(a, BPF_W, BPF_REG_5, BPF_REG_6, KEY(r->layout->predicates));
	bf_alui(a, BPF_XOR, BPF_REG_5, -1);
	bf_asm_here(a, next);
	for (i = 0; i < (loop ? 1 : BF_STEP_CANDIDATES); i++) {
		int miss = bf_asm_label(a);

		bf_jifi(a, BPF_JEQ, BPF_REG_3, 0, end);
		emit_candidate(r);
		emit_try(r, holds, miss);
		bf_asm_here(a, miss);
	}
	if (loop) {
		bf_may_goto(a, behind);
		bf_jmp(a, next);
	}
	bf_asm_here(a, behind);
	bf_alu32i(a, BPF_ADD, BPF_REG_7, 1);
	bf_jmp(a, r->out);
	bf_asm_here(a, end);
	bf_alu32i(a, BPF_OR, BPF_REG_7, BF_PAGE_RECORDS - 1);
	bf_alu32i(a, BPF_ADD, BPF_REG_7, 1);
	if (loop) {
		bf_may_goto(a, last);
		bf_jmp(a, page);
	}
	bf_asm_here(a, last);
	bf_jmp(a, r->out);
}

/*
 * From node r7 down to a leaf: r7 is its first record. Or to r->out before that. Shifts by a
 * register take as many of its bits as they can use.
 */
void bf_emit_walk(struct bf_records *r)
{
	struct bf_asm *a = r->a;
	int leaf = bf_asm_label(a), i;

	bf_alu32i(a, BPF_AND, BPF_REG_7, ~BF_PC_NODE);
	for (i = 0; i < BF_STEP_NODES; i++) {
		bf_alu32(a, BPF_MOV, BPF_REG_1, BPF_REG_7);
		bf_emit_word(r);
		bf_alu32(a, BPF_MOV, BPF_REG_7, BPF_REG_3);
		bf_jifi(a, BPF_JSLT, BPF_REG_3, 0, leaf);
		/* r7 = base + ((key[field] << shl) >> shr) */
		bf_mov(a, BPF_REG_1, BPF_REG_3);
		bf_alui(a, BPF_RSH, BPF_REG_1, 32 - 2);
		bf_alui(a, BPF_AND, BPF_REG_1, r->layout->last_field << 2);
		bf_alu(a, BPF_ADD, BPF_REG_1, BPF_REG_6);
		bf_ldx(a, BPF_W, BPF_REG_1, BPF_REG_1, BF_FRAME_KEY);
		bf_mov(a, BPF_REG_2, BPF_REG_3);
		bf_alui(a, BPF_RSH, BPF_REG_2, 40);
		bf_alu32(a, BPF_LSH, BPF_REG_1, BPF_REG_2);
		bf_alui(a, BPF_RSH, BPF_REG_3, 48);
		bf_alu32(a, BPF_RSH, BPF_REG_1, BPF_REG_3);
		bf_alu32(a, BPF_ADD, BPF_REG_7, BPF_REG_1);
	}
	bf_alu32i(a, BPF_OR, BPF_REG_7, BF_PC_NODE);
	bf_jmp(a, r->out);
	bf_asm_here(a, leaf);
}
