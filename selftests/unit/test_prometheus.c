// SPDX-License-Identifier: GPL-2.0
/*
 * "bpfilter status --prometheus": the format, the escapes, the bounds.
 */
#include <errno.h>
#include <linux/netfilter.h>
#include <stdlib.h>
#include <string.h>

#include "exposition.h"
#include "status.h"
#include "kselftest_harness.h"

static const struct bf_status_entry ours = {
	.inode = 42,
	.name = "init",
	.status = {.ours = true,
		   .placement = BF_TC,
		   .attach = BF_ATTACH_TC,
		   .rules = 7,
		   .insns = 412,
		   .jited_bytes = 2310,
		   .map_bytes = 5ULL << 32,
		   .effects_lost = 3,
		   .unanswered = 4,
		   .form = "records",
		   .replaced_at = 1795201331,
		   .replace_us = 1004149,
		   .tally = {.known = true,
			     .rules = {UINT64_MAX, 2},
			     .chains = {{NF_DROP, {1, 84}, {10, 20}},
					{NF_ACCEPT, {0, 0}, {5, 10}},
					{NF_ACCEPT, {20, 50}, {0, 0}}}}},
};

static const struct bf_status_entry kernels = {
	.inode = 43,
	.name = "a\"b\\c\nd\x1b\xff"
		"e\xc3\xa4",
	.status = {.why_kernel = {"match string (revision 1) has no translation (rule 3)"},
		   .form = ""},
};

static char *render(const struct bf_status_entry *entries, size_t n)
{
	const struct bf_status s = {{true, true, 2}, entries, n, 1795201400};
	char *text;

	return bf_status_render(&s, BF_STATUS_PROMETHEUS, &text) ? NULL : text;
}

/* How often does @line begin a line of the text? */
static unsigned int lines(const char *text, const char *line)
{
	size_t len = strlen(line);
	unsigned int n = 0;

	for (; *text; text = strchrnul(text, '\n'), text += *text == '\n')
		n += !strncmp(text, line, len);
	return n;
}

static unsigned int series(const char *text)
{
	return lines(text, "") - lines(text, "#");
}

#define OURS "netns=\"init\",inode=\"42\""
#define KERNELS                                                                                    \
	"netns=\"a\\\"b\\\\c\\nd?\xef\xbf\xbd"                                                     \
	"e\xc3\xa4\",inode=\"43\""

TEST(samples)
{
	static const char *const expected[] = {
		"bpfilter_build_info{version=\"" BPFILTER_RELEASE "\"} 1\n",
		"bpfilter_module_loaded 1\n",
		"bpfilter_module_requests 2\n",
		"bpfilter_namespaces{table=\"bpf\"} 1\n",
		"bpfilter_namespaces{table=\"kernel\"} 1\n",
		"bpfilter_namespaces{table=\"unknown\"} 1\n",
		"bpfilter_table_in_ebpf{" OURS "} 1\n",
		"bpfilter_table_in_ebpf{" KERNELS "} 0\n",
		"bpfilter_table_info{" OURS
		",placement=\"tc\",hook=\"interface\",form=\"records\"} 1\n",
		"bpfilter_table_fallback_info{" KERNELS ",kind=\"match\",extension=\"string\"} 1\n",
		"bpfilter_rules{" OURS "} 7\n",
		"bpfilter_memory_bytes{" OURS ",kind=\"program\"} 2310\n",
		"bpfilter_memory_bytes{" OURS ",kind=\"maps\"} 21474836480\n",
		"bpfilter_interfaces{" OURS ",placement=\"tc\"} 2\n",
		"bpfilter_interfaces{" OURS ",placement=\"xdp\"} 1\n",
		"bpfilter_interfaces{" OURS ",placement=\"offload\"} 1\n",
		"bpfilter_interfaces{" OURS ",placement=\"none\"} 1\n",
		"bpfilter_effects_lost_total{" OURS "} 3\n",
		"bpfilter_unanswered_packets_total{" OURS "} 4\n",
		"bpfilter_last_replace_timestamp_seconds{" OURS "} 1795201331\n",
		"bpfilter_last_replace_duration_seconds{" OURS "} 1.004149\n",
		"bpfilter_table_rule_packets_total{" OURS "} 18446744073709551615\n",
		"bpfilter_chain_rule_packets_total{" OURS ",chain=\"INPUT\"} 10\n",
		"bpfilter_chain_rule_bytes_total{" OURS ",chain=\"FORWARD\"} 10\n",
		"bpfilter_policy_packets_total{" OURS ",chain=\"INPUT\",policy=\"DROP\"} 1\n",
		"bpfilter_policy_bytes_total{" OURS ",chain=\"OUTPUT\",policy=\"ACCEPT\"} 50\n",
		"bpfilter_namespaces_omitted 0\n",
	};
	struct bf_interface_status interfaces[] = {
		{.name = "a", .how = BF_TC},   {.name = "b", .how = BF_TC},
		{.name = "c", .how = BF_XDP},  {.name = "d", .how = BF_OFFLOAD},
		{.name = "d", .how = BF_AUTO}, {.name = "e", .how = BF_AUTO, .port = true},
	};
	struct bf_status_entry entries[] = {
		ours, kernels, {.inode = 7, .name = "red", .error = -EACCES}};
	unsigned int i;
	char *text;

	entries[0].status.interfaces = interfaces;
	entries[0].status.nr_interfaces = 5;
	text = render(entries, 3);
	ASSERT_NE(NULL, text);
	for (i = 0; i < sizeof(expected) / sizeof(expected[0]); i++) {
		EXPECT_EQ(1, lines(text, expected[i]))
		{
			printf("# %s", expected[i]);
		}
	}
	/* Of an unknown one nothing but that it is. */
	EXPECT_EQ(NULL, strstr(text, "\"red\""));
	/* Of ip_tables' table nothing that only eBPF has. */
	EXPECT_EQ(0, lines(text, "bpfilter_rules{" KERNELS));
	EXPECT_EQ(0, lines(text, "bpfilter_memory_bytes{" KERNELS));
	EXPECT_EQ(NULL, strchr(text, '\x1b'));
	free(text);
}

/* Each family has HELP and TYPE once, right before its samples; no series is there twice. */
TEST(families)
{
	static const char check[] =
		"import re, sys\n"
		"family, seen, families = None, set(), set()\n"
		"lines = sys.stdin.buffer.read().decode().split('\\n')\n"
		"assert lines.pop() == ''\n"
		"for i, line in enumerate(lines):\n"
		"    if line.startswith('# HELP '):\n"
		"        family = line.split(' ')[2]\n"
		"        assert family not in families, family\n"
		"        families.add(family)\n"
		"        kind = re.fullmatch('# TYPE ' + family + ' (counter|gauge)', lines[i + 1]).group(1)\n"
		"        assert (kind == 'counter') == family.endswith('_total'), family\n"
		"    elif not line.startswith('# TYPE '):\n"
		"        label = r'[a-z_]+=\"(?:[^\"\\\\\\n]|\\\\[\"\\\\n])*\"'\n"
		"        m = re.fullmatch(r'([a-z_]+)(\\{%s(?:,%s)*\\})? [0-9.]+' % (label, label), line)\n"
		"        assert m and m.group(1) == family, line\n"
		"        assert m.group(1, 2) not in seen, line\n"
		"        seen.add(m.group(1, 2))\n"
		"assert len(families) > 20\n";
	struct bf_status_entry entries[] = {ours, kernels, ours};
	FILE *f;
	char *text;

	if (system("python3 -c pass 2>/dev/null"))
		SKIP(return, "no python3");
	/* Two namespaces may have one name. */
	entries[2].inode = 44;
	text = render(entries, 3);
	ASSERT_NE(NULL, text);
	setenv("CHECK", check, 1);
	f = popen("python3 -c \"$CHECK\"", "w");
	ASSERT_NE(NULL, f);
	fputs(text, f);
	EXPECT_EQ(0, pclose(f));
	entries[2].inode = ours.inode;
	free(text);
	text = render(entries, 3);
	f = popen("python3 -c \"$CHECK\" 2>/dev/null", "w");
	fputs(text, f);
	EXPECT_NE(0, pclose(f));
	free(text);
}

/* The number of series depends on nothing but that of namespaces, and on that to a limit. */
TEST(bounds)
{
	struct bf_interface_status interfaces[1000] = {};
	struct bf_status_entry *entries = calloc(1000, sizeof(*entries));
	struct bf_status_entry e = ours;
	unsigned int one, many, i;
	char *text;

	ASSERT_NE(NULL, entries);
	e.status.rules = 1;
	text = render(&e, 1);
	ASSERT_NE(NULL, text);
	one = series(text);
	free(text);
	e.status.rules = 1000000;
	e.status.chains = 100000;
	e.status.interfaces = interfaces;
	e.status.nr_interfaces = 1000;
	text = render(&e, 1);
	EXPECT_EQ(one, series(text));
	free(text);

	for (i = 0; i < 1000; i++) {
		entries[i] = ours;
		entries[i].name = i == 999 ? "init" : "container";
		entries[i].inode = i;
	}
	text = render(entries, 256);
	many = series(text);
	EXPECT_EQ(256, lines(text, "bpfilter_rules{"));
	EXPECT_EQ(1, lines(text, "bpfilter_namespaces_omitted 0\n"));
	free(text);
	text = render(entries, 1000);
	EXPECT_EQ(many, series(text));
	EXPECT_EQ(256, lines(text, "bpfilter_rules{"));
	EXPECT_EQ(1, lines(text, "bpfilter_rules{netns=\"init\",inode=\"999\"}"));
	EXPECT_EQ(1, lines(text, "bpfilter_namespaces_omitted 744\n"));
	EXPECT_EQ(1, lines(text, "bpfilter_namespaces{table=\"bpf\"} 1000\n"));
	free(text);
	free(entries);
}

TEST(help_is_escaped)
{
	char *text = NULL;
	size_t len;
	struct bf_series s = {.f = open_memstream(&text, &len)};
	unsigned int i;

	ASSERT_NE(NULL, s.f);
	bf_series_family(&s, "x", "gauge", "a\\b\"c\nd");
	for (i = 0; i < BF_LABELS_MAX + 2; i++)
		bf_series_label(&s, "l", "");
	bf_series_seconds(&s, 1);
	fclose(s.f);
	EXPECT_STREQ("# HELP x a\\\\b\"c\\nd\n# TYPE x gauge\n"
		     "x{l=\"\",l=\"\",l=\"\",l=\"\",l=\"\",l=\"\",l=\"\",l=\"\"} 0.000001\n",
		     text);
	free(text);
}

TEST_HARNESS_MAIN
