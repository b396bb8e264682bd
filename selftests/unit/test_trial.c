// SPDX-License-Identifier: GPL-2.0
/*
 * What the kernel's matches make of later fragments in which kernels differ: found out by us, asked of iptables, and
 * what becomes of tables where it cannot be.
 */
#include "blob.h"
#include "faults.h"
#include "sandbox.h"
#include "testnet.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/netfilter/xt_ecn.h>
#include <linux/netfilter/xt_tcpmss.h>
#include <netinet/ip.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "env.h"
#include "kselftest_harness.h"
#include "program.h"
#include "trial.h"

/* Of the address sanitizer; absent in other builds. */
int __lsan_do_recoverable_leak_check(void) __attribute__((weak));

__attribute__((constructor)) static void needs_namespaces(void)
{
	testnet_or_skip();
}

/* A match that holds for what send_fragment() sends where a header is read from that; as bytes, in either sense. */
static const struct {
	const char *options;
	struct xt_tcpmss_match_info tcpmss;
	struct xt_ecn_info ecn;
} matches[BF_NR_TRIALS] = {
	[BF_TRY_TCPMSS] = {.options = "-m tcpmss --mss 1200", .tcpmss = {1200, 1200, 0}},
	[BF_TRY_ECN] = {.options = "-m ecn --ecn-tcp-cwr", .ecn = {.operation = 0x20}},
};

/* Does the kernel have what is tried? The answer has its own test. */
static bool kernel_has(enum bf_trial trial)
{
	int ns = testnet_new();
	bool has = ns >= 0 &&
		   !testnet_sh(ns, "iptables-legacy -A OUTPUT -p tcp %s", matches[trial].options);

	close(ns);
	return has;
}

#define SKIP_WITHOUT(trial)                                                                        \
	do {                                                                                       \
		if (!kernel_has(trial))                                                            \
			SKIP(_exit(255), "no iptables-legacy, or no match %s",                     \
			     bf_trial_match(trial));                                               \
	} while (0)

static unsigned int threads(void)
{
	char line[128];
	unsigned int n = 0;
	FILE *f = fopen("/proc/self/status", "r");

	while (fgets(line, sizeof(line), f) && sscanf(line, "Threads: %u", &n) != 1)
		;
	fclose(f);
	return n;
}

/* A thread that has been joined is still on its way out of the kernel. */
static bool alone(void)
{
	unsigned int i;

	for (i = 0; i < 1000 && threads() > 1; i++)
		usleep(1000);
	return threads() == 1;
}

/* A later fragment with CWR and an MSS option where these are in a header; 0 if it was let out. */
static int send_fragment(int ns)
{
	struct {
		struct iphdr ip;
		uint8_t data[24];
	} p = {.ip = {.version = 4,
		      .ihl = 5,
		      .ttl = 64,
		      .protocol = IPPROTO_TCP,
		      .frag_off = htons(4),
		      .tot_len = htons(44),
		      .saddr = htonl(INADDR_LOOPBACK),
		      .daddr = htonl(INADDR_LOOPBACK)},
	       .data = {[12] = 6 << 4,
			[13] = 0x80,
			[20] = 2,
			[21] = 4,
			[22] = 1200 >> 8,
			[23] = 1200 & 0xff}};
	struct sockaddr_in to = {.sin_family = AF_INET, .sin_addr.s_addr = p.ip.daddr};
	int sk = testnet_enter(ns) ? -1 : socket(AF_INET, SOCK_RAW, IPPROTO_RAW), err = -1;

	if (sk >= 0)
		err = sendto(sk, &p, sizeof(p), 0, (void *)&to, sizeof(to)) < 0 ? errno : 0;
	close(sk);
	return err;
}

static void compare(struct __test_metadata *_metadata, enum bf_trial trial)
{
	enum bf_fragments found;
	char counters[64];
	int ns;

	ASSERT_EQ(0, bf_trial_run(trial, &found));
	ASSERT_NE(BF_FRAGMENTS_UNKNOWN, found);
	printf("# %s of this kernel %s later fragments\n", bf_trial_match(trial),
	       found == BF_FRAGMENTS_READ ? "reads" : "skips");
	ns = testnet_new();
	ASSERT_EQ(0, testnet_sh(ns,
				"iptables-legacy -A OUTPUT -p tcp %s && "
				"iptables-legacy -A OUTPUT -p tcp -f",
				matches[trial].options));
	ASSERT_EQ(0, send_fragment(ns));
	ASSERT_EQ(0,
		  testnet_read(ns, counters, sizeof(counters),
			       "iptables-legacy -vnxL OUTPUT | awk 'NR > 2{printf \"%%d \", $1}'"));
	EXPECT_STREQ(found == BF_FRAGMENTS_READ ? "1 1 " : "0 1 ", counters);
	close(ns);
}

TEST(tcpmss_as_iptables_has_it)
{
	SKIP_WITHOUT(BF_TRY_TCPMSS);
	compare(_metadata, BF_TRY_TCPMSS);
}

TEST(ecn_as_iptables_has_it)
{
	SKIP_WITHOUT(BF_TRY_ECN);
	compare(_metadata, BF_TRY_ECN);
}

TEST(not_root)
{
	enum bf_fragments found = BF_FRAGMENTS_READ;
	int status;
	pid_t pid = fork();

	if (!pid) {
		if (setresuid(65534, 65534, 65534))
			_exit(1);
		_exit(bf_trial_run(BF_TRY_TCPMSS, &found) == -EPERM && found == BF_FRAGMENTS_UNKNOWN
			      ? 0
			      : 2);
	}
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	EXPECT_EQ(0, status);
}

/* Whatever fails, there is no answer, and nothing is left. */
TEST(faults)
{
	unsigned int kinds[] = {FAULT_MEMORY, FAULT_CALL}, i, n, descriptors = open_descriptors();
	int here, ns;
	ino_t inode;
	const char *failed;
	enum bf_fragments found, is;

	SKIP_WITHOUT(BF_TRY_TCPMSS);
	ns = testnet_new();
	inode = testnet_inode(ns);
	close(ns);
	ASSERT_EQ(0, bf_trial_run(BF_TRY_TCPMSS, &is));
	for (i = 0; i < ARRAY_SIZE(kinds); i++)
		for (n = 1;; n++) {
			int err;

			faults_arm(kinds[i], n);
			err = bf_trial_run(BF_TRY_TCPMSS, &found);
			failed = faults_disarm();
			EXPECT_EQ(descriptors, open_descriptors());
			EXPECT_TRUE(alone());
			if (!failed)
				break;
			EXPECT_EQ(-ENOMEM, err) TH_LOG("%s", failed);
			EXPECT_EQ(BF_FRAGMENTS_UNKNOWN, found) TH_LOG("%s", failed);
		}
	/* thread, namespace, socket, loopback, info and replace, two packets, info twice and entries */
	EXPECT_LE(11U, n - 1);
	EXPECT_EQ(is, found);
	here = open("/proc/thread-self/ns/net", O_RDONLY | O_CLOEXEC);
	EXPECT_EQ(inode, testnet_inode(here));
	close(here);
	EXPECT_NE(0, testnet_sh(-1, "grep -q filter /proc/net/ip_tables_names"));
	if (__lsan_do_recoverable_leak_check)
		EXPECT_EQ(0, __lsan_do_recoverable_leak_check());
}

/* -A INPUT -p tcp, with a match, or without if there is none of that number. */
static struct bf_table *table_make(unsigned int trial)
{
	struct blob b = {};
	struct bf_table *table;

	blob_hook(&b, NF_INET_LOCAL_IN);
	blob_begin(&b)->proto = IPPROTO_TCP;
	if (trial == BF_TRY_TCPMSS)
		blob_match(&b, "tcpmss", 0, &matches[trial].tcpmss, sizeof(matches[trial].tcpmss));
	if (trial == BF_TRY_ECN)
		blob_match(&b, "ecn", 0, &matches[trial].ecn, sizeof(matches[trial].ecn));
	blob_end(&b, BLOB_DROP);
	blob_policy(&b, NF_INET_LOCAL_IN, BLOB_ACCEPT);
	blob_empty_hook(&b, NF_INET_FORWARD, BLOB_ACCEPT);
	blob_empty_hook(&b, NF_INET_LOCAL_OUT, BLOB_ACCEPT);
	blob_finish(&b);
	table = blob_table(&b);
	blob_free(&b);
	return table;
}

/* What one try finds, while the first call fails if @fail, and whether it came to a call at all. */
static enum bf_fragments try_it(struct bf_env *env, const struct bf_table *table, bool fail,
				const char **called)
{
	struct bf_kernel kernel = {};

	faults_arm(FAULT_CALL | FAULT_MEMORY, fail ? 1 : 1000);
	bf_env_try(env, table, &kernel);
	*called = faults_disarm();
	return kernel.tried[BF_TRY_TCPMSS];
}

/* Once it is known, the kernel is asked no more; until then, each time; and by no other table. */
TEST(once)
{
	struct bf_table *plain = table_make(BF_NR_TRIALS), *table = table_make(BF_TRY_TCPMSS);
	const char *called;
	struct sandbox s;
	enum bf_fragments is;
	int err;

	SKIP_WITHOUT(BF_TRY_TCPMSS);
	err = sandbox_enter(&s);
	if (err == 1)
		SANDBOX_SKIP(&s);
	ASSERT_EQ(0, err) TH_LOG("%s", s.why);
	ASSERT_EQ(0, bf_trial_run(BF_TRY_TCPMSS, &is));
	EXPECT_EQ(BF_FRAGMENTS_UNKNOWN, try_it(s.env, plain, true, &called));
	EXPECT_EQ(NULL, called);
	EXPECT_EQ(BF_FRAGMENTS_UNKNOWN, try_it(s.env, table, true, &called));
	EXPECT_STREQ("pthread_create", called);
	EXPECT_EQ(is, try_it(s.env, table, false, &called));
	EXPECT_EQ(is, try_it(s.env, table, true, &called));
	EXPECT_EQ(NULL, called);
	sandbox_leave(&s);
	bf_table_free(plain);
	bf_table_free(table);
}

static bool same(const struct bf_program *a, const struct bf_program *b)
{
	return a->nr_insns == b->nr_insns &&
	       !memcmp(a->insns, b->insns, a->nr_insns * sizeof(*a->insns));
}

/* All that is tried is known to be @is. */
static int compile(const struct bf_table *table, enum bf_fragments is, struct bf_program **program,
		   struct bf_why *why)
{
	const struct bf_kernel kernel = {.tried = {is, is}, .hz = 250, .cpus = 1};

	return bf_compile(table, &kernel, BF_ATTACH_MODULE, BF_FORM_AUTO, 0, program, why);
}

/* Tables that have the match are not compiled by guess. */
TEST(with_the_match)
{
	unsigned int trial;

	for (trial = 0; trial < BF_NR_TRIALS; trial++) {
		struct bf_table *table = table_make(trial);
		struct bf_program *none, *reads, *skips;
		struct bf_why why = {};

		ASSERT_NE(NULL, table);
		EXPECT_EQ(1U << trial, table->tries);
		EXPECT_EQ(-EOPNOTSUPP, compile(table, BF_FRAGMENTS_UNKNOWN, &none, &why));
		EXPECT_NE(NULL, strstr(why.text, bf_trial_match(trial)));
		ASSERT_EQ(0, compile(table, BF_FRAGMENTS_READ, &reads, NULL));
		ASSERT_EQ(0, compile(table, BF_FRAGMENTS_SKIPPED, &skips, NULL));
		EXPECT_FALSE(same(reads, skips));
		bf_program_free(reads);
		bf_program_free(skips);
		bf_table_free(table);
	}
}

/* Others do not depend on it. */
TEST(without_the_match)
{
	struct bf_table *table = table_make(BF_NR_TRIALS);
	struct bf_program *p[3];
	unsigned int i;

	ASSERT_NE(NULL, table);
	EXPECT_EQ(0U, table->tries);
	for (i = BF_FRAGMENTS_UNKNOWN; i <= BF_FRAGMENTS_SKIPPED; i++) {
		ASSERT_EQ(0, compile(table, i, &p[i], NULL));
		EXPECT_TRUE(same(p[0], p[i]));
	}
	for (i = 0; i < 3; i++)
		bf_program_free(p[i]);
	bf_table_free(table);
}

TEST_HARNESS_MAIN
