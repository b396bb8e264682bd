// SPDX-License-Identifier: GPL-2.0
/* Names of interfaces as codes: which there are, and what the program makes of a packet's name. */
#include "bpf_vm.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "kselftest_harness.h"
#include "names.h"

#define MOST 1716

FIXTURE(names)
{
	struct bf_names names;
	struct bf_asm a;
	struct bpf_vm vm;
	uint64_t *words;
};

FIXTURE_SETUP(names)
{
	static const struct bf_kernel kernel = {};

	memset(self, 0, sizeof(*self));
	bf_asm_init(&self->a, &kernel);
}

FIXTURE_TEARDOWN(names)
{
	bf_names_free(&self->names);
	bf_asm_free(&self->a);
	free(self->words);
}

static struct bf_name padded(const char *text)
{
	char bytes[16] = {};
	struct bf_name name;

	snprintf(bytes, sizeof(bytes), "%s", text);
	memcpy(&name, bytes, sizeof(name));
	return name;
}

static int add(FIXTURE_DATA(names) * self, const char *text)
{
	struct bf_name name = padded(text);

	return bf_names_add(&self->names, &name);
}

static uint32_t code(FIXTURE_DATA(names) * self, const char *text)
{
	struct bf_name name = padded(text);

	return bf_names_code(&self->names, &name);
}

/* Where the table is among the words. */
#define WORD 5

/* All names are known: write the table, and the program that looks into it. False if there are no codes. */
static bool finish(FIXTURE_DATA(names) * self, enum bf_field field)
{
	if (bf_names_finish(&self->names) || !self->names.bits)
		return false;
	self->words = calloc(WORD + bf_names_words(&self->names), sizeof(*self->words));
	bf_names_fill(&self->names, self->words + WORD);
	/* u64 program(u64 unused, void *frame) */
	bf_mov(&self->a, BPF_REG_6, BPF_REG_2);
	bf_emit_name(&self->a, &self->names, field, WORD);
	bf_mov(&self->a, BPF_REG_0, BPF_REG_2);
	bf_exit(&self->a);
	self->vm.a = &self->a;
	self->vm.map_values[BF_MAP_WORDS] = self->words;
	return !bf_asm_finish(&self->a);
}

/* The code that the program finds for a packet with these sixteen bytes as the field's name. */
static uint64_t look_up(FIXTURE_DATA(names) * self, enum bf_field field, const char bytes[16])
{
	uint8_t frame[BF_FRAME_SIZE] __attribute__((aligned(8)));

	memset(frame, 0x5a, sizeof(frame));
	memcpy(frame + BF_FRAME_KEY + 4 * field, bytes, 16);
	return bpf_vm_call(&self->vm, 0, 0, (uintptr_t)frame);
}

static uint64_t look_up_text(FIXTURE_DATA(names) * self, enum bf_field field, const char *text)
{
	char bytes[16] = {};

	memcpy(bytes, text, strlen(text));
	return look_up(self, field, bytes);
}

TEST_F(names, are_noted_once)
{
	EXPECT_EQ(0, add(self, "a"));
	EXPECT_EQ(0, add(self, "b"));
	EXPECT_EQ(0, add(self, "a"));
	EXPECT_EQ(0, add(self, "a"));
	EXPECT_EQ(2U, self->names.nr);
}

TEST_F(names, two_have_no_codes)
{
	ASSERT_EQ(0, add(self, "eth0"));
	ASSERT_EQ(0, add(self, "eth1"));
	ASSERT_EQ(0, bf_names_finish(&self->names));
	EXPECT_EQ(0, self->names.bits);
	EXPECT_EQ(0U, bf_names_words(&self->names));
}

TEST_F(names, three_have_codes_of_four_bits)
{
	ASSERT_EQ(0, add(self, "eth0"));
	ASSERT_EQ(0, add(self, "eth1"));
	ASSERT_EQ(0, add(self, "lo"));
	ASSERT_EQ(0, bf_names_finish(&self->names));
	EXPECT_EQ(4, self->names.bits);
}

static int add_many(FIXTURE_DATA(names) * self, unsigned int n)
{
	unsigned int i;
	char name[16];
	int err = 0;

	for (i = 0; i < n && !err; i++) {
		snprintf(name, sizeof(name), "veth%x", i * 2654435761U);
		err = add(self, name);
	}
	return err;
}

/* For each size at which there is one more bit, and one name more or less. */
TEST_F(names, no_code_has_all_bits_of_another)
{
	static const unsigned int sizes[] = {3, 6, 7, 10, 11, 35, 36, 126, 127, 462, 463, MOST};
	unsigned int s, i, j;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		ASSERT_EQ(0, add_many(self, sizes[s]));
		ASSERT_EQ(0, bf_names_finish(&self->names));
		ASSERT_LT(0, self->names.bits);
		ASSERT_GE(BF_NAME_BITS, self->names.bits);
		for (i = 0; i < sizes[s]; i++) {
			uint32_t c = self->names.codes[i];

			ASSERT_NE(0U, c);
			ASSERT_EQ(0U, c >> self->names.bits);
			for (j = 0; j < sizes[s]; j++)
				ASSERT_TRUE(i == j || (self->names.codes[j] & c) != c);
		}
		bf_names_free(&self->names);
	}
}

TEST_F(names, too_many_have_no_codes)
{
	ASSERT_EQ(0, add_many(self, MOST + 1));
	ASSERT_EQ(0, bf_names_finish(&self->names));
	EXPECT_EQ(0, self->names.bits);
	EXPECT_EQ(0U, bf_names_words(&self->names));
}

TEST_F(names, the_program_finds_all_of_the_most)
{
	unsigned int i;

	ASSERT_EQ(0, add_many(self, MOST));
	ASSERT_TRUE(finish(self, BF_OIF));
	for (i = 0; i < MOST; i++)
		ASSERT_EQ(self->names.codes[i],
			  look_up(self, BF_OIF, (const char *)&self->names.all[i]));
}

/* Of each length, and such as differ behind the eighth byte or in the last one alone. */
static const char *const some[] = {"e",
				   "e0",
				   "eth",
				   "eth0",
				   "eth01",
				   "eth012",
				   "eth0123",
				   "eth01234",
				   "eth012345",
				   "eth012346",
				   "eth0123456",
				   "br-0123456789a",
				   "br-0123456789ab",
				   "br-0123456789ac"};

static const char *const others[] = {"f",
				     "e1",
				     "et",
				     "eth01235",
				     "eth01234x",
				     "eth0123456789ab",
				     "br-0123456789ad",
				     "br-0123456789"};

static bool add_some(FIXTURE_DATA(names) * self)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(some); i++)
		if (add(self, some[i]))
			return false;
	return finish(self, BF_IIF);
}

TEST_F(names, of_every_length_are_found)
{
	unsigned int i;

	ASSERT_TRUE(add_some(self));
	for (i = 0; i < ARRAY_SIZE(some); i++)
		EXPECT_EQ(code(self, some[i]), look_up_text(self, BF_IIF, some[i]))
	TH_LOG("number %u", i);
}

TEST_F(names, that_are_unknown_have_no_code)
{
	unsigned int i;

	ASSERT_TRUE(add_some(self));
	EXPECT_EQ(0U, look_up_text(self, BF_IIF, ""));
	for (i = 0; i < ARRAY_SIZE(others); i++)
		EXPECT_EQ(0U, look_up_text(self, BF_IIF, others[i])) TH_LOG("number %u", i);
}

/* The kernel leaves the rest of a longer name behind the NUL of the one that an interface has been given. */
TEST_F(names, end_with_their_nul)
{
	static const uint8_t fills[] = {1, 'x', 0x7f, 0x80, 0x81, 0xff};
	unsigned int i, f;

	ASSERT_TRUE(add_some(self));
	for (f = 0; f < ARRAY_SIZE(fills); f++) {
		for (i = 0; i < ARRAY_SIZE(some); i++) {
			char bytes[16];

			memset(bytes, fills[f], sizeof(bytes));
			strcpy(bytes, some[i]);
			EXPECT_EQ(code(self, some[i]), look_up(self, BF_IIF, bytes))
			TH_LOG("%s and then %x", some[i], fills[f]);
		}
		for (i = 0; i < ARRAY_SIZE(others); i++) {
			char bytes[16];

			memset(bytes, fills[f], sizeof(bytes));
			strcpy(bytes, others[i]);
			EXPECT_EQ(0U, look_up(self, BF_IIF, bytes)) TH_LOG("number %u", i);
		}
	}
}

/* Bytes beside 0, which a carry of the search for the NUL could take for it. */
TEST_F(names, of_any_bytes_are_found)
{
	static const char *const odd[] = {"\x01",
					  "a\x01",
					  "\x80\x01\x80",
					  "\xff\xff\xff\xff",
					  "\x01\x01\x01\x01\x01\x01\x01\x01\x01",
					  "\x7f\x80\x81\x01\x02\x80\xff\x01"};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(odd); i++)
		ASSERT_EQ(0, add(self, odd[i]));
	ASSERT_TRUE(finish(self, BF_IIF));
	for (i = 0; i < ARRAY_SIZE(odd); i++) {
		char bytes[16];

		memset(bytes, 1, sizeof(bytes));
		strcpy(bytes, odd[i]);
		EXPECT_EQ(code(self, odd[i]), look_up(self, BF_IIF, bytes)) TH_LOG("%u", i);
		EXPECT_EQ(code(self, odd[i]), look_up_text(self, BF_IIF, odd[i])) TH_LOG("%u", i);
	}
}

/* --- which ops are a name ------------------------------------------------------------------- */

static uint32_t whole_name(const char *text, size_t mask_len, bool invert, struct bf_name *name)
{
	unsigned char mask[16] = {};
	struct bf_name n = padded(text), m;
	uint32_t words[4], masks[4], i, found;
	struct bf_rule r = {};

	memset(mask, 0xff, mask_len);
	memcpy(&m, mask, sizeof(m));
	memcpy(words, &n, sizeof(words));
	memcpy(masks, &m, sizeof(masks));
	for (i = 0; i < 4; i++)
		if (masks[i])
			bf_eq(&r, BF_IIF + i, masks[i], words[i] & masks[i], invert, BF_TO_NEXT);
	found = bf_name_of(r.ops, r.nr_ops, name);
	bf_rule_free(&r);
	return found;
}

TEST(whole_names_alone_are_names)
{
	struct bf_name name, wanted;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(some); i++) {
		size_t len = strlen(some[i]);

		EXPECT_EQ((len + 4) / 4, whole_name(some[i], len + 1, false, &name))
		TH_LOG("number %u", i);
		wanted = padded(some[i]);
		EXPECT_EQ(0, memcmp(&wanted, &name, sizeof(name)));
		/* "name+", and not this one */
		EXPECT_EQ(0U, whole_name(some[i], len, false, &name)) TH_LOG("%s+", some[i]);
		EXPECT_EQ(0U, whole_name(some[i], len + 1, true, &name)) TH_LOG("! %s", some[i]);
	}
	/* Nobody but a hand-made rule asks for what lies behind the NUL: then it is no name alone. */
	EXPECT_EQ(1U, whole_name("lo", 3, false, &name));
	EXPECT_EQ(0U, whole_name("lo", 4, false, &name));
	EXPECT_EQ(2U, whole_name("eth0", 5, false, &name));
	EXPECT_EQ(0U, whole_name("eth0", 7, false, &name));
}

TEST_HARNESS_MAIN
