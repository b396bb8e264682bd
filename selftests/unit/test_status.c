// SPDX-License-Identifier: GPL-2.0
/*
 * What "bpfilter status" prints, for people and for programs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <linux/netfilter.h>

#include "status.h"
#include "kselftest_harness.h"

/* 2 minutes and 5 seconds after the last replace of @ours. */
#define NOW (1795201331 + 125)

static const struct bf_status_entry ours = {
	.inode = 4026532311,
	.name = "blue",
	.status = {.ours = true,
		   .placement = BF_NETFILTER,
		   .rules = 12345,
		   .chains = 1,
		   .prog_ids = {41, 57},
		   .insns = 412,
		   .jited_bytes = 2310,
		   .map_bytes = 5 << 20,
		   .form = "records",
		   .replaced_at = 1795201331,
		   .replace_us = 4149,
		   .tally = {.known = true,
			     .rules = {1234567, 2 << 20},
			     .chains = {{NF_DROP, {1, 84}, {1234000, 1 << 20}},
					{NF_ACCEPT, {0, 0}, {500, 1000}},
					{NF_ACCEPT, {2000, 5000}, {0, 0}}}}},
};

static const struct bf_status_entry kernels = {
	.inode = 4026531840,
	.name = "pid 1 (systemd)",
	.status = {.why_kernel = {"match string (revision 1) has no translation (rule 3)"},
		   .form = ""},
};

static const struct bf_status_entry broken = {.inode = 7, .name = "red", .error = -EACCES};

/* Escape sequences, quotes, C1 controls, and bytes that are not UTF-8, between letters. */
#define NASTY                                                                                      \
	"a\x1b[31mb\"c\\d\ne\x7f"                                                                  \
	"f\xc2\x9bg\xff"                                                                           \
	"h\xc3\xa4i\xed\xa0\x80j\xc0\xafk\xe2\x82"

static const struct bf_status_entry nasty = {
	.inode = 8,
	.name = NASTY,
	.status = {.why_kernel = {"\ttab"}},
};

static const struct bf_status_module absent = {false, false, -ENOENT};

static int render(const struct bf_status_module *module, const struct bf_status_entry *entries,
		  size_t n, enum bf_status_form form, char **text)
{
	const struct bf_status s = {*module, entries, n, NOW};

	return bf_status_render(&s, form, text);
}

TEST(nothing)
{
	char *text;

	ASSERT_EQ(0, render(&absent, NULL, 0, BF_STATUS_TEXT, &text));
	EXPECT_STREQ("module: not loaded, only iptables below \"bpfilter run\" is served\n"
		     "bpfilter serves no network namespace yet. \"bpfilter run -- COMMAND\" starts "
		     "one.\n",
		     text);
	free(text);
	ASSERT_EQ(0, render(&absent, NULL, 0, BF_STATUS_JSON, &text));
	EXPECT_STREQ("{\n  \"version\": 1,\n"
		     "  \"module\": {\"loaded\": false, \"served\": false, \"requests\": null},\n"
		     "  \"namespaces\": []\n}\n",
		     text);
	free(text);
}

TEST(the_module)
{
	struct bf_status_module m = {true, true, 1};
	char *text;

	ASSERT_EQ(0, render(&m, NULL, 0, BF_STATUS_TEXT, &text));
	EXPECT_STREQ("module: loaded, iptables of the whole machine is served, 1 call waiting\n"
		     "bpfilter serves no network namespace yet. The next iptables call starts with "
		     "its own.\n",
		     text);
	free(text);
	ASSERT_EQ(0, render(&m, NULL, 0, BF_STATUS_JSON, &text));
	EXPECT_STREQ("{\n  \"version\": 1,\n"
		     "  \"module\": {\"loaded\": true, \"served\": true, \"requests\": 1},\n"
		     "  \"namespaces\": []\n}\n",
		     text);
	free(text);
	m.served = false;
	ASSERT_EQ(0, render(&m, NULL, 0, BF_STATUS_TEXT, &text));
	EXPECT_STREQ("module: loaded, but not served by this helper\n"
		     "bpfilter serves no network namespace yet. \"bpfilter run -- COMMAND\" starts "
		     "one.\n",
		     text);
	free(text);
}

TEST(for_people)
{
	const struct bf_status_entry entries[] = {ours, kernels, broken};
	char *text;

	setenv("TZ", "UTC", 1);
	tzset();
	ASSERT_EQ(0, render(&absent, entries, 3, BF_STATUS_TEXT, &text));
	EXPECT_STREQ("module: not loaded, only iptables below \"bpfilter run\" is served\n"
		     "3 network namespaces: 1 filtered by eBPF, 1 by the kernel, 1 unknown\n"
		     "\n"
		     "blue  net:[4026532311]\n"
		     "  filter table  eBPF, at the netfilter hooks (netfilter link)\n"
		     "  rules         12,345, 1 user chain\n"
		     "  program       records, 412 instructions, 2.3 KiB of machine code\n"
		     "  maps          5.0 MiB\n"
		     "  program ids   41 (root), 57 (table)\n"
		     "  counted       1,234,567 packets, 2.0 MiB by all rules\n"
		     "  policies      INPUT DROP: 1 packet, 84 bytes\n"
		     "                FORWARD ACCEPT: 0 packets, 0 bytes\n"
		     "                OUTPUT ACCEPT: 2,000 packets, 4.9 KiB\n"
		     "  last replace  2026-11-20 19:02:11, 2 minutes ago, took 4.1 ms\n"
		     "\n"
		     "pid 1 (systemd)  net:[4026531840]\n"
		     "  filter table  kernel (ip_tables)\n"
		     "  because       match string (revision 1) has no translation (rule 3)\n"
		     "\n"
		     "red  net:[7]\n"
		     "  filter table  unknown: Permission denied\n",
		     text);
	free(text);
}

/* The program is that of an earlier table, and another is kept. */
TEST(for_people_reused)
{
	struct bf_status_entry e = ours;
	char *text;

	e.status.reused = true;
	e.status.spare_bytes = 6 << 20;
	e.status.effects = 3;
	e.status.effects_lost = 1234;
	e.status.asks = true;
	e.status.unanswered = 5678;
	ASSERT_EQ(0, render(&absent, &e, 1, BF_STATUS_TEXT, &text));
	EXPECT_NE(NULL,
		  strstr(text, "  maps          5.0 MiB, and 6.0 MiB kept a while for the next "
			       "replace\n"));
	EXPECT_NE(NULL, strstr(text, ", took 4.1 ms, of data alone\n"));
	EXPECT_NE(
		NULL,
		strstr(text,
		       "  effects       3 of REJECT, LOG, NFLOG, MARK, CONNMARK and nfacct; 1,234 not run\n"));
	EXPECT_NE(NULL, strstr(text, "  questions     rules ask the kernel; 5,678 packets dropped "
				     "without an answer\n"));
	free(text);
	e.status.unanswered = 1;
	ASSERT_EQ(0, render(&absent, &e, 1, BF_STATUS_TEXT, &text));
	EXPECT_NE(NULL, strstr(text, "; 1 packet dropped without an answer\n"));
	free(text);
	/* The table has none any more. */
	e.status.asks = false;
	ASSERT_EQ(0, render(&absent, &e, 1, BF_STATUS_TEXT, &text));
	EXPECT_NE(NULL, strstr(text, "; 1 packet dropped without an answer\n"));
	free(text);
	e.status.unanswered = 0;
	ASSERT_EQ(0, render(&absent, &e, 1, BF_STATUS_TEXT, &text));
	EXPECT_EQ(NULL, strstr(text, "questions"));
	free(text);
}

/* No escape sequence that somebody put into a name reaches a terminal. */
TEST(for_people_nasty)
{
	char *text, *p;

	ASSERT_EQ(0, render(&absent, &nasty, 1, BF_STATUS_TEXT, &text));
	p = strstr(text, "\n\n");
	ASSERT_NE(NULL, p);
	EXPECT_EQ(0, strncmp("\n\na?[31mb\"c\\d?e?f?g?h\xc3\xa4i???j??k??  net:[8]\n", p,
			     strlen("\n\na?[31mb\"c\\d?e?f?g?h\xc3\xa4i???j??k??  net:[8]\n")));
	EXPECT_NE(NULL, strstr(text, "because       ?tab\n"));
	free(text);
}

TEST(sizes_and_numbers)
{
	static const struct {
		uint64_t bytes;
		const char *text;
	} sizes[] = {
		{0, "  maps          0 bytes\n"},
		{1, "  maps          1 byte\n"},
		{1023, "  maps          1,023 bytes\n"},
		{1024, "  maps          1.0 KiB\n"},
		{1024 * 1024 - 1, "  maps          1.0 MiB\n"},
		{3ull << 40, "  maps          3.0 TiB\n"},
		{3ull << 50, "  maps          3072.0 TiB\n"},
	};
	struct bf_status_entry e = ours;
	unsigned int i;
	char *text;

	for (i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
		e.status.map_bytes = sizes[i].bytes;
		ASSERT_EQ(0, render(&absent, &e, 1, BF_STATUS_TEXT, &text));
		EXPECT_NE(NULL, strstr(text, sizes[i].text));
		free(text);
	}
	e.status.rules = 1000000;
	e.status.chains = 0;
	e.status.replace_us = 999;
	ASSERT_EQ(0, render(&absent, &e, 1, BF_STATUS_TEXT, &text));
	EXPECT_NE(NULL, strstr(text, "  rules         1,000,000\n"));
	EXPECT_NE(NULL, strstr(text, ", took 999 us\n"));
	free(text);
}

/* Is @check, a Python expression over d, true of the JSON text? */
static bool json_is(const char *json, const char *check)
{
	char cmd[1024];
	FILE *f;

	snprintf(cmd, sizeof(cmd),
		 "python3 -c 'import json, sys; d = json.loads(sys.stdin.buffer.read().decode()); "
		 "n = d[\"namespaces\"]; sys.exit(not (%s))'",
		 check);
	f = popen(cmd, "w");
	if (!f)
		return false;
	fputs(json, f);
	return pclose(f) == 0;
}

TEST(json)
{
	static const char *const checks[] = {
		"d[\"version\"] == 1 and len(n) == 5",
		"n[0][\"inode\"] == 4026532311 and n[0][\"name\"] == \"blue\"",
		"n[0][\"error\"] is None and n[0][\"table\"] == \"bpf\" and n[0][\"reason\"] is None",
		"n[0][\"last_replace\"] == {\"time\": 1795201331, \"age_s\": 125, "
		"\"duration_us\": 4149, \"reused\": False}",
		"n[0][\"extension\"] is None",
		"n[1][\"extension\"] == {\"kind\": \"match\", \"name\": \"string\"}",
		"n[1][\"counters\"] is None",
		"n[0][\"counters\"][\"rule_packets\"] == 1234567",
		"n[0][\"counters\"][\"rule_bytes\"] == 2 << 20",
		"[c[\"name\"] for c in n[0][\"counters\"][\"chains\"]] == "
		"[\"INPUT\", \"FORWARD\", \"OUTPUT\"]",
		"n[0][\"counters\"][\"chains\"][0] == {\"name\": \"INPUT\", \"policy\": \"DROP\", "
		"\"policy_packets\": 1, \"policy_bytes\": 84, \"rule_packets\": 1234000, "
		"\"rule_bytes\": 1 << 20}",
		"n[0][\"placement\"] == \"netfilter\" and n[0][\"form\"] == \"records\"",
		"n[0][\"rules\"] == 12345 and n[0][\"user_chains\"] == 1",
		"n[0][\"program_ids\"] == {\"root\": 41, \"table\": 57}",
		"n[0][\"instructions\"] == 412 and n[0][\"jited_bytes\"] == 2310",
		"n[0][\"map_bytes\"] == 5 << 20 and n[0][\"spare_map_bytes\"] == 0",
		"n[0][\"effects\"] == 0 and n[0][\"effects_lost\"] == 0",
		"n[4][\"effects\"] == 3 and n[4][\"effects_lost\"] == 1234",
		"n[0][\"asks_kernel\"] is False and n[0][\"unanswered_packets\"] == 0",
		"n[4][\"asks_kernel\"] is True and n[4][\"unanswered_packets\"] == 5678",
		"n[4][\"last_replace\"][\"reused\"] is True and n[4][\"spare_map_bytes\"] == 6 << 20",
		"n[1][\"table\"] == \"kernel\" and n[1][\"last_replace\"] is None",
		"n[1][\"reason\"] == \"match string (revision 1) has no translation (rule 3)\"",
		"set(n[1]) == {\"inode\", \"name\", \"error\", \"table\", \"reason\", \"extension\", "
		"\"last_replace\", \"counters\"}",
		"n[2] == {\"inode\": 7, \"name\": \"red\", \"error\": \"Permission denied\"}",
		"n[3][\"name\"] == \"a\\x1b[31mb\\\"c\\\\d\\ne\\x7ff\\x9bg\\ufffdh\\xe4i\\ufffd\\ufffd\\ufffdj"
		"\\ufffd\\ufffdk\\ufffd\\ufffd\"",
		"n[3][\"reason\"] == \"\\ttab\"",
	};
	struct bf_status_entry entries[] = {ours, kernels, broken, nasty, ours};
	unsigned int i;
	char *text;

	if (system("python3 -c pass 2>/dev/null"))
		SKIP(return, "no python3");
	entries[4].status.reused = true;
	entries[4].status.spare_bytes = 6 << 20;
	entries[4].status.effects = 3;
	entries[4].status.effects_lost = 1234;
	entries[4].status.asks = true;
	entries[4].status.unanswered = 5678;
	ASSERT_EQ(0, render(&absent, entries, 5, BF_STATUS_JSON, &text));
	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		EXPECT_TRUE(json_is(text, checks[i]))
		{
			printf("# %s\n", checks[i]);
		}
	}
	EXPECT_FALSE(json_is(text, "d[\"version\"] == 2"));
	free(text);
}

TEST(ages)
{
	static const struct {
		uint64_t age;
		const char *text;
	} ages[] = {
		{0, ", 0 seconds ago,"},	 {1, ", 1 second ago,"},
		{119, ", 119 seconds ago,"},	 {120, ", 2 minutes ago,"},
		{7199, ", 119 minutes ago,"},	 {7200, ", 2 hours ago,"},
		{172799, ", 47 hours ago,"},	 {172800, ", 2 days ago,"},
		{86400000, ", 1,000 days ago,"},
	};
	struct bf_status_entry e = ours;
	unsigned int i;
	char *text;

	for (i = 0; i < sizeof(ages) / sizeof(ages[0]); i++) {
		e.status.replaced_at = NOW - ages[i].age;
		ASSERT_EQ(0, render(&absent, &e, 1, BF_STATUS_TEXT, &text));
		EXPECT_NE(NULL, strstr(text, ages[i].text))
		{
			printf("# %s not in %s\n", ages[i].text, text);
		}
		free(text);
	}
	/* The clock was set back. */
	e.status.replaced_at = NOW + 100;
	ASSERT_EQ(0, render(&absent, &e, 1, BF_STATUS_TEXT, &text));
	EXPECT_NE(NULL, strstr(text, ", 0 seconds ago,"));
	free(text);
}

/* Of reasons as the compiler and the checks give them. */
TEST(extensions)
{
	static const struct {
		struct bf_why why;
		const char *kind, *name;
	} reasons[] = {
		{{"match string (revision 1) has no translation (rule 3)"}, "match", "string"},
		{{"target CLASSIFY (revision 0) has no translation (rule 1)"}, "target", "CLASSIFY"},
		{{"match dccp: --dccp-types, --dccp-option (rule 2)"}, "match", "dccp"},
		{{"target QUEUE has no translation (rule 3)"}, "target", "QUEUE"},
		{{"match owner is not available in the tc placement: no socket"}, "match", "owner"},
		{{"it was detached; the next change moves it to eBPF again"}, NULL, ""},
		{{"match"}, NULL, ""},
		{{"match "}, NULL, ""},
		{{"matching takes long"}, NULL, ""},
		{{"match of-a-name-that-is-longer-than-names-are"}, NULL, ""},
		{{""}, NULL, ""},
	};
	unsigned int i;

	for (i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++) {
		struct bf_extension e = bf_status_extension(&reasons[i].why);

		EXPECT_STREQ(reasons[i].kind ?: "none", e.kind ?: "none");
		EXPECT_STREQ(reasons[i].name, e.name);
	}
}

TEST(no_such_form)
{
	char *text;

	EXPECT_EQ(-EINVAL, render(&absent, NULL, 0, BF_STATUS_FORMS, &text));
	EXPECT_EQ(NULL, text);
	EXPECT_EQ(-EINVAL, render(&absent, NULL, 0, 255, &text));
}

TEST_HARNESS_MAIN
