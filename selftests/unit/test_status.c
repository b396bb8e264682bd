// SPDX-License-Identifier: GPL-2.0
/*
 * What "bpfilter status" prints, for people and for programs.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "status.h"
#include "kselftest_harness.h"

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
		   .replace_us = 4149},
};

static const struct bf_status_entry kernels = {
	.inode = 4026531840,
	.name = "pid 1 (systemd)",
	.status = {.why_kernel = {"rule 3: match \"string\" is not known"}, .form = ""},
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

TEST(nothing)
{
	char *text;

	ASSERT_EQ(0, bf_status_render(&absent, NULL, 0, false, &text));
	EXPECT_STREQ("module: not loaded, only iptables below \"bpfilter run\" is served\n"
		     "bpfilter serves no network namespace yet. \"bpfilter run -- COMMAND\" starts "
		     "one.\n",
		     text);
	free(text);
	ASSERT_EQ(0, bf_status_render(&absent, NULL, 0, true, &text));
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

	ASSERT_EQ(0, bf_status_render(&m, NULL, 0, false, &text));
	EXPECT_STREQ("module: loaded, iptables of the whole machine is served, 1 call waiting\n"
		     "bpfilter serves no network namespace yet. The next iptables call starts with "
		     "its own.\n",
		     text);
	free(text);
	ASSERT_EQ(0, bf_status_render(&m, NULL, 0, true, &text));
	EXPECT_STREQ("{\n  \"version\": 1,\n"
		     "  \"module\": {\"loaded\": true, \"served\": true, \"requests\": 1},\n"
		     "  \"namespaces\": []\n}\n",
		     text);
	free(text);
	m.served = false;
	ASSERT_EQ(0, bf_status_render(&m, NULL, 0, false, &text));
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
	ASSERT_EQ(0, bf_status_render(&absent, entries, 3, false, &text));
	EXPECT_STREQ("module: not loaded, only iptables below \"bpfilter run\" is served\n"
		     "3 network namespaces: 1 filtered by eBPF, 1 by the kernel, 1 unknown\n"
		     "\n"
		     "blue  net:[4026532311]\n"
		     "  filter table  eBPF, at the netfilter hooks (netfilter link)\n"
		     "  rules         12,345, 1 user chain\n"
		     "  program       records, 412 instructions, 2.3 KiB of machine code\n"
		     "  maps          5.0 MiB\n"
		     "  program ids   41 (root), 57 (table)\n"
		     "  last replace  2026-11-20 19:02:11, took 4.1 ms\n"
		     "\n"
		     "pid 1 (systemd)  net:[4026531840]\n"
		     "  filter table  kernel (ip_tables)\n"
		     "  because       rule 3: match \"string\" is not known\n"
		     "\n"
		     "red  net:[7]\n"
		     "  filter table  unknown: Permission denied\n",
		     text);
	free(text);
}

/* No escape sequence that somebody put into a name reaches a terminal. */
TEST(for_people_nasty)
{
	char *text, *p;

	ASSERT_EQ(0, bf_status_render(&absent, &nasty, 1, false, &text));
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
		ASSERT_EQ(0, bf_status_render(&absent, &e, 1, false, &text));
		EXPECT_NE(NULL, strstr(text, sizes[i].text));
		free(text);
	}
	e.status.rules = 1000000;
	e.status.chains = 0;
	e.status.replace_us = 999;
	ASSERT_EQ(0, bf_status_render(&absent, &e, 1, false, &text));
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
		"d[\"version\"] == 1 and len(n) == 4",
		"n[0][\"inode\"] == 4026532311 and n[0][\"name\"] == \"blue\"",
		"n[0][\"error\"] is None and n[0][\"table\"] == \"bpf\" and n[0][\"reason\"] is None",
		"n[0][\"last_replace\"] == {\"time\": 1795201331, \"duration_us\": 4149}",
		"n[0][\"placement\"] == \"netfilter\" and n[0][\"form\"] == \"records\"",
		"n[0][\"rules\"] == 12345 and n[0][\"user_chains\"] == 1",
		"n[0][\"program_ids\"] == {\"root\": 41, \"table\": 57}",
		"n[0][\"instructions\"] == 412 and n[0][\"jited_bytes\"] == 2310",
		"n[0][\"map_bytes\"] == 5 << 20",
		"n[1][\"table\"] == \"kernel\" and n[1][\"last_replace\"] is None",
		"n[1][\"reason\"] == \"rule 3: match \\\"string\\\" is not known\"",
		"set(n[1]) == {\"inode\", \"name\", \"error\", \"table\", \"reason\", \"last_replace\"}",
		"n[2] == {\"inode\": 7, \"name\": \"red\", \"error\": \"Permission denied\"}",
		"n[3][\"name\"] == \"a\\x1b[31mb\\\"c\\\\d\\ne\\x7ff\\x9bg\\ufffdh\\xe4i\\ufffd\\ufffd\\ufffdj"
		"\\ufffd\\ufffdk\\ufffd\\ufffd\"",
		"n[3][\"reason\"] == \"\\ttab\"",
	};
	const struct bf_status_entry entries[] = {ours, kernels, broken, nasty};
	unsigned int i;
	char *text;

	if (system("python3 -c pass 2>/dev/null"))
		SKIP(return, "no python3");
	ASSERT_EQ(0, bf_status_render(&absent, entries, 4, true, &text));
	for (i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
		EXPECT_TRUE(json_is(text, checks[i]))
		{
			printf("# %s\n", checks[i]);
		}
	}
	EXPECT_FALSE(json_is(text, "d[\"version\"] == 2"));
	free(text);
}

TEST_HARNESS_MAIN
