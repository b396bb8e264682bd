/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The record form's data, as its program reads it. Three arrays:
 *
 *	records	 what a packet is compared with, 32 bytes a rule. First one for each entry of the
 *		 table, in its order, so that the number of the record is that of the entry; behind
 *		 them copies, the leaves of the decision trees, each a run of records that ends
 *		 with one that holds for every packet that gets there
 *	words	 where packets start, where a rule leads to, names, the nodes of the trees, and pages:
 *		 leaves that are long, as numbers of entries with what tells which of them to compare
 *	ops	 what is left of a rule that a record cannot hold, as a small program
 *
 * Where a packet is in the table is a "program counter" of 32 bits: the number of a record, or
 * one of a word, of a place in a page or of an op with a bit that says so. A PLACE is what a word has of one, for normal
 * packets and for odd ones. Numbers are in host byte order, addresses as in the key (ir.h).
 */
#ifndef BPFILTER_RECORD_H
#define BPFILTER_RECORD_H

#include <linux/netfilter.h>
#include <stdint.h>

/* Kinds of program counters: the number of a record has none of these bits. */
#define BF_PC_PAGE   0x10000000U /* number of the page << BF_PAGE_SHIFT | which of its records */
#define BF_PC_FOREST 0x20000000U /* word: how many trees; behind it their roots */
#define BF_PC_NODE   0x40000000U /* word: a tree's node */
#define BF_PC_OP     0x80000000U

/* What follows when a record or an op program holds. All up to GOTO count the packet first. */
enum bf_act_code {
	BF_DO_NEXT, /* go on behind the record */
	BF_DO_ACCEPT,
	BF_DO_DROP,
	BF_DO_RETURN,
	BF_DO_JUMP, /* to the rule's place, and come back behind the record */
	BF_DO_GOTO,
	BF_DO_OPS,  /* not counted yet: the op program at the rule's place decides */
	BF_DO_STOP, /* drop without counting: nothing leads there */
};

#define BF_ACT_SHIFT 27
#define BF_ACT_INDEX ((1U << BF_ACT_SHIFT) - 1)

/**
 * struct bf_record - what a packet must have for a rule to hold
 * @addresses, @mask: the key's first two words, source in the low half, and which bits of them
 * @predicates: bits that must be set in the packet's word of predicates
 * @sport, @dport: (uint16_t)(port - first) <= span
 * @act: code << BF_ACT_SHIFT | number of the entry, which is that of its counter
 */
struct bf_record {
	uint64_t addresses, mask;
	uint32_t predicates;
	struct bf_ports {
		uint16_t first, span;
	} sport, dport;
	uint32_t act;
};

#define BF_PAGE_SHIFT	6
#define BF_PAGE_RECORDS (1U << BF_PAGE_SHIFT)
#define BF_PAGE_WINDOWS 6 /* 4 bits of the key each */
#define BF_PAGE_VALUES	16

/**
 * struct bf_page - up to 64 records of a list, of which few need to be compared
 * @byte: of each window, the byte of the key that it is in
 * @shift: and of how many bits of that it is to be rid
 * @rows: of each window and value: the records, a bit each, that a packet with this value there may match
 * @records: their numbers, in the list's order; that of a record is that of its entry
 *
 * What a packet may match is in all rows of its values. Page number n is at word n * BF_PAGE_WORDS. A list that is
 * longer goes on in the next page.
 */
struct bf_page {
	uint8_t byte[8], shift[8]; /* the last two of each are not used */
	uint64_t rows[BF_PAGE_WINDOWS][BF_PAGE_VALUES];
	uint32_t records[BF_PAGE_RECORDS];
};

#define BF_PAGE_WORDS (sizeof(struct bf_page) / sizeof(uint64_t))

/*
 * The words, by number:
 *
 *	HOOK +	   each hook: the place where its packets start
 *	0, 1	   those numbers
 *	POLICY +   each hook: the record of its policy, and from bit 32 on the elements that are on
 *		   the return stack to begin with: 1, the policy
 *	RANKS	   64 bytes: the number of a bit, by what is left of the bit times BF_RANK_FACTOR in
 *		   the upper six
 *	NAMES	   the table of interface names (names.h), if they have codes
 *	then	   one for each entry: the place that its record leads to
 *	then	   the trees' nodes (tree.h), whose leaves give the program counter of a list; of each
 *		   forest the number of its trees, their roots, and its pages; places that op
 *		   programs lead to
 *
 * A place is a program counter in the low half, and in the high half the record of the same rule,
 * for odd packets (lift.h), which take the records in the table's order. In an entry's own word the
 * upper bits say what its rule asks of an odd packet: NEED, in units of 4 bytes, how long the
 * header must be; EVIL, that it be no fragment that could overwrite the header.
 */
#define BF_WORD_HOOK   0
#define BF_WORD_0      5 /* 0 and 1: numbers of which the verifier knows nothing */
#define BF_WORD_1      6
#define BF_WORD_POLICY 8
#define BF_WORD_RANKS  16
#define BF_WORD_NAMES  24

/* A de Bruijn sequence: each six bits of it in a row are others. */
#define BF_RANK_FACTOR 0x03f79d71b4cb0a89ULL

#define BF_PLACE_NEED_SHIFT (32 + BF_ACT_SHIFT)
#define BF_PLACE_NEED	    0xfULL
#define BF_PLACE_EVIL_SHIFT 63

/*
 * An op. Every test is one: (key[field] & a) - b <= limit, in 32 bits without sign. That is a
 * masked comparison with limit 0, a range with all bits in a, and the inversions of both by moving
 * b past the range. Where it holds, the next op follows, otherwise the one that is @skip further
 * on.
 */
enum bf_op_record_code {
	BF_OPS_TEST,
	BF_OPS_TEST_DROP, /* drop if the test does not hold */
	BF_OPS_COND,	  /* condition a, of type field */
	BF_OPS_NOT_COND,
	BF_OPS_MARK,	 /* the packet's mark becomes (mark & a) ^ b */
	BF_OPS_CT_MARK,	 /* that of its connection does */
	BF_OPS_CT_SHIFT, /* that is shifted: mark << b >> limit, one of which is 0 */
	BF_OPS_SAVE,	 /* that becomes its mark ^ (the packet's mark & a) << b >> limit */
	BF_OPS_RESTORE, /* the packet's becomes its mark ^ (the connection's mark & a) << b >> limit */
	BF_OPS_COUNT,  /* entry a counts the packet */
	BF_OPS_GROW,   /* the packet has another length */
	BF_OPS_EFFECT, /* the packet has the effect with id a */
	BF_OPS_ACT,    /* holds: act is a, and word number b the place that this leads to, if any */
	BF_OPS_MISS,   /* does not hold: behind the record that led here */
};

struct bf_op_record {
	uint8_t code;
	uint8_t field;
	uint16_t skip; /* 0 in a condition's record: drop */
	uint32_t a, b;
	uint32_t limit;
};

#endif /* BPFILTER_RECORD_H */
