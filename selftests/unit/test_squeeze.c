// SPDX-License-Identifier: GPL-2.0
/* The entries of a table, written small and read again: exactly, or not at all. */
#include "dice.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"
#include "squeeze.h"

#define ENTRY sizeof(struct ipt_entry)

/* Entries of given sizes; nothing but the sizes is looked at. */
FIXTURE(squeeze)
{
	struct bf_table t;
	uint8_t *packed;
	size_t len;
};

FIXTURE_SETUP(squeeze)
{
	memset(self, 0, sizeof(*self));
}

static void clear(FIXTURE_DATA(squeeze) * self)
{
	free(self->t.entries);
	free(self->packed);
	memset(self, 0, sizeof(*self));
}

FIXTURE_TEARDOWN(squeeze)
{
	clear(self);
}

/* Another entry, all zeroes behind its head; where it begins. Valid until the next one. */
static uint8_t *add(FIXTURE_DATA(squeeze) * self, uint16_t size)
{
	const struct ipt_entry head = {.next_offset = size, .comefrom = 1 << NF_INET_LOCAL_IN};
	struct bf_table *t = &self->t;
	uint8_t *e;

	t->entries = realloc(t->entries, t->size + size);
	e = t->entries + t->size;
	memcpy(e, &head, sizeof(head));
	memset(e + sizeof(head), 0, size - sizeof(head));
	t->size += size;
	t->num_entries++;
	return e;
}

/* Packs it, into no more than was promised. */
static bool pack(FIXTURE_DATA(squeeze) * self)
{
	size_t bound = bf_squeeze_bound(self->t.size, self->t.num_entries);

	free(self->packed);
	self->packed = malloc(bound);
	self->len = bf_squeeze(&self->t, self->packed);
	return self->len <= bound;
}

/* What is packed, out of memory that ends where it ends. */
static int unpack(FIXTURE_DATA(squeeze) * self, size_t len, uint8_t *dst, uint32_t size)
{
	uint8_t *exact = malloc(len ?: 1);
	int err;

	if (len)
		memcpy(exact, self->packed, len);
	err = bf_unsqueeze(exact, len, dst, size);
	free(exact);
	return err;
}

static bool comes_back(FIXTURE_DATA(squeeze) * self)
{
	uint8_t *dst = malloc(self->t.size ?: 1);
	bool ok;

	memset(dst, 0x5a, self->t.size);
	ok = pack(self) && !unpack(self, self->len, dst, self->t.size) &&
	     (!self->t.size || !memcmp(dst, self->t.entries, self->t.size));
	free(dst);
	return ok;
}

TEST_F(squeeze, nothing)
{
	EXPECT_TRUE(comes_back(self));
	EXPECT_EQ(0U, self->len);
}

TEST_F(squeeze, an_entry_like_the_one_before_is_two_bytes)
{
	unsigned int i;

	for (i = 0; i < 3; i++)
		add(self, 152);
	EXPECT_TRUE(comes_back(self));
	i = self->len;
	add(self, 152);
	EXPECT_TRUE(comes_back(self));
	EXPECT_EQ(i + 2, self->len);
	/* Of another size: what it is like is the last one of that. */
	add(self, 112);
	add(self, 152);
	EXPECT_TRUE(comes_back(self));
	i = self->len;
	add(self, 112);
	EXPECT_TRUE(comes_back(self));
	EXPECT_EQ(i + 2, self->len);
}

/* One byte, or two, at each place of an entry. */
TEST_F(squeeze, each_byte_counts)
{
	static const uint16_t sizes[] = {144, 145, 151, 152, 160, 2040, 2048, 2049, 4200, 65535};
	unsigned int i, at;
	uint8_t *e;

	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		for (at = ENTRY; at<sizes[i]; at += sizes[i]> 1000 ? 61 : 1) {
			clear(self);
			add(self, sizes[i]);
			e = add(self, sizes[i]);
			e[at] = 0xff;
			e[ENTRY] = 1;
			add(self, sizes[i]);
			ASSERT_TRUE(comes_back(self)) TH_LOG("size %u, byte %u", sizes[i], at);
		}
}

/* As many entries as a big table has, like and unlike each other. */
TEST_F(squeeze, whatever_there_is)
{
	struct dice d = {.state = 1};
	unsigned int round, i, at;

	for (round = 0; round < 300; round++) {
		unsigned int n = roll(&d, 60), unlike = roll(&d, 12);

		clear(self);
		for (i = 0; i < n; i++) {
			uint16_t size = ENTRY + 32 + 8 * roll(&d, 1 + round % 70);
			uint8_t *e;

			if (!roll(&d, 50))
				size = ENTRY + 32 + roll(&d, 60000);
			e = add(self, size);
			for (at = 0; at < unlike; at++)
				e[ENTRY + roll(&d, size - ENTRY)] = roll(&d, 256);
		}
		ASSERT_TRUE(comes_back(self)) TH_LOG("round %u", round);
	}
}

/* Nothing is as large as entries without any order. */
TEST_F(squeeze, never_larger_than_promised)
{
	struct dice d = {.state = 2};
	unsigned int i, at;

	for (i = 0; i < 100; i++) {
		uint16_t size = 112 + 8 * (i % 3);
		uint8_t *e = add(self, size);

		for (at = 0; at < size; at++)
			if (at < offsetof(struct ipt_entry, next_offset) ||
			    at >= offsetof(struct ipt_entry, comefrom))
				e[at] = 1 + roll(&d, 255);
	}
	EXPECT_TRUE(comes_back(self));
	EXPECT_LT(self->t.size, self->len);
}

TEST_F(squeeze, what_is_cut_short_or_too_long_is_refused)
{
	uint8_t dst[1024];
	unsigned int i;

	for (i = 0; i < 4; i++)
		add(self, 144 + 8 * (i % 2) + (i == 3))[ENTRY + 3 * i] = i;
	ASSERT_TRUE(comes_back(self));
	for (i = 0; i < self->len; i++)
		EXPECT_EQ(-EINVAL, unpack(self, i, dst, self->t.size)) TH_LOG("%u bytes", i);
	self->packed = realloc(self->packed, self->len + 1);
	self->packed[self->len] = 0;
	EXPECT_EQ(-EINVAL, unpack(self, self->len + 1, dst, self->t.size));
	EXPECT_EQ(-EINVAL, unpack(self, self->len, dst, self->t.size + 1));
	EXPECT_EQ(-EINVAL, unpack(self, self->len, dst, self->t.size - 1));
	EXPECT_EQ(-EINVAL, unpack(self, self->len, dst, 0));
	EXPECT_EQ(0, unpack(self, self->len, dst, self->t.size));
}

TEST_F(squeeze, what_makes_no_sense_is_refused)
{
	static const struct {
		uint8_t bytes[8];
		size_t len;
	} v[] = {
		{{0}, 1},	   /* the size of the one before the first */
		{{1}, 1},	   /* no size behind the escape */
		{{1, 16}, 2},	   /* half a size */
		{{1, 0, 0, 2}, 4}, /* none */
		{{2}, 1},	   /* no words */
		{{2, 1}, 2},	   /* skips one, and no word */
		{{2, 3}, 2},	   /* skips more than there are */
		{{2, 255, 0}, 3},  {{2, 255, 255, 255, 255}, 5},
		{{2, 0, 0, 1}, 4}, /* a word without differences */
		{{2, 0, 3, 1}, 4}, /* not all of its bytes */
		{{3, 3}, 2},	   /* larger than the table */
	};
	uint8_t *dst = malloc(16);
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++)
		EXPECT_EQ(-EINVAL, bf_unsqueeze(v[i].bytes, v[i].len, dst, 16)) TH_LOG("%u", i);
	EXPECT_EQ(0, bf_unsqueeze((const uint8_t[]){2, 1, 2, 7}, 4, dst, 16));
	EXPECT_EQ(0, memcmp(dst, (const uint8_t[16]){[9] = 7}, 16));
	free(dst);
}

/* Each byte of it changed: an error or other entries, and nothing is read or written elsewhere. */
TEST_F(squeeze, damage)
{
	struct dice d = {.state = 3};
	unsigned int i, n, refused = 0;
	uint8_t *dst;

	for (i = 0; i < 40; i++)
		add(self, 144 + 8 * roll(&d, 4))[ENTRY + roll(&d, 32)] = i;
	ASSERT_TRUE(comes_back(self));
	dst = malloc(self->t.size);
	for (i = 0; i < self->len; i++)
		for (n = 1; n < 256; n++) {
			int err;

			self->packed[i] ^= n;
			err = unpack(self, self->len, dst, self->t.size);
			EXPECT_TRUE(!err || err == -EINVAL);
			refused += !!err;
			self->packed[i] ^= n;
		}
	EXPECT_LT(0U, refused);
	free(dst);
}

TEST_HARNESS_MAIN
