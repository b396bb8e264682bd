// SPDX-License-Identifier: GPL-2.0
/*
 * -m statistic, quota and tcpmss: the checks, and the code of their conditions run instruction by
 * instruction against the functions of the kernel.
 */
#include "cond.h"
#include "kselftest_harness.h"

#include <errno.h>
#include <linux/netfilter/xt_quota.h>
#include <linux/netfilter/xt_statistic.h>
#include <linux/netfilter/xt_tcpmss.h>

FIXTURE(numbers)
{
	struct bf_kernel kernel;
	struct cond c;
	struct entry t;
	uint32_t number; /* the next random one */
	unsigned int meddle;
};

FIXTURE_SETUP(numbers)
{
	memset(self, 0, sizeof(*self));
	entry_init(&self->t);
}

FIXTURE_TEARDOWN(numbers)
{
	cond_free(&self->c);
}

static uint32_t next_random(void *arg)
{
	return ((FIXTURE_DATA(numbers) *)arg)->number;
}

static bool begin(FIXTURE_DATA(numbers) * self, const char *name, const void *info, size_t size)
{
	cond_free(&self->c);
	if (!cond_make(&self->c, &self->kernel, name, 0, info, size))
		return false;
	self->c.vm.random = next_random;
	self->c.vm.arg = self;
	return true;
}

TEST_F(numbers, statistic_check)
{
	unsigned int i;

	for (i = 0; i < 65536; i++) {
		struct xt_statistic_info info = {.mode = i};

		EXPECT_EQ(i < 2 ? 0 : -EINVAL, entry_check(&self->t, "statistic", 0, &info, 0));
		info = (struct xt_statistic_info){.flags = i};
		EXPECT_EQ(i < 2 ? 0 : -EINVAL, entry_check(&self->t, "statistic", 0, &info, 0));
	}
}

TEST_F(numbers, random)
{
	static const uint32_t probabilities[] = {0,	     1,		 2,	     0x40000000,
						 0x7fffffff, 0x80000000, 0x80000001, UINT32_MAX};
	static const uint32_t randoms[] = {0, 1, 0x3fffffff, 0x40000000, 0x7ffffffe, 0x7fffffff};
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(probabilities); i++) {
		struct xt_statistic_info info = {.u.random.probability = probabilities[i]};

		ASSERT_TRUE(begin(self, "statistic", &info, sizeof(info)));
		for (j = 0; j < ARRAY_SIZE(randoms); j++) {
			bool is = randoms[j] < probabilities[i];

			self->number = randoms[j];
			EXPECT_EQ(is, cond_run(&self->c));
			/* The uppermost bit has no part in it. */
			self->number |= 0x80000000;
			EXPECT_EQ(is, cond_run(&self->c));
		}
	}
}

/* The kernel's counter, which wraps as an int does. */
static bool nth_model(uint32_t *count, uint32_t every)
{
	*count = *count == every ? 0 : *count + 1;
	return *count == 0;
}

TEST_F(numbers, nth)
{
	static const uint32_t everies[] = {0, 1, 2, 4, 99, 0x7fffffff, 0x80000000, UINT32_MAX};
	static const uint32_t counts[] = {
		0,	   1,	2,	    3,		4,	    5,		98,
		99,	   100, 0x7ffffffe, 0x7fffffff, 0x80000000, 0xffffff00, UINT32_MAX - 1,
		UINT32_MAX};
	unsigned int i, j, k, picked = 0;

	for (i = 0; i < ARRAY_SIZE(everies); i++)
		for (j = 0; j < ARRAY_SIZE(counts); j++) {
			struct xt_statistic_info info = {
				.mode = XT_STATISTIC_MODE_NTH,
				.u.nth = {.every = everies[i], .count = counts[j]}};
			uint32_t count = counts[j];

			ASSERT_TRUE(begin(self, "statistic", &info, sizeof(info)));
			for (k = 0; k < 600; k++) {
				bool is = nth_model(&count, everies[i]);

				picked += is;
				EXPECT_EQ(is, cond_run(&self->c))
				TH_LOG("every %u from %u: packet %u", everies[i], counts[j], k);
			}
		}
	EXPECT_LT(5000U, picked);
}

TEST_F(numbers, inversion_is_the_branch)
{
	struct xt_statistic_info statistic = {};
	struct xt_quota_info quota = {};
	uint32_t key[BF_NR_FIELDS] = {};
	struct answer answer = {};
	unsigned int invert;

	for (invert = 0; invert < 2; invert++)
		for (answer.value = 0; answer.value < 2; answer.value++) {
			statistic.flags = quota.flags = invert;
			entry_init(&self->t);
			entry_add(&self->t, "statistic", 0, &statistic, sizeof(statistic));
			EXPECT_EQ(answer.value != (int)invert, entry_eval(&self->t, key, &answer));
			statistic.mode = !statistic.mode;
			entry_init(&self->t);
			entry_add(&self->t, "quota", 0, &quota, sizeof(quota));
			EXPECT_EQ(answer.value != (int)invert, entry_eval(&self->t, key, &answer));
		}
}

TEST_F(numbers, quota)
{
	static const uint64_t quotas[] = {0,	1,	    59,		60,	   61,
					  1000, UINT32_MAX, 1ULL << 32, UINT64_MAX};
	static const uint32_t lengths[] = {60, 1, 0, 1500, 28, 60, 61, 100000, 1, 0, 900};
	unsigned int i, j;

	for (i = 0; i < 32; i++) {
		struct xt_quota_info info = {.flags = 1U << i};

		EXPECT_EQ(i ? -EINVAL : 0, entry_check(&self->t, "quota", 0, &info, 0));
	}
	for (i = 0; i < ARRAY_SIZE(quotas); i++) {
		struct xt_quota_info info = {.quota = quotas[i]};
		uint64_t left = quotas[i];

		ASSERT_TRUE(begin(self, "quota", &info, sizeof(info)));
		for (j = 0; j < ARRAY_SIZE(lengths); j++) {
			bool is = left >= lengths[j];

			left = is ? left - lengths[j] : 0;
			frame_set(&self->c, BF_FRAME_KEY + 4 * BF_LEN, lengths[j]);
			EXPECT_EQ(is, cond_run(&self->c));
			EXPECT_EQ(0, memcmp(&left, self->c.cond.state, sizeof(left)));
		}
	}
}

static void spend(void *arg, const void *where)
{
	FIXTURE_DATA(numbers) *self = arg;
	uint64_t *left = (uint64_t *)self->c.cond.state;

	if (self->meddle) {
		self->meddle--;
		*left -= 10;
	}
}

/* What another CPU spends meanwhile is neither lost nor spent twice. */
TEST_F(numbers, quota_is_shared)
{
	struct xt_quota_info info = {.quota = 1000};
	uint64_t left;

	ASSERT_TRUE(begin(self, "quota", &info, sizeof(info)));
	frame_set(&self->c, BF_FRAME_KEY + 4 * BF_LEN, 100);
	self->c.vm.before_cmpxchg = spend;
	self->meddle = 5;
	EXPECT_EQ(1U, cond_run(&self->c));
	memcpy(&left, self->c.cond.state, sizeof(left));
	EXPECT_EQ(850U, left);
	/* The last of it goes while we look. */
	frame_set(&self->c, BF_FRAME_KEY + 4 * BF_LEN, 845);
	self->meddle = 1;
	EXPECT_EQ(0U, cond_run(&self->c));
	memcpy(&left, self->c.cond.state, sizeof(left));
	EXPECT_EQ(0U, left);
}

/* match() of xt_tcpmss.c, as far as options are concerned. */
static int tcpmss_model(const struct xt_tcpmss_match_info *info, const uint8_t *op,
			unsigned int optlen)
{
	unsigned int i;

	for (i = 0; i < optlen;) {
		if (op[i] == 2 && optlen - i >= 4 && op[i + 1] == 4) {
			unsigned int mss = op[i + 2] << 8 | op[i + 3];

			return mss >= info->mss_min && mss <= info->mss_max;
		}
		if (op[i] < 2)
			i++;
		else
			i += op[i + 1] ?: 1;
	}
	return 0;
}

TEST_F(numbers, tcpmss)
{
	static const uint16_t ranges[][2] = {{0, 65535}, {0x0405, 0x0405}, {536, 65535},
					     {1024, 0},	 {0, 1027},	   {0x0201, 0x0404}};
	unsigned int i, j, k, found = 0;

	srandom(1);
	for (i = 0; i < ARRAY_SIZE(ranges); i++) {
		struct xt_tcpmss_match_info info = {ranges[i][0], ranges[i][1], 0};

		ASSERT_TRUE(begin(self, "tcpmss", &info, sizeof(info)));
		for (j = 0; j < 20000; j++) {
			unsigned int optlen = random() % 11 * 4;
			uint8_t options[48];
			int is;

			for (k = 0; k < sizeof(options); k++)
				options[k] = random() % 4 ? random() % 6 : random();
			is = tcpmss_model(&info, options, optlen);
			found += is;
			memcpy(self->c.frame + BF_FRAME_OPTIONS, options, 40);
			frame_set(&self->c, BF_FRAME_OPTLEN, optlen);
			EXPECT_EQ((uint64_t)is, cond_run(&self->c));
		}
		frame_set(&self->c, BF_FRAME_OPTLEN, BF_OPTLEN_BAD);
		EXPECT_EQ((uint64_t)BF_HOTDROP, cond_run(&self->c));
	}
	EXPECT_LT(2000U, found);
}

TEST_F(numbers, tcpmss_headers_and_inversion)
{
	const struct bf_kernel skips = {.tried[BF_TRY_TCPMSS] = BF_FRAGMENTS_SKIPPED};
	struct xt_tcpmss_match_info info = {.mss_max = 65535};
	uint32_t key[BF_NR_FIELDS] = {};
	struct answer answer = {};
	unsigned int fragoff;

	for (info.invert = 0; info.invert < 3; info.invert++)
		for (fragoff = 0; fragoff < 3; fragoff++)
			for (answer.value = 0; answer.value < 3; answer.value++) {
				int value = info.invert > 1 && answer.value < 2 ? 0 : answer.value;
				struct answer is = {.value = value};

				entry_init(&self->t);
				entry_add(&self->t, "tcpmss", 0, &info, sizeof(info));
				key[BF_FRAGOFF] = fragoff;
				key[BF_L4LEN] = 19;
				EXPECT_EQ(BF_HOTDROP, entry_eval(&self->t, key, &is));
				key[BF_L4LEN] = 20;
				EXPECT_EQ(value == BF_HOTDROP ? BF_HOTDROP : value != !!info.invert,
					  entry_eval(&self->t, key, &is));
				EXPECT_EQ(1U, is.asked);
			}
	/* A kernel that skips later fragments does so first, and says no of them, inverted or not. */
	for (info.invert = 0; info.invert < 3; info.invert++)
		for (fragoff = 0; fragoff < 3; fragoff++) {
			struct answer is = {};
			unsigned int asked = fragoff ? 0 : 1;

			entry_init(&self->t);
			self->t.kernel = &skips;
			entry_add(&self->t, "tcpmss", 0, &info, sizeof(info));
			key[BF_FRAGOFF] = fragoff;
			key[BF_L4LEN] = 19;
			EXPECT_EQ(fragoff ? BF_NO_MATCH : BF_HOTDROP,
				  entry_eval(&self->t, key, &is));
			key[BF_L4LEN] = 20;
			EXPECT_EQ(fragoff ? BF_NO_MATCH : !!info.invert,
				  entry_eval(&self->t, key, &is));
			EXPECT_EQ(asked, is.asked);
		}
	/* 2 matches whatever there is: the condition holds for no size. */
	info.invert = 2;
	ASSERT_TRUE(begin(self, "tcpmss", &info, sizeof(info)));
	memcpy(self->c.frame + BF_FRAME_OPTIONS, (uint8_t[]){2, 4, 5, 180}, 4);
	frame_set(&self->c, BF_FRAME_OPTLEN, 4);
	EXPECT_EQ(0U, cond_run(&self->c));
}

TEST_HARNESS_MAIN
