// SPDX-License-Identifier: GPL-2.0
/* The entries of a table, written small. See squeeze.h. */
#include <endian.h>
#include <errno.h>
#include <string.h>

#include "squeeze.h"

#define WORD	    sizeof(uint64_t)
#define SIZE_SAME   0
#define SIZE_ESCAPE 1 /* no entry is so small */
#define SKIP_MORE   255

/**
 * struct memory - the last entry of each size, as far as it is remembered
 * @at: its offset; by size
 * @size: of that; 0 for none
 *
 * Two sizes that share a place push each other out: no harm but that of more bytes.
 */
struct memory {
	uint32_t at[64];
	uint32_t size[64];
};

/* The last entry of this size, or NULL; and from now on this one is. */
static const uint8_t *recall(struct memory *m, const uint8_t *entries, uint32_t at, uint32_t size)
{
	uint32_t place = size / WORD % ARRAY_SIZE(m->at);
	const uint8_t *last = m->size[place] == size ? entries + m->at[place] : NULL;

	m->at[place] = at;
	m->size[place] = size;
	return last;
}

static uint64_t word_at(const uint8_t *p, uint32_t word)
{
	uint64_t v;

	memcpy(&v, p + word * WORD, WORD);
	return v;
}

static uint8_t *put_size(uint8_t *dst, uint32_t size, uint32_t before)
{
	uint32_t words = size / WORD;

	if (size == before) {
		*dst++ = SIZE_SAME;
	} else if (size % WORD == 0 && words > SIZE_ESCAPE && words <= UINT8_MAX) {
		*dst++ = words;
	} else {
		*dst++ = SIZE_ESCAPE;
		*dst++ = size & 0xff;
		*dst++ = size >> 8;
	}
	return dst;
}

static uint8_t *put_skip(uint8_t *dst, uint32_t words)
{
	for (; words >= SKIP_MORE; words -= SKIP_MORE)
		*dst++ = SKIP_MORE;
	*dst++ = words;
	return dst;
}

/* Byte by byte in memory order, whatever the machine's. */
static uint8_t *put_word(uint8_t *dst, uint64_t diff)
{
	uint8_t *mask = dst++, bits = 0;
	uint32_t i;

	diff = htole64(diff);
	for (i = 0; i < WORD; i++) {
		uint8_t byte = diff >> 8 * i;

		*dst = byte;
		dst += byte != 0;
		bits |= (byte != 0) << i;
	}
	*mask = bits;
	return dst;
}

static uint8_t *put_entry(uint8_t *dst, const uint8_t *entry, const uint8_t *last, uint32_t size)
{
	uint32_t words = size / WORD, next = 0, i;

	for (i = 0; i < words; i++) {
		uint64_t diff = word_at(entry, i) ^ (last ? word_at(last, i) : 0);

		if (!diff)
			continue;
		dst = put_word(put_skip(dst, i - next), diff);
		next = i + 1;
	}
	if (next < words)
		dst = put_skip(dst, words - next);
	memcpy(dst, entry + words * WORD, size % WORD);
	return dst + size % WORD;
}

size_t bf_squeeze(const struct bf_table *t, uint8_t *dst)
{
	uint32_t before = 0, at;
	struct memory memory = {};
	uint8_t *p = dst;
	uint16_t size;

	for (at = 0; at < t->size; at += size) {
		memcpy(&size, t->entries + at + offsetof(struct ipt_entry, next_offset),
		       sizeof(size));
		p = put_size(p, size, before);
		p = put_entry(p, t->entries + at, recall(&memory, t->entries, at, size), size);
		before = size;
	}
	return p - dst;
}

/* What is still to be read. */
struct source {
	const uint8_t *p, *end;
};

/* The next byte, or -EINVAL. */
static int get_byte(struct source *s)
{
	return s->p < s->end ? *s->p++ : -EINVAL;
}

/* Negative if there is none. */
static int get_size(struct source *s, uint32_t before)
{
	int size = get_byte(s), low, high;

	if (size == SIZE_SAME)
		return before ? (int)before : -EINVAL;
	if (size != SIZE_ESCAPE)
		return size * (int)WORD;
	low = get_byte(s);
	high = get_byte(s);
	return low < 0 || high < 0 ? -EINVAL : low | high << 8;
}

/* How many, at most @max; or -EINVAL. */
static int get_skip(struct source *s, uint32_t max)
{
	uint32_t words = 0;
	int n;

	do {
		n = get_byte(s);
		if (n < 0)
			return n;
		words += n;
	} while (n == SKIP_MORE && words <= max);
	return words <= max ? (int)words : -EINVAL;
}

static int get_word(struct source *s, uint8_t *dst)
{
	int mask = get_byte(s);
	uint32_t i;

	if (mask <= 0 || s->end - s->p < __builtin_popcount(mask))
		return -EINVAL;
	for (i = 0; i < WORD; i++)
		if (mask & 1 << i)
			dst[i] ^= *s->p++;
	return 0;
}

/* @entry has been filled with what differences are from. */
static int get_entry(struct source *s, uint8_t *entry, uint32_t size)
{
	uint32_t words = size / WORD, rest = size % WORD, i = 0;
	int skip, err;

	while (i < words) {
		skip = get_skip(s, words - i);
		if (skip < 0)
			return skip;
		i += skip;
		if (i == words)
			break;
		err = get_word(s, entry + i++ * WORD);
		if (err)
			return err;
	}
	if (s->end - s->p < (int)rest)
		return -EINVAL;
	memcpy(entry + words * WORD, s->p, rest);
	s->p += rest;
	return 0;
}

int bf_unsqueeze(const uint8_t *src, size_t len, uint8_t *dst, uint32_t size)
{
	struct source s = {src, src + len};
	struct memory memory = {};
	uint32_t at, before = 0;
	const uint8_t *last;
	int n, err;

	for (at = 0; at < size; at += n) {
		n = get_size(&s, before);
		if (n <= 0 || (uint32_t)n > size - at)
			return -EINVAL;
		before = n;
		last = recall(&memory, dst, at, n);
		if (last)
			memcpy(dst + at, last, n);
		else
			memset(dst + at, 0, n);
		err = get_entry(&s, dst + at, n);
		if (err)
			return err;
	}
	return s.p == s.end ? 0 : -EINVAL;
}
