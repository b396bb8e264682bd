/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The entries of a table, written small: most rules differ from the one before in a few bytes.
 *
 * For each entry:
 *
 *	size	1 byte: 0 if it is that of the entry before; else it in words of 8 bytes; or SIZE_ESCAPE
 *		and 2 bytes, low one first: it in bytes
 *	words	until the entry is complete: how many words are skipped, and unless that completes it, one
 *		word that is not. A skipped word is that of the last entry of the same size, or zero if
 *		there is none. A word: a byte whose bits say which of its bytes differ, and their
 *		differences (exclusive or)
 *	rest	of a size that is not in words, as it is
 *
 * How many are skipped: a byte; SKIP_MORE stands for as many, and that another follows.
 */
#ifndef BPFILTER_SQUEEZE_H
#define BPFILTER_SQUEEZE_H

#include "table.h"

/* More than bf_squeeze() writes for any table with so many entries in so many bytes. */
static inline size_t bf_squeeze_bound(uint32_t size, uint32_t num_entries)
{
	return size + (size_t)size / 4 + 12 * (size_t)num_entries;
}

/**
 * bf_squeeze - write a table's entries
 * @dst: bf_squeeze_bound() bytes; only what is written is touched
 *
 * Returns how many bytes were written.
 */
size_t bf_squeeze(const struct bf_table *t, uint8_t *dst);

/**
 * bf_unsqueeze - the entries again
 * @src: @len bytes; any
 * @dst: receives @size bytes
 *
 * 0, or -EINVAL if @src is not what bf_squeeze() writes for entries of that size together. They are
 * not checked otherwise.
 */
int bf_unsqueeze(const uint8_t *src, size_t len, uint8_t *dst, uint32_t size);

#endif /* BPFILTER_SQUEEZE_H */
