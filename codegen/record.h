/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The record form's instruction, one element of its map: a branch over the key, or an action.
 */
#ifndef BPFILTER_RECORD_H
#define BPFILTER_RECORD_H

#include <stdint.h>

/*
 * Every branch over the key is one test: (key[field] & a) - b <= limit, in 32 bits without sign. That is a
 * masked comparison with limit 0, a range with all bits in a, and the inversions of both by moving b past
 * the range. Where it does not hold, @skip records are passed over.
 */
enum bf_record_code {
	BF_REC_TEST,
	BF_REC_TEST_DROP, /* drop if the test does not hold */
	BF_REC_COND,	  /* condition a, of type field */
	BF_REC_NOT_COND,
	BF_REC_MARK, /* the packet's mark becomes (mark & a) ^ b */

	/* Actions: count in counter b, then */
	BF_REC_NEXT, /* go on with the next record */
	BF_REC_GOTO, /* go to record a */
	BF_REC_JUMP, /* the same, and come back to the next record */
	BF_REC_RETURN,
	BF_REC_ACCEPT,
	BF_REC_DROP,

	BF_REC_START, /* go to record a with b at the bottom of the stack, limit its depth; no count */
	BF_REC_NONE, /* drop without counting */
};

#define BF_REC_FIRST_ACTION BF_REC_NEXT

struct bf_record {
	uint8_t code;
	uint8_t field;
	uint16_t skip; /* 0 in a condition's record: drop */
	uint32_t a, b;
	uint32_t limit;
};

#endif /* BPFILTER_RECORD_H */
