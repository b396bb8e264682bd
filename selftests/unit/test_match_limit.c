// SPDX-License-Identifier: GPL-2.0
/*
 * -m limit: the check, the credits in every HZ, and its code run instruction by instruction
 * against limit_mt() of the kernel, with a clock and other CPUs that the test controls.
 */
#include "cond.h"
#include "kselftest_harness.h"

#include <errno.h>
#include <linux/netfilter/xt_limit.h>

/* struct xt_limit_priv and what is derived from the rule, as limit_mt() sees them. */
struct model {
	uint64_t prev;
	uint32_t credit, cap, cost, cpj;
};

/* What the state of the condition begins with. */
struct state {
	uint64_t prev;
	uint32_t credit, cap, cost, cpj;
};

static bool model_match(struct model *m, uint64_t now)
{
	uint32_t credit;

	if (m->credit < m->cost && m->prev == now)
		return false;
	credit = m->credit + (uint32_t)(now - m->prev) * m->cpj;
	m->prev = now;
	if (credit > m->cap)
		credit = m->cap;
	m->credit = credit;
	if (credit < m->cost)
		return false;
	m->credit -= m->cost;
	return true;
}

FIXTURE(limit)
{
	struct xt_rateinfo rate;
	struct bf_kernel kernel;
	struct cond c;
	uint64_t now;
	bool steal; /* another CPU claims the time first */
	int meddle; /* how often another CPU gets in */
	uint32_t meddle_takes;
};

static uint64_t clock_now(void *arg)
{
	return ((FIXTURE_DATA(limit) *)arg)->now;
}

static void other_cpu(void *arg, const void *where)
{
	FIXTURE_DATA(limit) *self = arg;
	struct state *state = (struct state *)self->c.cond.state;

	if (where == &state->prev && self->steal)
		state->prev = self->now;
	if (where == &state->prev || !self->meddle)
		return;
	self->meddle--;
	state->credit -= self->meddle_takes;
}

FIXTURE_SETUP(limit)
{
	memset(self, 0, sizeof(*self));
	self->rate.avg = XT_LIMIT_SCALE / 10;
	self->rate.burst = 5;
	self->now = 1000000;
}

FIXTURE_TEARDOWN(limit)
{
	cond_free(&self->c);
}

static struct state *start(FIXTURE_DATA(limit) * self, unsigned int hz)
{
	cond_free(&self->c);
	if (!cond_make(&self->c, &self->kernel, "limit", 0, &self->rate, sizeof(self->rate)))
		return NULL;
	self->c.cond.type->init(self->c.cond.state, hz, self->now);
	self->c.vm.jiffies = clock_now;
	self->c.vm.before_cmpxchg = other_cpu;
	self->c.vm.arg = self;
	return (struct state *)self->c.cond.state;
}

TEST(record)
{
	const struct bf_match *m = bf_match_find("limit", 0);

	ASSERT_NE(NULL, m);
	EXPECT_EQ(40, m->size);
	EXPECT_EQ(8, m->usersize);
	EXPECT_EQ(0, m->proto);
	EXPECT_EQ(NULL, bf_match_find("limit", 1));
}

TEST(check)
{
	static const struct {
		uint32_t avg, burst;
		int err;
	} v[] = {
		{10000, 5, 0},
		{10000, 0, -ERANGE},
		{1, 10000, 0},
		{0, 5, 0},
		/* avg * burst wraps, but to enough */
		{60 * 10000, 10000, 0},
		{60 * 10000, 7158, 0},
		{60 * 10000, 7159, -ERANGE},
		{3600 * 10000, 5, 0},
		{86400 * 10000, 1, 0},
		{86400 * 10000, 5, -ERANGE},
		/* fits with HZ 100 and 250, not with 300 */
		{86400 * 10000, 3, BF_NOT_TRANSLATABLE},
	};
	struct xt_rateinfo rate = {};
	struct entry t;
	unsigned int i;

	entry_init(&t);
	for (i = 0; i < ARRAY_SIZE(v); i++) {
		rate.avg = v[i].avg;
		rate.burst = v[i].burst;
		EXPECT_EQ(v[i].err, entry_check(&t, "limit", 0, &rate, 0)) TH_LOG("vector %u", i);
	}
}

TEST_F(limit, credits_for_each_hz)
{
	/* CREDITS_PER_JIFFY is the power of two at or below 2^32 / (HZ * 86400) */
	static const struct {
		unsigned int hz;
		uint32_t cpj;
	} v[] = {{24, 2048}, {48, 1024}, {100, 256}, {128, 256}, {200, 128},
		 {250, 128}, {256, 128}, {300, 128}, {1000, 32}, {1024, 32}};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(v); i++) {
		struct state *s;

		self->rate.avg = 3 * XT_LIMIT_SCALE;
		s = start(self, v[i].hz);
		ASSERT_NE(NULL, s);
		EXPECT_EQ(v[i].cpj, s->cpj) TH_LOG("HZ %u", v[i].hz);
		EXPECT_EQ(3 * v[i].hz * v[i].cpj, s->cost);
		EXPECT_EQ(5 * s->cost, s->cap);
		EXPECT_EQ(s->cap, s->credit);
		EXPECT_EQ(self->now, s->prev);
	}
	/* The product fits as long as user <= 2^32 / (HZ * CPJ); beyond, it is divided first. */
	self->rate.burst = 1;
	self->rate.avg = UINT32_MAX / 32000;
	EXPECT_EQ(self->rate.avg * 32000 / 10000, start(self, 250)->cost);
	self->rate.avg = UINT32_MAX / 32000 + 1;
	EXPECT_EQ(self->rate.avg / 10000 * 32000, start(self, 250)->cost);
	self->rate.avg = 86400 * 10000 + 9999;
	EXPECT_EQ(86400U * 32000, start(self, 250)->cost);
}

/* The kernel keeps a cost that user space brought along, and the cap with it. */
TEST_F(limit, a_cost_in_the_blob_stays)
{
	struct state *s;

	self->rate.cost = 77;
	self->rate.credit_cap = 99;
	s = start(self, 250);
	EXPECT_EQ(77U, s->cost);
	EXPECT_EQ(99U, s->cap);
	EXPECT_EQ(5 * 3200U, s->credit);
	self->rate.cost = 0;
	s = start(self, 250);
	EXPECT_EQ(3200U, s->cost);
	EXPECT_EQ(5 * 3200U, s->cap);
}

/* A thousand packets at random times: every answer and the state behind it is the kernel's. */
TEST_F(limit, equals_the_kernels_arithmetic)
{
	static const struct {
		uint32_t avg, burst;
		unsigned int hz, most; /* jiffies between packets */
	} v[] = {
		{1000, 5, 250, 60},
		{10000, 1, 1000, 2000},
		{1, 10000, 250, 3},
		{333, 7, 100, 10},
		{36000000, 3, 250, 4000000},
		{0, 5, 250, 3},
		{36000000, 100, 250, 100000000},
	};
	unsigned int i, n;

	srandom(1);
	for (i = 0; i < ARRAY_SIZE(v); i++) {
		struct state *s;
		struct model m;

		self->rate.avg = v[i].avg;
		self->rate.burst = v[i].burst;
		s = start(self, v[i].hz);
		memcpy(&m, s, sizeof(m));
		for (n = 0; n < 1000; n++) {
			if (random() % 3)
				self->now += random() % v[i].most;
			ASSERT_EQ(model_match(&m, self->now), cond_run(&self->c))
			TH_LOG("vector %u, packet %u", i, n);
			ASSERT_EQ(0, memcmp(&m, s, sizeof(m))) TH_LOG("vector %u, packet %u", i, n);
		}
	}
}

/* The rule matches while there are credits. */
TEST_F(limit, not_inverted)
{
	struct answer answer = {};
	uint32_t key[BF_NR_FIELDS] = {};
	struct entry t;

	entry_init(&t);
	entry_add(&t, "limit", 0, &self->rate, sizeof(self->rate));
	for (answer.value = 0; answer.value < 3; answer.value++)
		EXPECT_EQ(answer.value, entry_eval(&t, key, &answer));
	EXPECT_EQ(3U, answer.asked);
}

TEST_F(limit, burst_then_rate)
{
	struct state *s = start(self, 250); /* 10/s: one in 25 jiffies */
	int i;

	for (i = 0; i < 8; i++)
		EXPECT_EQ(i < 5, cond_run(&self->c)) TH_LOG("packet %d", i);
	self->now += 24;
	EXPECT_EQ(0U, cond_run(&self->c));
	EXPECT_EQ(24U * 128, s->credit);
	self->now += 1;
	EXPECT_EQ(1U, cond_run(&self->c));
	EXPECT_EQ(0U, cond_run(&self->c));
	self->now += 1000000;
	EXPECT_EQ(1U, cond_run(&self->c));
	EXPECT_EQ(4 * 3200U, s->credit);
}

/* Nothing to take and no time gone by: the state is not even written. */
TEST_F(limit, fast_path)
{
	struct state *s = start(self, 250);

	s->credit = s->cost - 1;
	self->meddle = 1000;
	EXPECT_EQ(0U, cond_run(&self->c));
	EXPECT_EQ(1000, self->meddle);
	s->credit = s->cost;
	self->meddle = 0;
	EXPECT_EQ(1U, cond_run(&self->c));
}

/* A CPU whose clock is behind claims no time, and takes none back. */
TEST_F(limit, a_clock_behind)
{
	struct state *s = start(self, 250);
	uint64_t latest;

	s->credit = 0;
	latest = self->now += 10;
	EXPECT_EQ(0U, cond_run(&self->c));
	EXPECT_EQ(10U * 128, s->credit);
	self->now -= 9;
	EXPECT_EQ(0U, cond_run(&self->c));
	EXPECT_EQ(10U * 128, s->credit);
	EXPECT_EQ(latest, s->prev);
	self->now += 10;
	EXPECT_EQ(0U, cond_run(&self->c));
	EXPECT_EQ(11U * 128, s->credit);
}

/* Two CPUs see the same tick: the one that comes first has it. */
TEST_F(limit, time_is_claimed_once)
{
	struct state *s = start(self, 250);

	s->credit = 0;
	self->now += 10;
	self->steal = true;
	EXPECT_EQ(0U, cond_run(&self->c));
	EXPECT_EQ(self->now, s->prev);
	EXPECT_EQ(0U, s->credit);
}

/* Other CPUs take credits in between: the packet gets what is left, and none is lost. */
TEST_F(limit, contended)
{
	struct state *s = start(self, 250);

	s->credit = 3 * s->cost;
	self->now += 7;
	self->meddle = 2;
	self->meddle_takes = s->cost;
	EXPECT_EQ(1U, cond_run(&self->c));
	EXPECT_EQ(7U * 128, s->credit);
	EXPECT_EQ(self->now, s->prev);

	s->credit = 2 * s->cost;
	self->meddle = 2;
	EXPECT_EQ(0U, cond_run(&self->c));
	EXPECT_EQ(0U, s->credit);
}

/* The last of the tries may succeed. */
TEST_F(limit, sixty_three_failures)
{
	struct state *s = start(self, 250);

	self->meddle = 63;
	self->meddle_takes = 1;
	EXPECT_EQ(1U, cond_run(&self->c));
	EXPECT_EQ(4 * 3200U - 63, s->credit);
}

/* It gives up, does not match, and gives back the time that it took. */
TEST_F(limit, always_contended)
{
	struct state *s = start(self, 250);
	uint64_t before = s->prev;

	s->credit = s->cost * 2;
	self->now += 7;
	self->meddle = 1000;
	self->meddle_takes = 1;
	EXPECT_EQ(0U, cond_run(&self->c));
	EXPECT_EQ(1000 - 64, self->meddle);
	EXPECT_EQ(before, s->prev);
	EXPECT_EQ(2 * 3200U - 64, s->credit);
	self->meddle = 0;
	EXPECT_EQ(1U, cond_run(&self->c));
	EXPECT_EQ(3200U - 64 + 7 * 128, s->credit);
}

TEST_HARNESS_MAIN
