// SPDX-License-Identifier: GPL-2.0
/*
 * The conntrack pin: conntrack works with it, rests without, and nothing but its end lets go.
 */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "conntrack.h"
#include "nft.h"
#include "testnet.h"
#include "kselftest_harness.h"

/* Not SKIP() in the fixture: not every version of the harness then leaves out the test. */
__attribute__((constructor)) static void needs(void)
{
	testnet_or_skip();
	if (system("conntrack -V >/dev/null 2>&1 && nft -v >/dev/null 2>&1")) {
		printf("TAP version 13\n1..0 # SKIP no conntrack or no nft command\n");
		exit(4);
	}
}

FIXTURE(ct)
{
	int net;
	bool owned; /* the kernel has owned tables that persist */
};

FIXTURE_SETUP(ct)
{
	char out[4096];
	struct bf_ct_pin *pin;

	self->net = testnet_new();
	ASSERT_LE(0, self->net);
	/* Find out in a namespace of its own. */
	ASSERT_LE(0, testnet_new());
	ASSERT_EQ(0, bf_ct_pin(&pin, NULL));
	testnet_sh(self->net, "true");
	ASSERT_EQ(0, testnet_read(self->net, out, sizeof(out), "nft list ruleset"));
	ASSERT_STREQ("", out);
	self->owned = bf_ct_pin_is_owned(pin);
	bf_ct_unpin(pin);
	ASSERT_EQ(0, testnet_enter(self->net));
}

FIXTURE_TEARDOWN(ct)
{
}

/* Flows that conntrack sees of a ping to loopback: 1 if it works, 0 if it rests. */
static int flows(int net)
{
	char out[4096];
	int n = 0;
	char *p;

	if (testnet_read(net, out, sizeof(out),
			 "conntrack -F 2>/dev/null; ping -q -c 1 127.0.0.1 >/dev/null; "
			 "conntrack -L -p icmp 2>/dev/null"))
		return -1;
	for (p = out; (p = strstr(p, "icmp ")); p++)
		n++;
	return n;
}

/* The kernel lets go some milliseconds after the rule is gone. */
static int flows_in_the_end(int net)
{
	int i, n = -1;

	for (i = 0; i < 50; i++) {
		n = flows(net);
		if (n == 0)
			break;
		usleep(20000);
	}
	return n;
}

TEST_F(ct, pin_and_unpin)
{
	struct bf_ct_pin *pin;
	char out[4096];

	EXPECT_EQ(0, flows(self->net));
	ASSERT_EQ(0, bf_ct_pin(&pin, NULL));
	EXPECT_EQ(1, flows(self->net));
	ASSERT_EQ(0, testnet_read(self->net, out, sizeof(out), "nft list ruleset"));
	EXPECT_NE(NULL, strstr(out, "bpfilter: keeps connection tracking active"));
	printf("# %s", self->owned ? "owned, persistent\n" : "plain\n");
	bf_ct_unpin(pin);
	EXPECT_EQ(0, flows_in_the_end(self->net));
	ASSERT_EQ(0, testnet_read(self->net, out, sizeof(out), "nft list ruleset"));
	EXPECT_STREQ("", out);
}

TEST_F(ct, close_keeps)
{
	struct bf_ct_pin *pin;

	ASSERT_EQ(0, bf_ct_pin(&pin, NULL));
	bf_ct_pin_close(pin);
	usleep(100000);
	EXPECT_EQ(1, flows(self->net));
	ASSERT_EQ(0, bf_ct_pin(&pin, NULL));
	EXPECT_EQ(1, flows(self->net));
	bf_ct_unpin(pin);
	EXPECT_EQ(0, flows_in_the_end(self->net));
}

static void pin_until_killed(int ready)
{
	struct bf_ct_pin *pin;
	char c = bf_ct_pin(&pin, NULL) ? 'x' : '.';

	if (write(ready, &c, 1) == 1)
		for (;;)
			pause();
	_exit(1);
}

/* Killed; and the next one takes over what is left, again and again, with one rule only. */
TEST_F(ct, killed_and_taken_over)
{
	struct bf_ct_pin *pin;
	int i, status, p[2];
	pid_t pid;
	char c;

	ASSERT_EQ(0, pipe(p));
	for (i = 0; i < 5; i++) {
		pid = fork();
		if (!pid)
			pin_until_killed(p[1]);
		ASSERT_EQ(1, read(p[0], &c, 1));
		ASSERT_EQ('.', c);
		kill(pid, SIGKILL);
		ASSERT_EQ(pid, waitpid(pid, &status, 0));
		usleep(50000);
		EXPECT_EQ(1, flows(self->net));
		EXPECT_EQ(0, testnet_sh(self->net,
					"test $(nft list ruleset | grep -c 'ct state') = 1"));
	}
	ASSERT_EQ(0, bf_ct_pin(&pin, NULL));
	EXPECT_EQ(1, flows(self->net));
	bf_ct_unpin(pin);
	EXPECT_EQ(0, flows_in_the_end(self->net));
}

TEST_F(ct, second_holder_is_refused)
{
	struct bf_why why = {""};
	struct bf_ct_pin *pin, *second;

	if (!self->owned)
		SKIP(return, "plain tables have no owner");
	ASSERT_EQ(0, bf_ct_pin(&pin, NULL));
	EXPECT_EQ(-EBUSY, bf_ct_pin(&second, &why));
	EXPECT_STRNE("", why.text);
	EXPECT_EQ(1, flows(self->net));
	bf_ct_unpin(pin);
}

/* Is there something to check? Then check. */
static int check(struct bf_ct_pin *pin)
{
	struct pollfd pfd = {.fd = bf_ct_pin_fd(pin), .events = POLLIN};

	return poll(&pfd, 1, 1000) == 1 ? bf_ct_pin_check(pin) : -ETIMEDOUT;
}

/* Owned: it never goes. Plain: it is back before the kernel has let go. */
TEST_F(ct, survives_others)
{
	static const char *const attacks[] = {
		"flush ruleset",
		"delete table ip bpfilter-conntrack",
		"flush chain ip bpfilter-conntrack pin",
		"flush ruleset; add table ip x; add chain ip x y { type filter hook input priority 0; }",
	};
	struct bf_ct_pin *pin;
	unsigned int i;

	ASSERT_EQ(0, bf_ct_pin(&pin, NULL));
	for (i = 0; i < sizeof(attacks) / sizeof(attacks[0]); i++) {
		testnet_sh(self->net, "nft '%s' 2>/dev/null", attacks[i]);
		if (!self->owned)
			EXPECT_EQ(0, check(pin));
		EXPECT_EQ(1, flows(self->net));
	}
	bf_ct_unpin(pin);
	EXPECT_EQ(0, flows_in_the_end(self->net));
}

/* What a kernel without persistent tables gives: made here by asking for a plain one. */
TEST_F(ct, plain_table_is_put_back)
{
	struct bf_ct_pin *pin;
	double us[20], t;
	int i, gaps = 0;

	ASSERT_EQ(0, bf_ct_pin_plain(&pin, NULL));
	EXPECT_EQ(1, flows(self->net));
	EXPECT_EQ(0, testnet_sh(self->net,
				"conntrack -F 2>/dev/null; ping -q -c 1 127.0.0.1 >/dev/null"));
	for (i = 0; i < 20; i++) {
		EXPECT_EQ(0, testnet_sh(self->net, "nft flush ruleset"));
		t = now_us();
		EXPECT_EQ(0, check(pin));
		us[i] = now_us() - t;
		/* Our own change is no reason to act again. */
		EXPECT_EQ(0, bf_ct_pin_check(pin));
		if (testnet_sh(self->net, "nft list table ip bpfilter-conntrack >/dev/null"))
			gaps++;
	}
	print_percentiles("put back after", us, 20);
	EXPECT_EQ(0, gaps);
	EXPECT_EQ(1, flows(self->net));
	bf_ct_pin_close(pin);

	/* A later helper on a better kernel, or one that finds a plain table, takes that over. */
	ASSERT_EQ(0, bf_ct_pin(&pin, NULL));
	EXPECT_EQ(self->owned, bf_ct_pin_is_owned(pin));
	EXPECT_EQ(1, flows(self->net));
	bf_ct_unpin(pin);
	EXPECT_EQ(0, flows_in_the_end(self->net));
}

/*
 * Does conntrack miss a packet between a foreign flush and our answer? A ping every millisecond
 * by one process is one flow; had the hooks gone for an instant, its packets in that
 * instant would not be counted.
 */
TEST_F(ct, no_gap)
{
	char out[4096] = "", *p;
	struct bf_ct_pin *pin;
	unsigned int answers = 0, packets = 0;
	struct pollfd pfd = {.events = POLLIN};
	pid_t pid, enemy;
	int status;

	ASSERT_EQ(0, testnet_sh(self->net, "echo 1 >/proc/sys/net/netfilter/nf_conntrack_acct"));
	ASSERT_EQ(0, bf_ct_pin_plain(&pin, NULL));
	pfd.fd = bf_ct_pin_fd(pin);
	pid = fork();
	if (!pid)
		_exit(testnet_sh(self->net, "ping -q -i 0.001 -c 2000 127.0.0.1 >/dev/null"));
	/* Meanwhile: the answer must not wait until the nft command has ended. */
	enemy = fork();
	if (!enemy)
		_exit(testnet_sh(self->net, "for i in 1 2 3 4 5 6 7 8 9 10; do sleep 0.1; "
					    "nft flush ruleset || exit 1; done"));
	while (!waitpid(enemy, &status, WNOHANG)) {
		if (poll(&pfd, 1, 100) == 1) {
			EXPECT_EQ(0, bf_ct_pin_check(pin));
			answers++;
		}
	}
	EXPECT_EQ(0, status);
	EXPECT_LE(10u, answers);
	ASSERT_EQ(pid, waitpid(pid, &status, 0));
	ASSERT_EQ(0, testnet_read(self->net, out, sizeof(out), "conntrack -L -p icmp 2>/dev/null"));
	p = strstr(out, "packets=");
	ASSERT_NE(NULL, p);
	sscanf(p, "packets=%u", &packets);
	printf("# conntrack saw %u of 2000 packets\n", packets);
	/* All of them, if this process gets a CPU in time; a third, if it never answers. */
	EXPECT_LE(1000u, packets);
	bf_ct_unpin(pin);
}

TEST_HARNESS_MAIN
