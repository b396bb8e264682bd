// SPDX-License-Identifier: GPL-2.0
/* Where the lines of "iptables -S" end. */
#include <string.h>

#include "kselftest_harness.h"
#include "rule_line.h"

/* A text, and its lines up to NULL. */
struct sample {
	const char *text;
	const char *lines[6];
};

static const struct sample samples[] = {
	{"", {}},
	{"-P INPUT ACCEPT", {"-P INPUT ACCEPT"}},
	{"-P INPUT ACCEPT\n\n-N x\n", {"-P INPUT ACCEPT", "", "-N x"}},
	/* a newline in quotes, then one that ends the line */
	{"-A I --comment \"x\n-A INPUT -j FAKE\" -j DROP\n-A I -j Y\n",
	 {"-A I --comment \"x -A INPUT -j FAKE\" -j DROP", "-A I -j Y"}},
	{"-A I --comment \"\n\n\"\n-A I\n", {"-A I --comment \"  \"", "-A I"}},
	/* a quote that does not end the string, a backslash before that which does */
	{"-A I --comment \"a\\\" \n-A \\\\\" -j X\n-A I\n",
	 {"-A I --comment \"a\\\"  -A \\\\\" -j X", "-A I"}},
	{"-A I --comment \"\\\"\n\"\n-A I", {"-A I --comment \"\\\" \"", "-A I"}},
	/* a backslash outside of quotes is nothing special */
	{"-A I -i \\\n-A I\n", {"-A I -i \\", "-A I"}},
	/* names: no strings */
	{"-A a\"b -i c\"d\n-A I --comment \"x\ny\"\n",
	 {"-A a\"b -i c\"d", "-A I --comment \"x y\""}},
	{"-A \"a -j X\n-A I --comment \"x\ny\"\n-A I\n",
	 {"-A \"a -j X", "-A I --comment \"x y\"", "-A I"}},
	{"-A \"a\n-A I\n", {"-A \"a", "-A I"}},
	/* iptables prints no such text; nothing behind its end is looked at */
	{"-A I --comment \"x\n\\", {"-A I --comment \"x", "\\"}},
	{"\n", {""}},
};

TEST(lines)
{
	size_t i, n;

	for (i = 0; i < sizeof(samples) / sizeof(samples[0]); i++) {
		char text[128], *rest = text, *line;

		ASSERT_LT(strlen(samples[i].text), sizeof(text));
		strcpy(text, samples[i].text);
		for (n = 0; (line = bf_rule_line(&rest)); n++) {
			ASSERT_NE(NULL, samples[i].lines[n]);
			EXPECT_STREQ(samples[i].lines[n], line);
		}
		EXPECT_EQ(NULL, samples[i].lines[n]);
		EXPECT_EQ(strlen(samples[i].text), rest - text);
	}
}

TEST_HARNESS_MAIN
