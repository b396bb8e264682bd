// SPDX-License-Identifier: GPL-2.0
/*
 * -m devgroup: what the check refuses. What the running
 * kernel says of packets is in test_match_bridge.c.
 */
#include "entry.h"
#include "kselftest_harness.h"

#include <errno.h>
#include <linux/netfilter/xt_devgroup.h>

#define IN  (1 << NF_INET_LOCAL_IN)
#define FWD (1 << NF_INET_FORWARD)
#define OUT (1 << NF_INET_LOCAL_OUT)

#define SRC	XT_DEVGROUP_MATCH_SRC
#define DST	XT_DEVGROUP_MATCH_DST
#define NOT_SRC XT_DEVGROUP_INVERT_SRC
#define NOT_DST XT_DEVGROUP_INVERT_DST

TEST(sizes_and_places)
{
	const struct bf_match *devgroup = bf_match_find("devgroup", 0);
	const enum bf_attach at[] = {BF_ATTACH_TC, BF_ATTACH_XDP};
	unsigned int i;

	ASSERT_NE(NULL, devgroup);
	EXPECT_EQ(sizeof(struct xt_devgroup_info), devgroup->size);
	for (i = 0; i < ARRAY_SIZE(at); i++) {
		struct bf_why why = {};

		EXPECT_EQ(-EOPNOTSUPP, devgroup->place(NULL, at[i], &why));
	}
}

TEST(check)
{
	static const struct {
		unsigned int flags, hooks;
		int err;
	} v[] = {
		{SRC | NOT_SRC, IN | FWD, 0},
		{DST | NOT_DST, OUT | FWD, 0},
		{SRC | DST, FWD, 0},
		{0, IN | FWD | OUT, 0},
		{NOT_SRC | NOT_DST, IN | FWD | OUT, 0},
		{0x10, FWD, -EINVAL},
		{SRC, OUT, -EINVAL},
		{SRC, FWD | OUT, -EINVAL},
		{DST, IN, -EINVAL},
		{SRC | DST, IN | FWD, -EINVAL},
	};
	struct entry t;
	unsigned int i;

	entry_init(&t);
	for (i = 0; i < ARRAY_SIZE(v); i++) {
		const struct xt_devgroup_info info = {.flags = v[i].flags};

		EXPECT_EQ(v[i].err, entry_check(&t, "devgroup", 0, &info, v[i].hooks))
		TH_LOG("%u", i);
	}
}

TEST_HARNESS_MAIN
