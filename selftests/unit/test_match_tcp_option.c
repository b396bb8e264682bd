// SPDX-License-Identifier: GPL-2.0
/*
 * --tcp-option: the code that searches the options, run instruction by instruction against
 * tcp_find_option() of the kernel.
 */
#include "cond.h"
#include "kselftest_harness.h"

#include <linux/netfilter/xt_tcpudp.h>

FIXTURE(option)
{
	struct bf_kernel kernel;
	struct cond c;
};

FIXTURE_SETUP(option)
{
	memset(self, 0, sizeof(*self));
}

FIXTURE_TEARDOWN(option)
{
}

/*
 * The answer for a packet whose TCP header says it has @doff words, with @len bytes of options there,
 * which the prologue has put into the frame; BPF_VM_STUCK if something is wrong with the code.
 */
static uint64_t search(FIXTURE_DATA(option) * self, uint8_t option, unsigned int doff,
		       const uint8_t *options, unsigned int len)
{
	struct xt_tcp tcp = {.spts = {0, 65535}, .dpts = {0, 65535}, .option = option};
	bool bad = doff < 5 || doff * 4 - 20 > len;
	uint64_t answer = BPF_VM_STUCK;

	if (cond_make(&self->c, &self->kernel, "tcp", 0, &tcp, sizeof(tcp))) {
		memset(self->c.frame, option, sizeof(self->c.frame));
		frame_set(&self->c, BF_FRAME_OPTLEN, bad ? BF_OPTLEN_BAD : doff * 4 - 20);
		if (!bad)
			memcpy(self->c.frame + BF_FRAME_OPTIONS, options, doff * 4 - 20);
		answer = cond_run(&self->c);
	}
	cond_free(&self->c);
	return answer;
}

/* The same in the kernel's way. */
static uint64_t expected(uint8_t option, unsigned int doff, const uint8_t *op, unsigned int len)
{
	unsigned int i, optlen = doff * 4 - 20;

	if (doff < 5)
		return BF_HOTDROP;
	if (optlen > len)
		return BF_HOTDROP;
	for (i = 0; i < optlen;) {
		if (op[i] == option)
			return 1;
		if (op[i] < 2 || i == optlen - 1 || !op[i + 1])
			i++;
		else
			i += op[i + 1];
	}
	return 0;
}

TEST_F(option, directed)
{
	/* MSS 1460, SACK permitted, timestamps, NOP, window scale: what Linux sends */
	static const uint8_t usual[20] = {2, 4, 5, 180, 4, 2, 8, 10, 1, 2,
					  3, 4, 5, 6,	7, 8, 1, 3,  3, 7};
	static const struct {
		uint8_t option, doff;
		uint64_t answer;
	} v[] = {
		{2, 10, 1},
		{4, 10, 1},
		{8, 10, 1},
		{1, 10, 1},
		{3, 10, 1},
		/* values within options are no options */
		{5, 10, 0},
		{180, 10, 0},
		{7, 10, 0},
		{10, 10, 0},
		/* only what the header says belongs to it */
		{3, 9, 0},
		{1, 9, 0},
		{8, 7, 1},
		{8, 6, 0},
		{2, 6, 1},
		{2, 5, 0},
		/* a header too short for itself, and one that the packet does not have */
		{2, 4, BF_HOTDROP},
		{2, 0, BF_HOTDROP},
		{2, 11, BF_HOTDROP},
		{2, 15, BF_HOTDROP},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++)
		EXPECT_EQ(v[i].answer, search(self, v[i].option, v[i].doff, usual, 20))
	TH_LOG("vector %u", i);
}

TEST_F(option, corners)
{
	static const uint8_t zero_length[8] = {9, 0, 7, 0, 5, 2, 6, 1};
	static const uint8_t beyond[4] = {9, 200, 7, 7};
	static const uint8_t last[4] = {1, 1, 1, 9};
	static const uint8_t end[8] = {0, 7, 2, 0, 0, 0, 0, 5};

	/* a length of 0 is one byte */
	EXPECT_EQ(1U, search(self, 7, 7, zero_length, 8));
	EXPECT_EQ(1U, search(self, 5, 7, zero_length, 8));
	EXPECT_EQ(1U, search(self, 6, 7, zero_length, 8));
	/* one beyond the end ends the search */
	EXPECT_EQ(0U, search(self, 7, 6, beyond, 4));
	EXPECT_EQ(1U, search(self, 9, 6, beyond, 4));
	EXPECT_EQ(1U, search(self, 9, 6, last, 4));
	EXPECT_EQ(0U, search(self, 8, 6, last, 4));
	/* the end of options is one byte like another: the search goes on */
	EXPECT_EQ(1U, search(self, 7, 7, end, 8));
	EXPECT_EQ(0U, search(self, 2, 7, end, 8));
	EXPECT_EQ(1U, search(self, 5, 7, end, 8));
}

TEST_F(option, random)
{
	uint8_t options[40];
	unsigned int n, i, found = 0, dropped = 0;

	srandom(1);
	for (n = 0; n < 20000; n++) {
		unsigned int doff = random() % 16, len = random() % 3 ? 40 : random() % 41;
		uint8_t option = 1 + random() % (random() % 2 ? 6 : 255);
		uint64_t answer;

		for (i = 0; i < 40; i++)
			options[i] = random() % 4 ? random() % 6 : random();
		answer = expected(option, doff, options, len);
		ASSERT_EQ(answer, search(self, option, doff, options, len))
		TH_LOG("packet %u, option %u, doff %u, %u bytes", n, option, doff, len);
		found += answer == 1;
		dropped += answer == BF_HOTDROP;
	}
	EXPECT_LT(1000U, found);
	EXPECT_LT(1000U, dropped);
}

/* All forty bytes are read, up to the last. */
TEST_F(option, forty_bytes)
{
	uint8_t options[40];
	unsigned int i;

	for (i = 0; i < 40; i++) {
		memset(options, 1, sizeof(options));
		options[i] = 77;
		EXPECT_EQ(1U, search(self, 77, 15, options, 40)) TH_LOG("byte %u", i);
		EXPECT_EQ(0U, search(self, 78, 15, options, 40));
		EXPECT_EQ((uint64_t)BF_HOTDROP, search(self, 77, 15, options, 39));
	}
}

TEST_HARNESS_MAIN
