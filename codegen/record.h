/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The record form's instruction, one element of its map: a branch over the key, or an action.
 */
#ifndef BPFILTER_RECORD_H
#define BPFILTER_RECORD_H

#include <stdint.h>

enum bf_record_code {
	/* Branches: go on with the next record if it holds, with record @to if not. */
	BF_REC_EQ,	/* (key[field] & a) == b */
	BF_REC_NE,
	BF_REC_IN,	/* key[field] - a <= b, unsigned */
	BF_REC_OUT,
	BF_REC_COND,	/* condition a, of type field */
	BF_REC_NOT_COND,

	/* Actions: count in counter b, then */
	BF_REC_NEXT,	/* go on with the next record */
	BF_REC_GOTO,	/* go to record a */
	BF_REC_JUMP,	/* the same, and come back to the next record */
	BF_REC_RETURN,
	BF_REC_ACCEPT,
	BF_REC_DROP,
	BF_REC_HOTDROP,	/* drop without counting */
};

#define BF_REC_FIRST_ACTION BF_REC_NEXT

struct bf_record {
	uint8_t code;
	uint8_t field;
	uint16_t pad;
	uint32_t to;
	uint32_t a, b;
};

#endif /* BPFILTER_RECORD_H */
