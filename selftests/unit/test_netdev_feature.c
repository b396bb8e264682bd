// SPDX-License-Identifier: GPL-2.0
/* The features of the loopback interface, which every kernel has. */
#include "netdev.h"

#include "kselftest_harness.h"

TEST(feature)
{
	static const char *const loopback[] = {"rx-nothing", "loopback", NULL};
	static const char *const merging[] = {"rx-lro", "rx-gro-hw", NULL};
	static const char *const part[] = {"loop", NULL};

	EXPECT_TRUE(bf_netdev_has_feature("lo", loopback));
	EXPECT_FALSE(bf_netdev_has_feature("lo", merging));
	EXPECT_FALSE(bf_netdev_has_feature("lo", part));
}

TEST(unknown)
{
	static const char *const none[] = {NULL};

	EXPECT_TRUE(bf_netdev_has_feature("no such one", none));
	EXPECT_FALSE(bf_netdev_has_feature("lo", none));
}

TEST_HARNESS_MAIN
